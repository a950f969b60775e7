//! From an analysis to a plan.

use crate::{
    error::Error,
    layout::Layout,
    metric,
    options::{Metric, Options},
    plan::{ClusterPlan, Cut, DimText, FORMAT, Flops, GridSource, MetricPlan, Plan, ShapeEdit, TokenPlan},
    proportional, quantize,
    simulate::{Simulation, simulate},
};
use ailurus_analyze::{Analysis, Code, Refusal, abs::Abs, axis::Axis, flops};
use ailurus_onnx::{DataType, ValueId};
use ailurus_ops::DensityPeaks;

/// Makes a plan.
///
/// # Errors
/// A refusal when the layer is out of range or something behind the cut cannot run on fewer tokens.
pub fn plan(a: &Analysis, options: &Options) -> Result<Plan, Error> {
    let span = tracing::debug_span!("plan", layer = options.layer);
    let _guard = span.enter();
    let blocks = a.blocks();
    if options.layer == 0 || options.layer >= blocks {
        let next = match blocks {
            0 | 1 => "a model with a single block has no block left to run on fewer tokens".to_owned(),
            n => format!("choose --layer between 1 and {}", n - 1),
        };
        return Err(Refusal::new(
            Code::AIL0202,
            format!("layer {} is out of range: this model has {blocks} transformer blocks", options.layer),
            next,
        )
        .into());
    }
    let t = &a.trunk.tokens;
    let mut params = DensityPeaks::new(t.prefix, t.suffix, a.grid(), options.keep.into());
    (params.neighbors, params.window, params.spatial_mix) = (options.neighbors, options.window, options.spatial_mix);
    params.validate()?;
    let clusters = match (a.patches(), options.keep) {
        (Some(n), _) => Some(params.tokens(n)?),
        (None, crate::options::Keep::Tokens(m)) => Some(m),
        (None, _) => None,
    };
    let cut = cut(a, options.layer)?;
    let sim = simulate(a, options.layer, clusters, options.unfold)?;
    let mut notes = Vec::new();
    let metric = match options.metric {
        Metric::Stream => MetricPlan::Stream,
        wish => match metric::keys(a, options.layer) {
            Some(keys) => MetricPlan::Keys(keys),
            None if wish == Metric::Keys => {
                return Err(Refusal::new(
                    Code::AIL0211,
                    format!("the keys of block {} are not a projection with constant weights", options.layer + 1),
                    "use --metric stream",
                )
                .at(&a.interp.model.graph, a.trunk.cores[options.layer].scores)
                .into());
            }
            None => {
                notes.push(
                    "distances are measured on the stream: the keys of the next block are not a plain projection"
                        .into(),
                );
                MetricPlan::Stream
            }
        },
    };
    if t.permuted {
        notes.push("tokens are permuted after patch embedding: spatial neighbours are taken in token order".into());
    }
    if a.trunk.post_norm {
        notes.push("the stream is normalised in place: clusters are unfolded by copying".into());
    }
    let g = &a.interp.model.graph;
    let name = |v: ValueId| g.name_of(v).to_owned();
    let region =
        sim.region.iter().filter_map(|&id| g.node(id).outputs.iter().flatten().next().map(|&v| name(v))).collect();
    let proportional = if options.proportional { proportional::edits(a, options.layer, &sim)? } else { Vec::new() };
    let flops = count(a, &sim, &metric, options, clusters);
    Ok(Plan {
        format: FORMAT,
        layer: options.layer,
        blocks,
        tokens: TokenPlan {
            prefix: t.prefix,
            suffix: t.suffix,
            grid: a.grid(),
            patches: a.patches(),
            keep: options.keep,
            clusters,
        },
        cluster: ClusterPlan { neighbors: options.neighbors, window: options.window, spatial_mix: options.spatial_mix },
        cut,
        metric,
        region,
        shapes: shapes(a, &sim),
        operands: sim.operands,
        gathers: sim.gathers,
        proportional,
        unfolds: sim.unfolds,
        reroutes: sim.reroutes,
        flops,
        notes,
    })
}

