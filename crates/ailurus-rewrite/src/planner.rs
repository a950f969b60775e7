//! From an analysis to a plan.

use crate::{
    error::Error,
    grid,
    layout::Layout,
    method, metric,
    options::{Keep, Method, Metric, Options, UnfoldAt},
    plan::{Cut, DimText, FORMAT, Flops, GridSource, MetricPlan, Plan, ShapeEdit, TokenPlan},
    proportional, quantize,
    simulate::{Extent, Simulation, simulate},
};
use ailurus_analyze::{Analysis, Code, Refusal, abs::Abs, axis::Axis, cores::Fault, flops};
use ailurus_onnx::{DataType, ValueId};

/// Makes a plan.
///
/// # Errors
/// A refusal when the layer is out of range or something behind the cut cannot run on fewer tokens.
pub fn plan(a: &Analysis, options: &Options) -> Result<Plan, Error> {
    let layer = options.layer.resolve(a)?;
    let span = tracing::debug_span!("plan", layer);
    let _guard = span.enter();
    let blocks = a.blocks();
    let t = &a.trunk.tokens;
    method::check(options)?;
    let (keep, clusters) = method::clusters(a, options)?;
    let on_grid = options.method.grid();
    if on_grid.is_none() {
        without_windows(a, layer)?;
    }
    let cut = cut(a, layer, on_grid.is_some())?;
    let sim = match on_grid {
        Some((grid, tables)) if grid::needs_grid(a, layer) => {
            grid::simulate(a, grid::Extent { layer, grid, unfold: options.unfold, tables })?
        }
        _ => {
            let tables = on_grid.map(|(_, tables)| tables);
            simulate(a, Extent { layer, clusters, unfold: options.unfold, at: options.unfold_at, tables })?
        }
    };
    let mut notes = Vec::new();
    if grid::needs_grid(a, layer) && options.unfold_at == UnfoldAt::Latest {
        notes.push("blocks with windows, or with a map as their stream, are unfolded where they end".into());
    }
    let metric = match (options.method, options.metric) {
        (Method::Expedit(_) | Method::Pool(_), _) | (_, Metric::Stream) => MetricPlan::Stream,
        (_, wish) => match metric::keys(a, layer) {
            Some(keys) => MetricPlan::Keys(keys),
            None if wish == Metric::Keys => {
                return Err(Refusal::new(
                    Code::AIL0211,
                    format!("the keys of block {} are not a projection with constant weights", layer + 1),
                    "use --metric stream",
                )
                .at(&a.interp.model.graph, a.trunk.blocks[layer].cores[0].scores)
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
    if let Some(n) = a.hidden() {
        let what = ailurus_analyze::refusal::describe(&a.interp.model.graph, n);
        notes.push(format!("what {what} does is not understood: blocks behind it, if there are any, were not seen"));
    }
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
    let proportional = if options.proportional { proportional::edits(a, layer, &sim)? } else { Vec::new() };
    let flops = count(a, &sim, &metric, options, clusters, cut.channels);
    Ok(Plan {
        format: FORMAT,
        layer,
        blocks,
        trunk: a.asked.clone(),
        unfold_at: options.unfold_at,
        tokens: TokenPlan { prefix: t.prefix, suffix: t.suffix, grid: a.grid(), patches: a.patches(), keep, clusters },
        cluster: method::plan(options),
        cut,
        metric,
        region,
        shapes: shapes(a, &sim),
        operands: sim.operands,
        gathers: sim.gathers,
        tables: sim.tables,
        proportional,
        unfolds: sim.unfolds,
        reroutes: sim.reroutes,
        flops,
        notes,
    })
}

/// Refuses windows behind the cut: clusters of any shape cannot be cut into windows.
fn without_windows(a: &Analysis, layer: usize) -> Result<(), Refusal> {
    match a.trunk.window_behind(layer) {
        Some(core) => Err(Refusal {
            next: "use --method expedit --grid ROWSxCOLUMNS, whose clusters are a grid that is cut into windows again"
                .into(),
            ..ailurus_analyze::windows::refuse(&a.interp, core, Fault::Windows, None)
        }),
        None => Ok(()),
    }
}

fn cut(a: &Analysis, layer: usize, maps: bool) -> Result<Cut, Error> {
    let v = a.trunk.streams[layer];
    let abs = a.interp.get(v);
    let axes = abs.map(|x| x.axes().to_vec()).unwrap_or_default();
    let layout = grid::layout(a, v).filter(|&l| maps || !l.is_map()).ok_or_else(|| {
        let shown: Vec<String> = axes.iter().map(|x| a.interp.atoms.show(x)).collect();
        let apart = axes.iter().filter(|x| a.interp.atoms.is_spatial(x)).count() > 1;
        let (what, next) = match apart {
            true => (
                "which keeps rows and columns of the patches as axes of their own",
                "use --method expedit --grid ROWSxCOLUMNS, whose clusters are a map again",
            ),
            false => ("which is not batch, tokens and channels", "choose another --layer"),
        };
        Refusal::new(
            Code::AIL0206,
            format!("the stream behind block {layer} has the layout [{}], {what}", shown.join(", ")),
            next,
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
    let channels = axes.get(layout.channel_axis()).and_then(|c| a.interp.atoms.known(c));
    let known = |i: usize| axes.get(i).and_then(|b| a.interp.atoms.known(b));
    let batch = match layout {
        Layout::BatchTokenChannel | Layout::BatchChannelToken | Layout::Map | Layout::ChannelMap => known(0),
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

fn count(
    a: &Analysis,
    sim: &Simulation,
    metric: &MetricPlan,
    options: &Options,
    clusters: Option<usize>,
    channels: Option<i64>,
) -> Flops {
    let before: f64 = flops::per_node(&a.interp).iter().map(|(_, f)| f).sum();
    let atoms = &sim.interp_atoms;
    // A number of clusters that is only known at run time is counted as its share of the assumed patches.
    let patches =
        atoms.symbols.eval(&atoms.run_size(&a.trunk.tokens.patches), &|name| atoms.symbols.assumed(name)).unwrap_or(1)
            as f64;
    let kept = clusters.map_or_else(
        || match options.keep {
            Keep::Tokens(m) => m as f64,
            Keep::Ratio { num, den } => (patches * num as f64 / den as f64).ceil(),
        },
        |m| m as f64,
    );
    let assume = |name: &str| if name == "clusters" { Some(kept as i64) } else { atoms.symbols.assumed(name) };
    let size = |x: &Axis| atoms.symbols.eval(&atoms.size(x), &assume).map_or(1.0, |v| v.max(0) as f64);
    let abs = |v: ValueId| -> Option<Abs> { sim.values.get(&v).or_else(|| a.interp.get(v)).cloned() };
    let g = &a.interp.model.graph;
    let mut after: f64 = g.nodes().map(|(_, node)| flops::of_node(node, &abs, &size)).sum();
    let channels = channels.map_or(1.0, |c| c as f64);
    let tokens = patches + (a.trunk.tokens.prefix + a.trunk.tokens.suffix) as f64;
    let width = match metric {
        MetricPlan::Stream => channels,
        MetricPlan::Keys(k) => {
            let width = k.columns.head_dim as f64;
            after += 2.0 * tokens * channels * width;
            width
        }
    };
    after += match options.method {
        Method::Ailurus => 3.0 * patches * (options.window as f64).min(patches) * width + 2.0 * tokens * channels,
        Method::Expedit(e) => {
            let (kept, side) = (kept.min(patches), 2.0 * (e.window / 2) as f64 + 1.0);
            let around = (side * side).min(kept);
            // Distances and sums in every iteration, distances to all centres at the end, and the way back.
            let iteration = 5.0 * patches * around * channels;
            let back = 2.0 * tokens * (e.neighbors as f64).min(kept) * channels;
            e.iterations as f64 * iteration + 3.0 * patches * kept * channels + back
        }
        // Sums over rows and columns of the pooled grid, and the way back.
        Method::Pool(p) => {
            let sums = 2.0 * patches * p.grid.1 as f64 + 2.0 * patches.min(kept * patches / p.grid.1 as f64);
            (sums + 2.0 * tokens * 4.0) * channels
        }
        Method::Windows => 4.0 * patches * width + 2.0 * tokens * channels,
    };
    Flops { before, after }
}
