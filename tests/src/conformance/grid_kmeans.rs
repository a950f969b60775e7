//! `AilurusGridKMeans`, and unfolding by its weights.

use super::{CHANNELS, DOMAIN, Load, Values, attributes, clustering, same, tokens};
use ailurus_ops::{Element, GridKMeans, Norm, TemperatureMode, UnfoldDims, reference};
use ailurus_runtime::testing::onnx::{ElementType, Graph};
use ailurus_runtime::{Data, Tensor};

fn cases() -> Vec<(GridKMeans, (usize, usize), Values)> {
    use Values::{Equal, Hostile, Noise, Tied};
    let fixed = |prefix, suffix, grid, clusters| GridKMeans::new(prefix, suffix, Some(grid), clusters);
    let parity = |params: GridKMeans| GridKMeans {
        temperature: 0.3,
        temperature_mode: TemperatureMode::Absolute,
        norm: Norm::L2,
        ties: params.tokens(),
        ..params
    };
    vec![
        (fixed(1, 0, (4, 6), (2, 3)), (4, 6), Noise),
        (fixed(1, 2, (5, 7), (4, 4)), (5, 7), Noise),
        (GridKMeans { neighbors: 20, ..fixed(5, 0, (14, 14), (10, 10)) }, (14, 14), Noise),
        (fixed(0, 0, (4, 4), (4, 4)), (4, 4), Noise),
        (GridKMeans { iterations: 0, window: 1, neighbors: 1, ..fixed(0, 1, (1, 30), (1, 7)) }, (1, 30), Noise),
        (GridKMeans::new(2, 1, None, (3, 2)), (4, 4), Noise),
        (GridKMeans::new(2, 1, None, (3, 2)), (5, 3), Noise),
        (parity(fixed(1, 0, (6, 6), (3, 3))), (6, 6), Noise),
        (parity(fixed(1, 0, (6, 6), (3, 3))), (6, 6), Tied),
        (fixed(1, 0, (6, 6), (3, 3)), (6, 6), Equal),
        (fixed(1, 0, (6, 6), (3, 3)), (6, 6), Hostile),
    ]
}

/// Clusters, changes the rows, and unfolds in both ways.
fn model(params: &GridKMeans, kind: ElementType) -> Vec<u8> {
    let plain = ailurus_ops::Merge.attributes();
    let plain = attributes(&plain);
    let channels = CHANNELS.to_string();
    let graph = Graph::new().input("x", kind, &["batch", "t", &channels]);
    let outputs = ["start", "index", "weight"];
    clustering(graph, "AilurusGridKMeans", params.grid.is_some(), &outputs, &params.attributes())
        .node("Neg", &["start"], &["z"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index", "weight"], &["copied"], &plain)
        .custom(DOMAIN, "AilurusUnfoldResidual", &["z", "start", "x", "index", "weight"], &["y"], &plain)
        .output("start", kind, &["batch", "r", &channels])
        .output("index", ElementType::I32, &["batch", "t", "k"])
        .output("weight", ElementType::F32, &["batch", "t", "k"])
        .output("copied", kind, &["batch", "t", &channels])
        .output("y", kind, &["batch", "t", &channels])
        .model()
}

pub(super) fn check<E>(load: Load<'_>, kind: ElementType)
where
    E: Element + std::ops::Neg<Output = E>,
    Data: From<Vec<E>>,
{
    for (params, grid, values) in cases() {
        let session = load(&model(&params, kind));
        let image = Tensor::new([1, 1, grid.0, grid.1], vec![0f32; grid.0 * grid.1]).unwrap();
        for batch in [1, 3] {
            let count = params.prefix + grid.0 * grid.1 + params.suffix;
            let x = tokens(values, batch * count * CHANNELS, 11 + batch as u64);
            let x: Vec<E> = x.into_iter().map(E::from_f32).collect();
            let want = expected(&params, grid, batch, &x);
            let x = Tensor::new([batch, count, CHANNELS], x).unwrap();
            let mut inputs = vec![("x", &x)];
            if params.grid.is_none() {
                inputs.push(("image", &image));
            }
            let got = session.run(&inputs).unwrap();
            for ((name, got), want) in got.iter().zip(&want) {
                let about = format!("{name} of {params:?}, {values:?}, batch {batch}");
                assert!(same(got, want), "{about}:\n{got:?}\n{want:?}");
            }
        }
    }
}

/// What the model must give, by the definitions.
fn expected<E>(p: &GridKMeans, grid: (usize, usize), batch: usize, x: &[E]) -> Vec<Tensor>
where
    E: Element + std::ops::Neg<Output = E>,
    Data: From<Vec<E>>,
{
    let tokens = p.prefix + grid.0 * grid.1 + p.suffix;
    let c = reference::grid_kmeans(p, x, batch, CHANNELS, grid).unwrap();
    let (rows, choices) = (c.rows, c.choices);
    let dims = UnfoldDims { batch, rows, tokens, choices, channels: CHANNELS };
    let z: Vec<E> = c.z.iter().map(|v| -*v).collect();
    let copied = reference::unfold(&z, &c.index, Some(&c.weight), dims).unwrap();
    let y = reference::unfold_residual(&z, &c.z, x, &c.index, Some(&c.weight), dims).unwrap();
    let make = |dims: Vec<usize>, data: Data| Tensor::new(dims, data).unwrap();
    vec![
        make(vec![batch, rows, CHANNELS], c.z.into()),
        make(vec![batch, tokens, choices], c.index.into()),
        make(vec![batch, tokens, choices], c.weight.into()),
        make(vec![batch, tokens, CHANNELS], copied.into()),
        make(vec![batch, tokens, CHANNELS], y.into()),
    ]
}
