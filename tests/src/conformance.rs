//! The operators in a runtime, against their definitions: one suite for every runtime that has them.

mod grid_kmeans;

use ailurus_ops::{AttrValue, DensityPeaks, Element, Keep, MergeDims, UnfoldDims, reference};
use ailurus_runtime::testing::onnx::{Attribute, ElementType, Graph};
use ailurus_runtime::{Data, Session, Tensor};
use half::f16;

/// Domain of the operators.
pub const DOMAIN: &str = ailurus_ops::DOMAIN;
/// Channels of every metric and stream here: not a multiple of anything.
const CHANNELS: usize = 21;

/// Prepares a model in the runtime under test.
pub type Load<'a> = &'a dyn Fn(&[u8]) -> Box<dyn Session>;

/// What the tokens hold.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// Numbers without near-ties.
    Noise,
    /// Three different numbers only.
    Tied,
    /// The same number everywhere.
    Equal,
    /// Some that are not numbers, infinite, or overflow when they are squared.
    Hostile,
}

/// A problem.
#[derive(Clone, Copy, Debug)]
struct Case {
    params: DensityPeaks,
    grid: (usize, usize),
    values: Values,
}

/// Runs the suite.
///
/// # Panics
/// When something is not as defined.
pub fn check(load: Load<'_>) {
    for case in cases() {
        clusters_and_rows::<f32>(load, &case, ElementType::F32);
        clusters_and_rows::<f16>(load, &case, ElementType::F16);
    }
    weighted_rows::<f32>(load, ElementType::F32);
    weighted_rows::<f16>(load, ElementType::F16);
    grid_kmeans::check::<f32>(load, ElementType::F32);
    grid_kmeans::check::<f16>(load, ElementType::F16);
}

fn cases() -> Vec<Case> {
    use Values::{Equal, Hostile, Noise, Tied};
    let third = Keep::Ratio { num: 1, den: 3 };
    let wide = DensityPeaks { neighbors: 4, window: 40, spatial_mix: 0.9, ..DensityPeaks::new(1, 0, None, third) };
    let fixed = |prefix, suffix, grid, keep| DensityPeaks::new(prefix, suffix, Some(grid), keep);
    let list = [
        (fixed(1, 0, (4, 6), Keep::Tokens(7)), (4, 6), Noise),
        (fixed(1, 2, (4, 6), Keep::Tokens(12)), (4, 6), Noise),
        (fixed(0, 0, (3, 3), Keep::Ratio { num: 1, den: 1 }), (3, 3), Noise),
        (fixed(0, 0, (1, 30), Keep::Tokens(1)), (1, 30), Noise),
        (fixed(5, 0, (23, 31), Keep::Ratio { num: 1, den: 2 }), (23, 31), Noise),
        (DensityPeaks::new(2, 1, None, third), (4, 4), Noise),
        (DensityPeaks::new(2, 1, None, third), (5, 3), Noise),
        (DensityPeaks::new(0, 0, None, Keep::Tokens(3)), (2, 9), Tied),
        (wide, (7, 8), Noise),
        (wide, (7, 8), Tied),
        (fixed(1, 0, (6, 6), Keep::Tokens(9)), (6, 6), Equal),
        (fixed(1, 0, (6, 6), Keep::Tokens(9)), (6, 6), Hostile),
    ];
    list.map(|(params, grid, values)| Case { params, grid, values }).to_vec()
}

/// Attributes as the file writer takes them.
pub fn attributes<'a>(list: &'a [(&'static str, AttrValue)]) -> Vec<(&'static str, Attribute<'a>)> {
    let convert = |value: &'a AttrValue| match value {
        AttrValue::Int(v) => Attribute::Int(*v),
        AttrValue::Float(v) => Attribute::Float(*v),
        AttrValue::Str(v) => Attribute::Text(v),
        AttrValue::Ints(v) => Attribute::Ints(v),
    };
    list.iter().map(|(name, value)| (*name, convert(value))).collect()
}

