//! An evaluation of a plan that shares nothing with the rewriter but the plan.
//!
//! Three runs of the original graph on all tokens:
//! 1. up to the cut: the stream, and what the next block projects to keys;
//! 2. behind the cut, where every token carries the mean of its cluster and attention sees only one token of each cluster:
//!    the rows of those tokens are what the shorter sequence must give, because a token behind the cut depends on the
//!    others only through attention;
//! 3. from the unfolded values to the outputs.
//!
//! No shape constant is touched, no table gathered: what goes wrong in either shows here.

use crate::{
    canonical::Stream,
    case::Inputs,
    clusters,
    mask::{Mask, Seen},
    metric::{self, Projection},
    probe,
    quantized::{self, Steps},
    run::{self, Loader},
    taps::places,
    windows,
};
use ailurus_analyze::{Analysis, axis::Run, cores::Core};
use ailurus_onnx::{GraphEdit, Model, Use, ValueId};
use ailurus_ops::{Clusters, MergeDims, UnfoldDims, reference};
use ailurus_rewrite::{
    Plan, UnfoldMode, apply,
    layout::Layout,
    plan::{ClusterPlan, MetricPlan, Quantization, UnfoldEdit},
};
use ailurus_runtime::{DataType, Outputs, Session, Tensor};
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;

/// The three runs, prepared.
pub struct Oracle<'a> {
    model: &'a Model,
    plan: &'a Plan,
    masks: Vec<Mask>,
    /// Values that leave the region without patches in them: class tokens and what was made of them.
    carried: Vec<String>,
    before: Box<dyn Session>,
    between: Box<dyn Session>,
    behind: Box<dyn Session>,
}

/// What the first run gave.
pub struct Before {
    outputs: Outputs,
    /// Images.
    pub batch: usize,
    base: Stream,
    dtype: DataType,
    /// What distances are measured on.
    pub metric: Stream,
    grid: (usize, usize),
}

impl<'a> Oracle<'a> {
    /// Prepares the runs.
    pub fn new(loader: Loader, a: &Analysis<'a>, plan: &'a Plan) -> Result<Self> {
        let model = a.interp.model;
        let carried = carried(a, plan)?;
        let (between, masks) = between(a, plan, &carried)?;
        let mut wanted = vec![plan.cut.value.as_str()];
        if let MetricPlan::Keys(k) = &plan.metric {
            wanted.push(&k.input);
            wanted.extend(Projection::computed(model, k));
        }
        wanted.extend(plan.cut.grid_source.as_ref().map(|g| g.value.as_str()));
        wanted.extend(masks.iter().filter_map(Mask::follows));
        let before = quantized::spelled_out(&probe::with_outputs(model, wanted)?)?;
        let behind = behind(a, plan, &carried)?;
        Ok(Self {
            model,
            plan,
            masks,
            carried,
            before: loader.load(&before).context("the run up to the cut")?,
            between: loader.load(&between).context("the run behind the cut")?,
            behind: loader.load(&quantized::spelled_out(&behind)?).context("the run to the outputs")?,
        })
    }

    /// The first run.
    pub fn before(&self, inputs: &Inputs, batch: usize) -> Result<Before> {
        let outputs = run::run(self.before.as_ref(), inputs)?;
        let cut = run::output(&outputs, &self.plan.cut.value)?;
        let base = self.read(cut, self.plan.cut.layout, batch, self.plan.cut.quantization.as_ref())?;
        let dtype = if self.plan.cut.quantization.is_some() { DataType::F32 } else { cut.data_type() };
        let metric = match &self.plan.metric {
            MetricPlan::Stream => base.clone(),
            MetricPlan::Keys(k) => {
                let input = self.read(run::output(&outputs, &k.input)?, k.layout, batch, k.quantization.as_ref())?;
                metric::keys(k, &Projection::read(self.model, k, &outputs)?, &input)?
            }
        };
        let grid = match (&self.plan.tokens.grid, &self.plan.cut.grid_source) {
            (Some(grid), _) => *grid,
            (None, Some(s)) => {
                let dims = run::output(&outputs, &s.value)?.dims();
                (dims[s.rows], dims[s.columns])
            }
            (None, None) => anyhow::bail!("the plan does not say where the grid is"),
        };
        Ok(Before { outputs, batch, base, dtype, metric, grid })
    }

    /// A tensor as a stream of numbers.
    fn read(&self, t: &Tensor, layout: Layout, batch: usize, q: Option<&Quantization>) -> Result<Stream> {
        let stream = Stream::read(t, layout, batch)?;
        Ok(match q {
            Some(q) => Steps::of(self.model, q)?.numbers(&stream),
            None => stream,
        })
    }

    /// A stream of numbers as the model stores it.
    fn write(&self, s: &Stream, layout: Layout, dtype: DataType, q: Option<&Quantization>) -> Result<Tensor> {
        match q {
            Some(q) => Steps::of(self.model, q)?.stored(s).write(layout, stored_type(q)),
            None => s.write(layout, dtype),
        }
    }

