//! Models with windows, on a smaller grid in smaller windows.
//!
//! What they have to give there was computed by PyTorch: `fixtures/windows/make.py` runs the blocks behind the first one on
//! a pooled stream, with the window code of torchvision and timm and tables that PyTorch interpolated. With no iteration of
//! k-means clusters are that pooled stream, so what the rewritten blocks give must be equal.

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Emit, Error, Expedit, Method, Options, Plan, Tables};
use ailurus_runtime::{Tensor, npz, testing};
use ailurus_tests::{case, deviation, probe, run};
use std::path::{Path, PathBuf};

fn models() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(case::fixtures().join("windows")).expect("fixtures/windows can be read");
    let mut paths: Vec<PathBuf> = folder.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    assert!(paths.len() >= 3, "fixtures/windows holds {} models", paths.len());
    paths
}

fn load(path: &Path) -> Model {
    ailurus_rewrite::prepare(Model::load(path).expect("a model")).expect("it can be prepared")
}

fn options(grid: (usize, usize)) -> Options {
    Options { method: Method::Expedit(Expedit { iterations: 0, ..Expedit::new(grid) }), ..Options::new(1) }
}

fn arrays(path: &Path, prefix: &str) -> Vec<(String, Tensor)> {
    let all = npz::read(path.with_extension("npz")).expect("arrays beside the model");
    all.into_iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t))).collect()
}

/// The stream where the region ends, before it is unfolded.
fn end_of_region(model: &Model, plan: &Plan, inputs: &[(String, Tensor)], grid: (usize, usize)) -> Tensor {
    let runtime = run::onnx_runtime().expect("asked for before");
    let rewritten = ailurus_rewrite::apply(model, plan, Emit::Function).expect("it can be rewritten");
    let end = &plan.unfolds.last().expect("an unfold").value;
    let open = probe::with_outputs(&rewritten, [end.as_str()]).expect("the stream can be shown");
    let session = run::Loader::usual(&runtime).load(&open).expect("ONNX Runtime takes it");
    let outputs = run::run(session.as_ref(), inputs).expect("it runs");
    let stream = run::output(&outputs, end).expect("the stream");
    // Rows and columns may be one axis.
    let (images, channels) = (stream.dims()[0], *stream.dims().last().expect("channels"));
    let numbers = stream.as_f32().expect("32-bit floats").to_vec();
    Tensor::new([images, grid.0, grid.1, channels], numbers).expect("a map")
}

#[test]
fn smaller_windows_give_what_pytorch_gives() {
    if run::onnx_runtime().is_none() {
        return;
    }
    for path in models() {
        let model = load(&path);
        let analysis = Analysis::of(&model).expect("an encoder");
        let inputs = arrays(&path, "in_");
        for (grid, wanted) in arrays(&path, "small_") {
            let (rows, columns) = grid.split_once('x').expect("a grid");
            let grid = (rows.parse().expect("rows"), columns.parse().expect("columns"));
            let plan = ailurus_rewrite::plan(&analysis, &options(grid)).expect("a plan");
            assert_eq!(plan.tokens.clusters, Some(grid.0 * grid.1));
            let got = end_of_region(&model, &plan, &inputs, grid);
            assert_eq!(got.dims(), wanted.dims(), "{} at {grid:?}", path.display());
            let error = deviation::tensor("stream", &wanted, &got).expect("comparable");
            assert!(error < 2e-6, "{} at {grid:?}: off by {error:.1e}", path.display());
            // Tables that are picked instead of interpolated give something else.
            let gathered = Method::Expedit(Expedit { iterations: 0, tables: Tables::Gather, ..Expedit::new(grid) });
            let plan =
                ailurus_rewrite::plan(&analysis, &Options { method: gathered, ..Options::new(1) }).expect("a plan");
            let other =
                deviation::tensor("stream", &wanted, &end_of_region(&model, &plan, &inputs, grid)).expect("comparable");
            assert!(other > 1e-4 && other.is_finite(), "{} at {grid:?}: gathered, off by {other:.1e}", path.display());
        }
    }
}

/// Every patch a cluster: the outputs of the original, for every layer and every stage.
#[test]
fn the_full_grid_changes_nothing() {
    let Some(runtime) = run::onnx_runtime() else { return };
    let mut stages: Vec<(PathBuf, Option<String>)> = models().into_iter().map(|p| (p, None)).collect();
    if let Some(zoo) = testing::zoo() {
        for stage in ["m.layers_0", "m.layers_1", "m.layers_2"] {
            stages.push((zoo.join("timm_swin.ts17b.onnx"), Some(stage.to_owned())));
        }
        for name in
            ["sam_orig_win.ts17", "sam_orig_global.ts17", "hf_sam_vision.ts17b-eager", "hf_vitdet_bb.ts17-eager"]
        {
            stages.push((zoo.join(format!("{name}.onnx")), None));
        }
    }
    for (path, trunk) in stages {
        let model = load(&path);
        let analysis = Analysis::of_trunk(&model, trunk.as_deref()).expect("an encoder");
        let grid = analysis.grid().expect("a fixed grid");
        let (inputs, wanted) = (arrays(&path, "in_"), arrays(&path, "out_"));
        for layer in 1..analysis.blocks() {
            let whole = Options { layer: layer.into(), ..options(grid) };
            let plan = ailurus_rewrite::plan(&analysis, &whole).expect("a plan");
            assert!(plan.tables.is_empty(), "{}: {:?}", path.display(), plan.tables);
            assert_eq!(ailurus_rewrite::replay(&analysis, &plan).expect("it can be replayed"), plan);
            for emit in [Emit::Function, Emit::Inline] {
                let rewritten = ailurus_rewrite::apply(&model, &plan, emit).expect("it can be rewritten");
                let session = run::Loader::usual(&runtime).load(&rewritten).expect("ONNX Runtime takes it");
                let got = run::run(session.as_ref(), &inputs).expect("it runs");
                let error = deviation::outputs(&wanted, &got).expect("comparable");
                assert!(error < 1e-5, "{} cut after {layer}: off by {error:.1e}", path.display());
            }
        }
    }
}

#[test]
fn grids_that_windows_do_not_fit_are_refused() {
    let path = case::fixtures().join("windows/tv_swin.ts17b.onnx");
    let model = load(&path);
    let analysis = Analysis::of(&model).expect("an encoder");
    // 16 rows in windows of 4; 9 rows would be in windows of 2. Nothing in this model pads.
    let refusal = match ailurus_rewrite::plan(&analysis, &options((9, 8))) {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(format!("{:?}", refusal.code), "AIL0213");
    let text = refusal.to_string();
    assert!(text.contains("9 rows") && text.contains("8 or 12 rows"), "{text}");
    // Clusters of any shape have no windows.
    let refusal = match ailurus_rewrite::plan(&analysis, &Options::new(1)) {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(format!("{:?}", refusal.code), "AIL0203");
    assert!(refusal.next.contains("--method expedit"), "{refusal}");
}
