//! Every model of the zoo in tract, against the outputs that ONNX Runtime gave.

use std::path::{Path, PathBuf};

use ailurus_runtime::compare::{self, Difference};
use ailurus_runtime::{Model, Result, Runtime, SessionOptions, Tensor, npz, testing};
use ailurus_tract::TractRuntime;

/// What tract cannot do, by model, and the start of what it says.
const REFUSED: &[(&str, &str)] = &[
    // com.microsoft's Attention: fused query, key and value.
    ("hf_clip_vision.ts17b-eager+trfclip", "no operator \"Attention\""),
    ("hf_vit.ts17b-eager_t21+trfvit", "no operator \"Attention\""),
    // com.microsoft's MultiHeadAttention, of which tract has the form without bias.
    ("hf_vit.ts17b-eager_t21+trfvitmha", "optional input #3"),
    // Window sizes computed from shapes; tract's integer algebra cannot divide them out.
    ("hf_vitdet_bb.ts17-eager", "Reshape"),
    // TopK over numbers computed from shapes.
    ("hf_vitmae_enc.ts17b-eager", "TDim is not a number"),
];

/// Models whose outputs may differ more, and by how much (relative L2).
const LOOSER: &[(&str, f64)] = &[
    // Half precision, rounded at other places.
    ("dpt_shared_norm.dy18b+fp16", 2e-2),
    ("segmenter_mask.ts17-h", 5e-3),
    ("timm_vit_cls.ts17-f0+fp16", 5e-3),
    // Eight bits: ONNX Runtime fuses what tract computes step by step, and ties round otherwise.
    ("hf_vit.ts17b-eager+qdq", 5e-2),
    ("segmenter_mask.ts17b+qdqmm", 5e-2),
    ("timm_vit_cls.ts17-f0+qdqmm", 5e-2),
];

/// The largest relative L2 difference otherwise.
const TOLERANCE: f64 = 1e-4;

fn differences(model: &Path) -> Result<Vec<Difference>> {
    let arrays = npz::read(model.with_extension("npz"))?;
    let pick = |prefix: &str| -> Vec<(String, Tensor)> {
        let strip = |(n, t): &(String, Tensor)| Some((n.strip_prefix(prefix)?.to_owned(), t.clone()));
        arrays.iter().filter_map(strip).collect()
    };
    let (inputs, expected) = (pick("in_"), pick("out_"));
    let session = TractRuntime.load(Model::Path(model), &SessionOptions::default())?;
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let outputs = session.run(&inputs)?;
    compare::outputs(&expected, &outputs, |_, _| None)
}

#[test]
fn zoo() {
    let Some(folder) = testing::zoo() else { return };
    let mut models: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .collect();
    models.sort();
    assert!(!models.is_empty(), "no models in {}", folder.display());
    let mut faults = Vec::new();
    for path in &models {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let refused = REFUSED.iter().find(|(n, _)| *n == name).map(|(_, why)| *why);
        let tolerance = LOOSER.iter().find(|(n, _)| *n == name).map_or(TOLERANCE, |(_, t)| *t);
        match (differences(path), refused) {
            (Ok(d), None) => faults.extend(d.into_iter().filter_map(|d| {
                (d.nan_mismatches > 0 || d.relative_l2 > tolerance)
                    .then(|| format!("{name}: {} differs: {:.2e}", d.name, d.relative_l2))
            })),
            (Ok(_), Some(_)) => faults.push(format!("{name}: runs now, take it off the list")),
            (Err(e), Some(why)) if e.to_string().contains(why) => {}
            (Err(e), _) => faults.push(format!("{name}: [{}] {e}", e.code())),
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), models.len(), faults.join("\n"));
}
