//! Reports, models without weights: whatever is done with one gives what it gives with the original.

use ailurus_analyze::{Analysis, Refusal};
use ailurus_onnx::{Model, Storage, dump};
use ailurus_rewrite::{Emit, Metric, Options, Plan, apply, plan, prepare, report};
use ailurus_runtime::testing;
use ailurus_tests::case;
use std::path::{Path, PathBuf};

/// A model and its report, both as they are read from a file.
fn pair(path: &Path) -> (Model, Model) {
    let model = Model::load(path).unwrap();
    let stripped = report::strip(&model, &report::report(&model, None, None)).unwrap();
    let read = Model::from_bytes(stripped.to_bytes().unwrap()).unwrap();
    assert!(report::is_report(&read) && !report::is_report(&model), "{}", path.display());
    (prepare(model).unwrap(), prepare(read).unwrap())
}

/// The graph as text. Names of graphs do not stay in reports, and properties of the model are compared on their own.
fn text(model: &Model) -> String {
    let text = dump::text(model);
    let lines = text.lines().filter(|l| !l.starts_with("metadata"));
    let opens = |l: &str| l.ends_with('{') && !l.starts_with("function");
    let lines = lines.map(|l| if opens(l) { l.split_whitespace().next().unwrap_or_default() } else { l });
    lines.map(|l| l.to_owned() + "\n").collect()
}

fn refusal(r: &Refusal) -> String {
    serde_json::to_string(r).unwrap()
}

fn plans(model: &Model, layer: usize) -> Vec<Result<Plan, String>> {
    let analysis = Analysis::of(model).unwrap();
    let one = |options: &Options| plan(&analysis, options).map_err(|e| e.to_string());
    let base = Options::new(layer);
    vec![
        one(&base),
        one(&Options { metric: Metric::Stream, ..base.clone() }),
        one(&Options { metric: Metric::Keys, proportional: true, ..base }),
    ]
}

/// What differs between a model and its report.
fn fault(path: &Path) -> Option<String> {
    let (model, stripped) = pair(path);
    if text(&model) != text(&stripped) {
        return Some("the graph".into());
    }
    let (a, b) = match (Analysis::of(&model), Analysis::of(&stripped)) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(a), Err(b)) => return (refusal(&a) != refusal(&b)).then(|| format!("{a}\nbut {b}")),
        (a, b) => return Some(format!("original {:?}, report {:?}", a.err(), b.err())),
    };
    let json = |a: &Analysis| serde_json::to_string(&a.report()).unwrap();
    if json(&a) != json(&b) {
        return Some("what the analysis says".into());
    }
    for layer in 1..a.blocks() {
        let (first, second) = (plans(&model, layer), plans(&stripped, layer));
        if first != second {
            return Some(format!("plans of layer {layer}"));
        }
        for made in first.iter().flatten() {
            for emit in [Emit::Function, Emit::Inline, Emit::Custom] {
                let (x, y) = match (apply(&model, made, emit), apply(&stripped, made, emit)) {
                    (Ok(x), Ok(y)) => (x, y),
                    (Err(x), Err(y)) if x.to_string() == y.to_string() => continue,
                    (x, y) => return Some(format!("layer {layer}: {:?}, {:?}", x.err(), y.err())),
                };
                if text(&x) != text(&y) {
                    return Some(format!("the graph rewritten at layer {layer} as {emit:?}"));
                }
                if !report::is_report(&y) || x.header.metadata["ailurus.plan"] != y.header.metadata["ailurus.plan"] {
                    return Some(format!("metadata of layer {layer}"));
                }
                // it can be written, read and recognised as rewritten
                let read = Model::from_bytes(y.to_bytes().unwrap()).unwrap();
                assert_eq!(format!("{:?}", Analysis::of(&read).err().unwrap().code), "AIL0212");
            }
        }
    }
    None
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    files
}

fn check(folder: &Path) {
    let files = models(folder);
    assert!(!files.is_empty());
    let faults: Vec<String> =
        files.iter().filter_map(|path| Some(format!("{}: {}", path.display(), fault(path)?))).collect();
    assert!(faults.is_empty(), "{} of {} files differ:\n{}", faults.len(), files.len(), faults.join("\n"));
}

#[test]
fn fixtures() {
    check(&case::fixtures());
}

#[test]
fn zoo() {
    if let Some(folder) = testing::zoo() {
        check(&folder);
    }
}

/// Averaged key weights are as absent as what they are made from, and have the right type and shape.
#[test]
fn averaged_keys() {
    let mut checked = 0;
    for path in models(&case::fixtures()) {
        let (model, stripped) = pair(&path);
        // Keys that are no product with constant weights are not averaged.
        let Ok(made) = plans(&model, 1)[2].clone() else { continue };
        checked += 1;
        let key = "ailurus/1/keys/weight";
        let find = |m: &Model| {
            let rewritten = apply(m, &made, Emit::Function).unwrap();
            let v = rewritten.graph.find(key).unwrap();
            rewritten.graph.initializer(v).unwrap().clone()
        };
        let (full, absent) = (find(&model), find(&stripped));
        assert_eq!((full.dtype, &full.dims), (absent.dtype, &absent.dims), "{}", path.display());
        assert!(full.storage != Storage::Absent && absent.storage == Storage::Absent, "{}", path.display());
    }
    assert!(checked >= 10, "{checked}");
}

/// A report is small, says what the analysis says, and is the same when made of a report.
#[test]
fn contents() {
    for path in models(&case::fixtures()) {
        let model = Model::load(&path).unwrap();
        let said = report::report(&model, None, Some(&Options::new(99)));
        let stripped = report::strip(&model, &said).unwrap();
        let bytes = stripped.to_bytes().unwrap();
        assert!(bytes.len() < 300_000, "{}: {} bytes", path.display(), bytes.len());
        let json: serde_json::Value = serde_json::from_str(&stripped.header.metadata[report::KEY]).unwrap();
        let blocks = Analysis::of(&prepare(model.clone()).unwrap()).unwrap().blocks();
        assert_eq!(json["analysis"]["found"]["blocks"].as_array().unwrap().len(), blocks);
        assert_eq!((&json["layer"], &json["plan"]["refused"]["code"]), (&"99".into(), &"AIL0202".into()));
        let read = Model::from_bytes(bytes.clone()).unwrap();
        assert!(
            report::strip(&read, &report::report(&read, None, Some(&Options::new(99)))).unwrap().to_bytes().unwrap()
                == bytes
        );
    }
}

/// Where the exporter wrote stack traces, none of them is left.
#[test]
fn no_traces() {
    let path = case::fixtures().join("dpt_shared_norm.dy18b.onnx");
    let model = Model::load(&path).unwrap();
    assert!(std::fs::read(&path).unwrap().windows(11).any(|w| w == b"stack_trace"));
    let bytes = report::strip(&model, &report::report(&model, None, None)).unwrap().to_bytes().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for trace in ["stack_trace", ".py\"", "site-packages", "fx_node"] {
        assert!(!text.contains(trace), "{trace}");
    }
    assert!(text.contains("pkg.torch.onnx.name_scopes"));
}