/// Clusters, merges, changes the rows, and unfolds in both ways. Without a static grid the grid is an input, the token
/// count is open, and the output shapes are left to the runtime.
pub fn model(params: &DensityPeaks, kind: ElementType) -> Vec<u8> {
    let plain = ailurus_ops::Merge.attributes();
    let plain = attributes(&plain);
    let channels = CHANNELS.to_string();
    let tokens = params.grid.map_or("t".to_owned(), |(h, w)| (params.prefix + h * w + params.suffix).to_string());
    let graph = Graph::new().input("x", kind, &["batch", &tokens, &channels]);
    let clusters = ["index", "anchor", "size"];
    clustering(graph, "AilurusDensityPeaks", params.grid.is_some(), &clusters, &params.attributes())
        .custom(DOMAIN, "AilurusMerge", &["x", "index", "size"], &["start"], &plain)
        .node("Neg", &["start"], &["z"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index"], &["copied"], &plain)
        .custom(DOMAIN, "AilurusUnfoldResidual", &["z", "start", "x", "index"], &["y"], &plain)
        .output("index", ElementType::I32, &["batch", "t"])
        .output("anchor", ElementType::I32, &["batch", "r"])
        .output("size", ElementType::F32, &["batch", "r"])
        .output("start", kind, &["batch", "r", &channels])
        .output("copied", kind, &["batch", "t", &channels])
        .output("y", kind, &["batch", "t", &channels])
        .model()
}

/// An operator that clusters `x`. Without a fixed grid it has the input `grid` and the output `map`.
fn clustering(
    graph: Graph,
    operator: &str,
    fixed: bool,
    outputs: &[&str],
    list: &[(&'static str, AttrValue)],
) -> Graph {
    if fixed {
        return graph.custom(DOMAIN, operator, &["x"], outputs, &attributes(list));
    }
    // The grid as exporters compute it, from the shape of an input.
    let grid = graph
        .input("image", ElementType::F32, &["1", "1", "h", "w"])
        .initializer_i64("axes", &[2, 3])
        .node("Shape", &["image"], &["image_shape"])
        .node("Gather", &["image_shape", "axes"], &["grid"]);
    grid.custom(DOMAIN, operator, &["x", "grid"], &[outputs, &["map"]].concat(), &attributes(list))
}

/// Where the grid is an input, its sides are the shape of the output `map`. Not for runtimes that leave that output out.
pub fn check_map(load: Load<'_>) {
    let peaks = DensityPeaks::new(1, 0, None, Keep::Tokens(4)).attributes();
    let means = ailurus_ops::GridKMeans::new(1, 0, None, (2, 2)).attributes();
    let operators: [(&str, [&str; 3], _); 2] = [
        ("AilurusDensityPeaks", ["index", "anchor", "size"], peaks),
        ("AilurusGridKMeans", ["z", "index", "weight"], means),
    ];
    for (operator, outputs, list) in operators {
        let graph = Graph::new().input("x", ElementType::F32, &["1", "t", "8"]);
        let graph = clustering(graph, operator, false, &outputs, &list).output("map", ElementType::I32, &["h", "w"]);
        let session = load(&graph.output("index", ElementType::I32, &[]).model());
        for (h, w) in [(3, 5), (4, 2)] {
            let x = Tensor::new([1, 1 + h * w, 8], noise((1 + h * w) * 8, 5)).unwrap();
            let image = Tensor::new([1, 1, h, w], vec![0f32; h * w]).unwrap();
            let got = session.run(&[("x", &x), ("image", &image)]).unwrap();
            assert_eq!(got[0].1.dims(), [h, w], "{operator}");
        }
    }
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

fn clusters_and_rows<E>(load: Load<'_>, case: &Case, kind: ElementType)
where
    E: Element + std::ops::Neg<Output = E>,
    Data: From<Vec<E>>,
{
    let Case { params, grid, values } = case;
    let session = load(&model(params, kind));
    let image = Tensor::new([1, 1, grid.0, grid.1], vec![0f32; grid.0 * grid.1]).unwrap();
    for batch in [1, 3] {
        let count = params.prefix + grid.0 * grid.1 + params.suffix;
        let x = tokens(*values, batch * count * CHANNELS, 7 + batch as u64);
        let x: Vec<E> = x.into_iter().map(E::from_f32).collect();
        let want = expected(params, *grid, batch, &x);
        let x = Tensor::new([batch, count, CHANNELS], x).unwrap();
        let mut inputs = vec![("x", &x)];
        if params.grid.is_none() {
            inputs.push(("image", &image));
        }
        let got = session.run(&inputs).unwrap();
        for ((name, got), want) in got.iter().zip(&want) {
            assert!(same(got, want), "{name} of {case:?}, batch {batch}:\n{got:?}\n{want:?}");
        }
    }
}

/// Equal in type, shape and every element; any NaN is like any other, as it is not defined which comes out of a sum.
fn same(a: &Tensor, b: &Tensor) -> bool {
    let number = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan());
    a.data_type() == b.data_type()
        && a.dims() == b.dims()
        && a.to_f64().iter().zip(b.to_f64()).all(|(&x, y)| number(x, y))
}

fn weighted_rows<E: Element>(load: Load<'_>, kind: ElementType)
where
    Data: From<Vec<E>>,
{
    let plain = ailurus_ops::Merge.attributes();
    let plain = attributes(&plain);
    let channels = CHANNELS.to_string();
    let file = Graph::new()
        .input("z", kind, &["b", "r", &channels])
        .input("start", kind, &["b", "r", &channels])
        .input("base", kind, &["b", "t", &channels])
        .input("index", ElementType::I32, &["b", "t", "2"])
        .input("weight", ElementType::F32, &["b", "t", "2"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index", "weight"], &["copied"], &plain)
        .custom(DOMAIN, "AilurusUnfoldResidual", &["z", "start", "base", "index", "weight"], &["y"], &plain)
        .output("copied", kind, &["b", "t", &channels])
        .output("y", kind, &["b", "t", &channels])
        .model();
    let dims = UnfoldDims { batch: 1, rows: 3, tokens: 4, choices: 2, channels: CHANNELS };
    let values = |count: usize, seed| noise(count, seed).into_iter().map(E::from_f32).collect::<Vec<E>>();
    let (z, start, base) = (values(3 * CHANNELS, 1), values(3 * CHANNELS, 2), values(4 * CHANNELS, 3));
    let (index, weight) = (vec![0, 2, 1, 1, 2, 0, 0, 1], noise(8, 4));
    let copied = reference::unfold(&z, &index, Some(&weight), dims).unwrap();
    let y = reference::unfold_residual(&z, &start, &base, &index, Some(&weight), dims).unwrap();
    let inputs = [
        ("z", Tensor::new([1, 3, CHANNELS], z).unwrap()),
        ("start", Tensor::new([1, 3, CHANNELS], start).unwrap()),
        ("base", Tensor::new([1, 4, CHANNELS], base).unwrap()),
        ("index", Tensor::new([1, 4, 2], index).unwrap()),
        ("weight", Tensor::new([1, 4, 2], weight).unwrap()),
    ];
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let got = load(&file).run(&inputs).unwrap();
    assert_eq!(got[0].1, Tensor::new([1, 4, CHANNELS], copied).unwrap());
    assert_eq!(got[1].1, Tensor::new([1, 4, CHANNELS], y).unwrap());
}

fn tokens(values: Values, count: usize, seed: u64) -> Vec<f32> {
    let noise = noise(count, seed);
    let few = |v: f32| (v * 3.0).round();
    match values {
        Values::Noise => noise,
        Values::Tied => noise.into_iter().map(few).collect(),
        Values::Equal => vec![0.25; count],
        Values::Hostile => {
            let hostile = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -3e38, 1e-40];
            let pick = |(i, v): (usize, f32)| if i % 61 == 5 { hostile[i / 61 % hostile.len()] } else { v };
            noise.into_iter().enumerate().map(pick).collect()
        }
    }
}

/// Numbers without near-ties, the same in every run.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2654435761) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16777216.0 - 0.5
    };
    (0..count).map(|_| next()).collect()
}
