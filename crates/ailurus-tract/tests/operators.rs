//! The operators in tract, against their definitions.

use ailurus_ops::{AttrValue, DensityPeaks, Element, Keep, MergeDims, UnfoldDims, reference};
use ailurus_runtime::testing::onnx::{Attribute, ElementType, Graph};
use ailurus_runtime::{Data, Error, Model, Optimization, Runtime, Session, SessionOptions, Tensor};
use ailurus_tract::TractRuntime;
use half::f16;

const DOMAIN: &str = "ai.ailurus";
const CHANNELS: usize = 5;

fn load(model: &[u8], optimization: Optimization) -> ailurus_runtime::Result<Box<dyn Session>> {
    let options = SessionOptions { optimization, ..SessionOptions::default() };
    TractRuntime.load(Model::Bytes(model), &options)
}

fn attributes(list: &[(&'static str, AttrValue)]) -> Vec<(&'static str, Attribute<'static>)> {
    let convert = |value: &AttrValue| match value {
        AttrValue::Int(v) => Attribute::Int(*v),
        AttrValue::Float(v) => Attribute::Float(*v),
        AttrValue::Str(v) => Attribute::Text(v.clone().leak()),
    };
    list.iter().map(|(name, value)| (*name, convert(value))).collect()
}

/// Numbers without near-ties, the same in every run.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2654435761) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16777216.0 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// Clusters, merges, changes the rows, and unfolds in both ways.
fn model(parameters: &DensityPeaks, kind: ElementType, tokens: &str, grid_input: bool) -> Vec<u8> {
    let plain = attributes(&ailurus_ops::Merge.attributes());
    let mut graph = Graph::new().input("x", kind, &["batch", tokens, "5"]);
    let mut inputs = vec!["x"];
    if grid_input {
        graph = graph.input("image", ElementType::F32, &["1", "1", "h", "w"]);
        // The grid as exporters compute it, from the shape of an input.
        graph = graph.initializer_i64("axes", &[2, 3]).node("Shape", &["image"], &["image_shape"]).node(
            "Gather",
            &["image_shape", "axes"],
            &["grid"],
        );
        inputs.push("grid");
    }
    let clusters = ["index", "anchor", "size"];
    graph
        .custom(DOMAIN, "AilurusDensityPeaks", &inputs, &clusters, &attributes(&parameters.attributes()))
        .custom(DOMAIN, "AilurusMerge", &["x", "index", "size"], &["start"], &plain)
        .node("Neg", &["start"], &["z"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index"], &["copied"], &plain)
        .custom(DOMAIN, "AilurusUnfoldResidual", &["z", "start", "x", "index"], &["y"], &plain)
        .output("index", ElementType::I32, &["batch", "t"])
        .output("anchor", ElementType::I32, &["batch", "r"])
        .output("size", ElementType::F32, &["batch", "r"])
        .output("start", kind, &["batch", "r", "5"])
        .output("copied", kind, &["batch", "t", "5"])
        .output("y", kind, &["batch", "t", "5"])
        .model()
}

/// What the model must give, by the definitions.
fn expected<E>(p: &DensityPeaks, grid: (usize, usize), batch: usize, x: &[E]) -> Vec<Tensor>
where
    E: Element + std::ops::Neg<Output = E>,
    Data: From<Vec<E>>,
{
    let tokens = p.prefix + grid.0 * grid.1 + p.suffix;
    let c = reference::density_peaks(p, x, batch, CHANNELS, grid).unwrap();
    let rows = c.rows;
    let merge = MergeDims { batch, tokens, rows, channels: CHANNELS };
    let unfold = UnfoldDims { batch, rows, tokens, choices: 1, channels: CHANNELS };
    let start = reference::merge(x, &c.index, &c.size, merge).unwrap();
    let z: Vec<E> = start.iter().map(|v| -*v).collect();
    let copied = reference::unfold(&z, &c.index, None, unfold).unwrap();
    let y = reference::unfold_residual(&z, &start, x, &c.index, None, unfold).unwrap();
    let make = |dims: Vec<usize>, data: Data| Tensor::new(dims, data).unwrap();
    vec![
        make(vec![batch, tokens], c.index.into()),
        make(vec![batch, rows], c.anchor.into()),
        make(vec![batch, rows], c.size.into()),
        make(vec![batch, rows, CHANNELS], start.into()),
        make(vec![batch, tokens, CHANNELS], copied.into()),
        make(vec![batch, tokens, CHANNELS], y.into()),
    ]
}

fn check<E>(p: &DensityPeaks, kind: ElementType, grid: (usize, usize), tokens: &str)
where
    E: Element + std::ops::Neg<Output = E>,
    Data: From<Vec<E>>,
{
    let given = p.grid.is_none();
    let file = model(p, kind, tokens, given);
    let image = Tensor::new([1, 1, grid.0, grid.1], vec![0f32; grid.0 * grid.1]).unwrap();
    for optimization in [Optimization::None, Optimization::All] {
        let session = load(&file, optimization).unwrap();
        for batch in [1, 3] {
            let count = p.prefix + grid.0 * grid.1 + p.suffix;
            let x = noise(batch * count * CHANNELS, 7 + batch as u64);
            let x: Vec<E> = x.into_iter().map(E::from_f32).collect();
            let want = expected(p, grid, batch, &x);
            let x = Tensor::new([batch, count, CHANNELS], x).unwrap();
            let mut inputs = vec![("x", &x)];
            if given {
                inputs.push(("image", &image));
            }
            let got = session.run(&inputs).unwrap();
            for ((name, got), want) in got.iter().zip(&want) {
                assert_eq!(got, want, "{name} of {p:?}, batch {batch}");
            }
        }
    }
}

#[test]
fn static_grid_and_count() {
    let p = DensityPeaks::new(1, 0, Some((4, 6)), Keep::Tokens(7));
    check::<f32>(&p, ElementType::F32, (4, 6), "25");
}

#[test]
fn half_precision() {
    let p = DensityPeaks::new(1, 2, Some((4, 6)), Keep::Tokens(12));
    check::<f16>(&p, ElementType::F16, (4, 6), "27");
}

#[test]
fn share_of_an_unknown_grid() {
    let p = DensityPeaks::new(2, 1, None, Keep::Ratio { num: 1, den: 3 });
    for grid in [(4, 4), (5, 3)] {
        check::<f32>(&p, ElementType::F32, grid, "t");
    }
}

#[test]
fn all_tokens_kept() {
    let p = DensityPeaks::new(0, 0, Some((3, 3)), Keep::Ratio { num: 1, den: 1 });
    check::<f32>(&p, ElementType::F32, (3, 3), "9");
}

#[test]
fn weighted_unfold() {
    let plain = attributes(&ailurus_ops::Merge.attributes());
    let file = Graph::new()
        .input("z", ElementType::F32, &["b", "r", "5"])
        .input("index", ElementType::I32, &["b", "t", "2"])
        .input("weight", ElementType::F32, &["b", "t", "2"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index", "weight"], &["y"], &plain)
        .output("y", ElementType::F32, &["b", "t", "5"])
        .model();
    let (z, weight) = (noise(15, 1), noise(8, 2));
    let index = vec![0, 2, 1, 1, 2, 0, 0, 1];
    let dims = UnfoldDims { batch: 1, rows: 3, tokens: 4, choices: 2, channels: CHANNELS };
    let want = reference::unfold(&z, &index, Some(&weight), dims).unwrap();
    let z = Tensor::new([1, 3, 5], z).unwrap();
    let index = Tensor::new([1, 4, 2], index).unwrap();
    let weight = Tensor::new([1, 4, 2], weight).unwrap();
    let session = load(&file, Optimization::All).unwrap();
    let got = session.run(&[("z", &z), ("index", &index), ("weight", &weight)]).unwrap();
    assert_eq!(got[0].1.as_f32(), Some(&want[..]));
}

#[test]
fn bad_nodes_are_errors() {
    let build = |domain: &str, extra: &[(&'static str, AttrValue)]| {
        let mut list = DensityPeaks::new(1, 0, Some((2, 2)), Keep::Tokens(2)).attributes();
        list.extend(extra.iter().cloned());
        Graph::new()
            .input("x", ElementType::F32, &["b", "5", "5"])
            .custom(domain, "AilurusDensityPeaks", &["x"], &["i", "a", "s"], &attributes(&list))
            .output("i", ElementType::I32, &["b", "5"])
            .model()
    };
    let fault = |file: &[u8]| load(file, Optimization::All).err().map(|e| e.to_string());
    assert_eq!(fault(&build(DOMAIN, &[])), None);
    assert!(fault(&build("elsewhere", &[])).unwrap().contains("elsewhere"));
    let unknown = [("windw", AttrValue::Int(3))];
    assert!(fault(&build(DOMAIN, &unknown)).unwrap().contains("AIL0303"));

    // An index beyond the rows, which only shows when it runs.
    let plain = attributes(&ailurus_ops::Merge.attributes());
    let file = Graph::new()
        .input("z", ElementType::F32, &["1", "2", "5"])
        .input("index", ElementType::I32, &["1", "1"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index"], &["y"], &plain)
        .output("y", ElementType::F32, &["1", "1", "5"])
        .model();
    let z = Tensor::new([1, 2, 5], vec![0f32; 10]).unwrap();
    let index = Tensor::new([1, 1], vec![2i32]).unwrap();
    let session = load(&file, Optimization::All).unwrap();
    let error = session.run(&[("z", &z), ("index", &index)]).unwrap_err();
    assert_eq!(error.code(), "AIL0605");
    assert!(error.to_string().contains("AIL0307"), "{error}");
}

#[test]
fn bad_models_are_errors() {
    let code = |file: &[u8]| load(file, Optimization::All).err().map(|e| e.code());
    assert_eq!(code(b""), Some("AIL0601"));
    assert_eq!(code(b"not a model"), Some("AIL0601"));
    let dangling = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .node("Neg", &["x"], &["y"])
        .output("z", ElementType::F32, &["2"])
        .model();
    assert_eq!(code(&dangling), Some("AIL0601"));
    let unknown = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .node("Frobnicate", &["x"], &["y"])
        .output("y", ElementType::F32, &["2"])
        .model();
    assert_eq!(code(&unknown), Some("AIL0602"));
    let mismatch = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .initializer_f32("w", &[3], &[0.0; 3])
        .node("Add", &["x", "w"], &["y"])
        .output("y", ElementType::F32, &["2"])
        .model();
    let session = load(&mismatch, Optimization::All).unwrap();
    let x = Tensor::new([2], vec![0f32; 2]).unwrap();
    let got = session.run(&[("x", &x)]);
    assert!(matches!(got, Err(Error::Backend { code: "AIL0605", .. })), "{got:?}");
    let absent = TractRuntime
        .load(Model::Path("/nonexistent.onnx".as_ref()), &SessionOptions::default())
        .err()
        .map(|e| e.code());
    assert_eq!(absent, Some("AIL0601"));
}