fn cut(a: &Analysis, layer: usize) -> Result<Cut, Error> {
    let v = a.trunk.streams[layer];
    let abs = a.interp.get(v);
    let axes = abs.map(|x| x.axes().to_vec()).unwrap_or_default();
    let layout = Layout::of(&axes, &a.trunk.tokens, &a.interp.atoms).ok_or_else(|| {
        let shown: Vec<String> = axes.iter().map(|x| a.interp.atoms.show(x)).collect();
        Refusal::new(
            Code::AIL0206,
            format!(
                "the stream behind block {layer} has the layout [{}], which is not batch, tokens, channels",
                shown.join(", ")
            ),
            "choose another --layer",
        )
    })?;
    let held = abs.map_or(DataType::Undefined, |x| x.dtype);
    let (quantization, dtype) = match quantize::of(&a.interp, v) {
        Some((q, numbers)) => (Some(q), numbers),
        None => (None, held),
    };
    if quantize::is_stored_type(held) && quantization.is_none() {
        let refusal = Refusal::new(
            Code::AIL0208,
            format!("the stream behind block {layer} is stored in 8 bits, and its scale is not one constant number"),
            "quantise the model again without its residual sums, or choose another --layer",
        );
        let maker = a.interp.model.graph.producer(v);
        return Err(maker.map_or(refusal.clone(), |(n, _)| refusal.at(&a.interp.model.graph, n)).into());
    }
    if !matches!(dtype, DataType::F32 | DataType::F16) {
        return Err(Refusal::new(
            Code::AIL0208,
            format!("the stream behind block {layer} has element type {dtype:?}; clusters need F32, F16 or 8 bits"),
            "convert the model to F32 or F16, or choose another --layer",
        )
        .into());
    }
    let channels = axes.last().and_then(|c| a.interp.atoms.known(c));
    let known = |i: usize| axes.get(i).and_then(|b| a.interp.atoms.known(b));
    let batch = match layout {
        Layout::BatchTokenChannel => known(0),
        Layout::TokenBatchChannel => known(1),
        Layout::TokenChannel => Some(1),
        Layout::Flat => None,
    };
    if layout == Layout::Flat && (a.patches().is_none() || channels.is_none()) {
        return Err(Refusal::new(
            Code::AIL0206,
            "the stream folds batch and tokens into one axis, and their numbers are only known at run time",
            "export the model with a fixed image size",
        )
        .into());
    }
    let grid_source = if a.grid().is_some() { None } else { Some(grid_source(a)?) };
    Ok(Cut {
        value: a.interp.model.graph.name_of(v).to_owned(),
        layout,
        batch,
        channels,
        dtype: dtype.to_onnx(),
        quantization,
        grid_source,
    })
}

/// A value before the blocks that has rows and columns as axes of their own.
fn grid_source(a: &Analysis) -> Result<GridSource, Error> {
    let g = &a.interp.model.graph;
    let (rows, columns) = a.trunk.tokens.grid;
    for (_, node) in g.nodes() {
        for &v in node.outputs.iter().flatten() {
            let Some(abs) = a.interp.get(v) else { continue };
            let at = |atom| abs.axes().iter().position(|x| *x == Axis::atom(atom));
            if let (Some(r), Some(c)) = (at(rows), at(columns)) {
                return Ok(GridSource { value: g.name_of(v).to_owned(), rows: r, columns: c });
            }
        }
    }
    Err(Refusal::new(
        Code::AIL0206,
        "no tensor has rows and columns of the grid as axes",
        "fix the input size of the model",
    )
    .into())
}

fn shapes(a: &Analysis, sim: &Simulation) -> Vec<ShapeEdit> {
    let g = &a.interp.model.graph;
    let atoms = &sim.interp_atoms;
    let mut out = Vec::new();
    for &id in &sim.region {
        for &v in g.node(id).outputs.iter().flatten() {
            let (Some(new), Some(old)) = (sim.values.get(&v), a.interp.get(v)) else { continue };
            let Some(axes) = &new.axes else { continue };
            let changed =
                old.axes().iter().zip(axes).any(|(x, y)| !atoms.symbols.equal(&atoms.size(x), &atoms.size(y)));
            if changed {
                let dims = axes
                    .iter()
                    .map(|x| match atoms.known(x) {
                        Some(n) => DimText::Number(n),
                        None => DimText::Text(atoms.symbols.show(&atoms.size(x))),
                    })
                    .collect();
                out.push(ShapeEdit { value: g.name_of(v).to_owned(), dims, dtype: new.dtype.to_onnx() });
            }
        }
    }
    out
}

fn count(a: &Analysis, sim: &Simulation, metric: &MetricPlan, options: &Options, clusters: Option<usize>) -> Flops {
    let before: f64 = flops::per_node(&a.interp).iter().map(|(_, f)| f).sum();
    let atoms = &sim.interp_atoms;
    // A number of clusters that is only known at run time is counted as its share of the assumed patches.
    let patches =
        atoms.symbols.eval(&atoms.run_size(&a.trunk.tokens.patches), &|name| atoms.symbols.assumed(name)).unwrap_or(1)
            as f64;
    let kept = clusters.map_or_else(
        || match options.keep {
            crate::options::Keep::Tokens(m) => m as f64,
            crate::options::Keep::Ratio { num, den } => (patches * num as f64 / den as f64).ceil(),
        },
        |m| m as f64,
    );
    let assume = |name: &str| if name == "clusters" { Some(kept as i64) } else { atoms.symbols.assumed(name) };
    let size = |x: &Axis| atoms.symbols.eval(&atoms.size(x), &assume).map_or(1.0, |v| v.max(0) as f64);
    let abs = |v: ValueId| -> Option<Abs> { sim.values.get(&v).or_else(|| a.interp.get(v)).cloned() };
    let g = &a.interp.model.graph;
    let mut after: f64 = g.nodes().map(|(_, node)| flops::of_node(node, &abs, &size)).sum();
    let stream = a.interp.get(a.trunk.streams[options.layer]);
    let channels = stream.and_then(|s| s.axes().last()).map_or(1.0, size);
    let tokens = patches + (a.trunk.tokens.prefix + a.trunk.tokens.suffix) as f64;
    let width = match metric {
        MetricPlan::Stream => channels,
        MetricPlan::Keys(k) => {
            let width = k.columns.head_dim as f64;
            after += 2.0 * tokens * channels * width;
            width
        }
    };
    after += 3.0 * patches * (options.window as f64).min(patches) * width + 2.0 * tokens * channels;
    Flops { before, after }
}