    /// The clusters of the definition.
    pub fn clusters(&self, seen: &Before) -> Result<Clusters> {
        let peaks = match &self.plan.cluster {
            ClusterPlan::DensityPeaks(peaks) => peaks,
            ClusterPlan::Windows { .. } => return windows::clusters(self.plan, &seen.metric),
            _ => anyhow::bail!("the oracle knows clusters that are parts of a whole"),
        };
        let (params, m) = (apply::density_peaks(self.plan, peaks), &seen.metric);
        Ok(match seen.dtype {
            DataType::F16 => reference::density_peaks(&params, &m.halves(), m.batch, m.channels, seen.grid)?,
            _ => reference::density_peaks(&params, &m.data, m.batch, m.channels, seen.grid)?,
        })
    }

    /// The second and the third run: the model's outputs for these clusters. `stored` is what an 8-bit stream started with:
    /// the mean of two neighbours lies just between two steps, and the last bit of a sum decides where it falls, so both
    /// have to start with the same ones.
    pub fn outputs(
        &self,
        inputs: &Inputs,
        seen: &Before,
        clusters: &Clusters,
        stored: Option<&Tensor>,
    ) -> Result<Outputs> {
        let cut = &self.plan.cut;
        let mut start = merge(seen, clusters)?;
        if let Some(q) = &cut.quantization {
            let steps = Steps::of(self.model, q)?;
            let stored = Stream::read(stored.context("no start in 8 bits")?, cut.layout, seen.batch)?;
            start = steps.nearest(&start, stored)?;
        }
        let spread = start.pick(&clusters.index);
        let mut feed = inputs.clone();
        let spread = self.write(&spread, cut.layout, seen.dtype, cut.quantization.as_ref())?;
        feed.push((cut.value.clone(), spread));
        // A cluster that weighs as much as its members has their number in front of its exponential.
        let bonus = |&size: &f32| if self.plan.proportional.is_empty() { 0.0 } else { size.ln() };
        for mask in &self.masks {
            let (prefix, suffix) = mask.beside.unwrap_or((self.plan.tokens.prefix, self.plan.tokens.suffix));
            let own = clusters::beside(clusters, self.plan, seen.batch, prefix, suffix);
            let tokens = own.index.len() / seen.batch;
            let visible = Seen { anchors: &own.anchor, bonus: own.size.iter().map(bonus).collect() };
            let scores =
                mask.follows().map(|v| anyhow::Ok(run::output(&seen.outputs, v)?.dims().to_vec())).transpose()?;
            let sizes = scores.unwrap_or_default();
            feed.push((mask.name.clone(), mask.tensor(&visible, seen.batch, tokens, &sizes)?));
        }
        let reduced = run::run(self.between.as_ref(), &feed).context("the run behind the cut")?;
        let mut feed = inputs.clone();
        for edit in &self.plan.unfolds {
            let t = run::output(&reduced, &edit.value)?;
            let quantization = edit.quantization.as_ref();
            let full = self.read(t, edit.layout, seen.batch, quantization)?;
            let own = clusters::beside(clusters, self.plan, seen.batch, edit.prefix, edit.suffix);
            let tokens = own.index.len() / seen.batch;
            ensure!(full.tokens == tokens, "`{}` has {} tokens, not {tokens}", edit.value, full.tokens);
            let z = full.pick(&own.anchor);
            let y = unfold(edit, &z, &start, seen, &own)?;
            feed.push((edit.value.clone(), self.write(&y, edit.layout, t.data_type(), quantization)?));
        }
        for value in &self.carried {
            feed.push((value.clone(), run::output(&reduced, value)?.clone()));
        }
        run::run(self.behind.as_ref(), &feed).context("the run to the outputs")
    }
}

fn stored_type(q: &Quantization) -> DataType {
    if q.stored == 3 { DataType::I8 } else { DataType::U8 }
}

/// The graph from the cut to the values that are unfolded, with masked attention.
fn between(a: &Analysis, plan: &Plan, carried: &[String]) -> Result<(Model, Vec<Mask>)> {
    let model = a.interp.model;
    let mut edit = GraphEdit::new(model.clone());
    let own = places(a, a.trunk.cores_behind(plan.layer))?;
    let masks = own.iter().map(|p| Mask::insert(&mut edit, a, p)).collect::<Result<Vec<_>>>()?;
    // A decoder that runs on clusters, too, sees the same tokens between others.
    let decoder = a.trunk.other_cores.iter().filter(|c| {
        let v = model.graph.node(c.context).output(0);
        v.is_some_and(|v| plan.region.iter().any(|name| name == model.graph.name_of(v)))
    });
    let mut late = Vec::new();
    for core in decoder {
        for place in places(a, std::iter::once(core))? {
            let mut mask = Mask::insert(&mut edit, a, &place)?;
            mask.beside = Some(around(a, core)?);
            late.push(mask);
        }
    }
    let mut masks = masks;
    masks.extend(late);
    cut(&mut edit, a, &plan.cut.value)?;
    let leaving = plan.unfolds.iter().map(|u| &u.value).chain(carried);
    let wanted = leaving.map(|v| probe::find(model, v)).collect::<Result<Vec<_>>>()?;
    edit.set_graph_outputs(wanted)?;
    edit.prune();
    edit.prune_inputs();
    // A plan may end before the last block, where nothing needs its mask.
    masks.retain(|m| edit.graph().find(&m.name).is_some());
    Ok((edit.finish()?, masks))
}

/// Values of the region that are used behind it and are not unfolded.
fn carried(a: &Analysis, plan: &Plan) -> Result<Vec<String>> {
    let g = &a.interp.model.graph;
    let mut region = HashSet::new();
    for name in &plan.region {
        region.extend(g.producer(probe::find(a.interp.model, name)?).map(|(n, _)| n));
    }
    let leaves = |v: ValueId| {
        g.uses(v).iter().any(|u| match u {
            Use::Input { node, .. } | Use::Capture { node } => !region.contains(node),
            Use::GraphOutput { .. } => true,
        })
    };
    let made = g.nodes().filter(|(id, _)| region.contains(id)).flat_map(|(_, n)| n.outputs.iter().flatten().copied());
    let named = made.filter(|&v| leaves(v)).map(|v| g.name_of(v).to_owned());
    Ok(named.filter(|name| plan.unfolds.iter().all(|u| u.value != *name)).collect())
}

/// Tokens before and behind the patches among the keys of a core.
fn around(a: &Analysis, core: &Core) -> Result<(usize, usize)> {
    let atoms = &a.interp.atoms;
    let runs = &core.memory.0;
    let at = runs.iter().position(|r| *r == a.trunk.tokens.patches).context("a decoder without the patches")?;
    let count = |runs: &[Run]| runs.iter().map(|r| atoms.symbols.known(&atoms.run_size(r))).sum::<Option<i64>>();
    let both = count(&runs[..at]).zip(count(&runs[at + 1..]));
    both.map(|(p, s)| (p as usize, s as usize)).context("an open number of other tokens")
}

/// The graph from the unfolded values to the outputs.
fn behind(a: &Analysis, plan: &Plan, carried: &[String]) -> Result<Model> {
    let mut edit = GraphEdit::new(a.interp.model.clone());
    for value in plan.unfolds.iter().map(|u| &u.value).chain(carried) {
        cut(&mut edit, a, value)?;
    }
    edit.prune();
    edit.prune_inputs();
    for core in a.trunk.cores_behind(plan.layer) {
        let name = a.interp.model.graph.node(core.context).output(0).map(|v| a.interp.model.graph.name_of(v));
        let left = name.is_some_and(|n| edit.graph().find(n).is_some());
        ensure!(!left, "the outputs can be reached from block {} around all unfolded values", plan.layer + 1);
    }
    Ok(edit.finish()?)
}

fn cut(edit: &mut GraphEdit, a: &Analysis, value: &str) -> Result<()> {
    let abs = probe::find(a.interp.model, value).map(|v| a.interp.get(v))?;
    let abs = abs.with_context(|| format!("nothing is known about `{value}`"))?;
    probe::cut(edit, value, abs.dtype, abs.rank().context("unknown rank")?)
}

fn merge(seen: &Before, c: &Clusters) -> Result<Stream> {
    let b = &seen.base;
    let dims = MergeDims { batch: b.batch, tokens: b.tokens, rows: c.rows, channels: b.channels };
    Ok(match seen.dtype {
        DataType::F16 => b.with(c.rows, &reference::merge(&b.halves(), &c.index, &c.size, dims)?),
        _ => b.with(c.rows, &reference::merge(&b.data, &c.index, &c.size, dims)?),
    })
}

fn unfold(edit: &UnfoldEdit, z: &Stream, start: &Stream, seen: &Before, c: &Clusters) -> Result<Stream> {
    let base = &seen.base;
    let tokens = c.index.len() / z.batch;
    let dims = UnfoldDims { batch: z.batch, rows: c.rows, tokens, choices: 1, channels: z.channels };
    let index = &c.index;
    Ok(match (edit.mode, seen.dtype) {
        (UnfoldMode::Copy, _) => z.with(tokens, &reference::unfold(&z.data, index, None, dims)?),
        (UnfoldMode::Residual, DataType::F16) => {
            let y = reference::unfold_residual(&z.halves(), &start.halves(), &base.halves(), index, None, dims)?;
            z.with(tokens, &y)
        }
        (UnfoldMode::Residual, _) => {
            let y = reference::unfold_residual(&z.data, &start.data, &base.data, index, None, dims)?;
            z.with(tokens, &y)
        }
    })
}
