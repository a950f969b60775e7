//! What is checked of a case.

use super::{
    Built, OnClusters, PATCH,
    case::{Blocks, Case, Mask, Order},
};
use ailurus_analyze::Analysis;
use ailurus_onnx::{GraphEdit, Model};
use ailurus_rewrite::{Emit, Options, Plan, UnfoldAt, UnfoldMode, options::Keep};
use ailurus_runtime::{Model as File, OnnxRuntime, Outputs, Runtime, SessionOptions, Tensor};
use std::path::Path;

type Inputs = Vec<(&'static str, Tensor)>;

/// Ok, or what is wrong: a word for the kind, and details.
/// Models are written to `dump` on the way.
pub fn check(case: &Case, seed: u32, runtime: Option<&OnnxRuntime>, dump: Option<&Path>) -> Result<(), String> {
    let mut built = super::build(case, seed, None);
    built.model = ailurus_rewrite::prepare(built.model).map_err(|e| format!("PREPARE {e}"))?;
    write(dump, "original", &built.model)?;
    let inputs = inputs(case);
    let before = runtime.map(|rt| run(rt, &built.model, &inputs)).transpose().map_err(|e| format!("INVALID {e}"))?;
    let a = Analysis::of(&built.model).map_err(|e| format!("REFUSED {e}"))?;
    let expect = |what: &str, is: bool| if is { Ok(()) } else { Err(format!("FOUND another {what}")) };
    let tokens = &a.trunk.tokens;
    expect("number of blocks", a.blocks() == case.sizes.blocks)?;
    expect("prefix or suffix", (tokens.prefix as i64, tokens.suffix as i64) == (case.sizes.prefix, case.sizes.suffix))?;
    let grid = (!case.open_grid()).then_some((case.sizes.grid.0 as usize, case.sizes.grid.1 as usize));
    expect("grid", a.grid() == grid)?;
    let width = if case.block.blocks == Blocks::TwoAttentions { 2 } else { 1 };
    expect("number of attentions", a.trunk.cores_behind(0).count() == width * case.sizes.blocks)?;
    expect("order of norms", a.trunk.post_norm == (case.block.order == Order::Post))?;
    for layer in 1..case.sizes.blocks {
        for keep in [1.0, 0.4] {
            let mut options = Options::new(layer);
            options.keep = Keep::share(keep).ok_or("no share")?;
            options.unfold = if case.copy { UnfoldMode::Copy } else { UnfoldMode::Residual };
            options.unfold_at = if case.latest { UnfoldAt::Latest } else { UnfoldAt::Trunk };
            options.proportional = case.proportional && keep < 1.0;
            let plan = ailurus_rewrite::plan(&a, &options).map_err(|e| format!("REFUSED layer {layer}: {e}"))?;
            let new = ailurus_rewrite::apply(&built.model, &plan, Emit::Function).map_err(|e| format!("APPLY {e}"))?;
            write(dump, "rewritten", &new)?;
            let (Some(rt), Some(before)) = (runtime, &before) else { continue };
            let place = |e: String| format!("{e} (layer {layer}, keep {keep})");
            if keep == 1.0 {
                let after = run(rt, &new, &inputs).map_err(|e| place(format!("RUN {e}")))?;
                same(&before[0].1, &after[0].1, 1e-3).map_err(|e| place(format!("WRONG, everything kept: {e}")))?;
            } else {
                fewer(case, seed, rt, &built, &plan, new, &inputs).map_err(place)?;
            }
        }
    }
    Ok(())
}

/// With fewer tokens: the outputs are those of the independent evaluation, and all attentions run on clusters.
fn fewer(
    case: &Case,
    seed: u32,
    rt: &OnnxRuntime,
    built: &Built,
    plan: &Plan,
    new: Model,
    inputs: &Inputs,
) -> Result<(), String> {
    let per_block = built.encoder / case.sizes.blocks;
    let cores = &built.cores[plan.layer * per_block..built.encoder];
    let node =
        new.graph.nodes().map(|(_, n)| n).find(|n| n.op_type == "AilurusDensityPeaks").ok_or("FOUND no clusters")?;
    // All in one run: patches at equal distance may be told apart by the last bit, which changes with what is fused.
    let mut wanted: Vec<_> = [0, 1, 2].iter().filter_map(|&i| node.output(i)).collect();
    for core in cores {
        wanted.push(new.graph.find(&core.name).ok_or_else(|| format!("FOUND no `{}`", core.name))?);
    }
    wanted.push(new.graph.find("out").ok_or("FOUND no output")?);
    let mut probe = GraphEdit::new(new);
    probe.set_graph_outputs(wanted).map_err(|e| e.to_string())?;
    let seen = run(rt, &probe.finish().map_err(|e| e.to_string())?, inputs).map_err(|e| format!("RUN {e}"))?;
    let rows = *seen[1].1.dims().last().ok_or("no rows")?;
    for (core, (_, value)) in cores.iter().zip(&seen[3..]) {
        let dims = value.dims();
        if dims[dims.len() - core.from_back] != rows + core.extra {
            return Err(format!("SLOW `{}` is {dims:?}, not {rows} tokens", core.name));
        }
    }
    // Post-norm streams are copied whatever was asked for.
    let copy = plan.unfolds.iter().all(|u| u.mode == UnfoldMode::Copy);
    let late = built.cores.get(built.encoder).is_some_and(|c| plan.region.contains(&c.name));
    let oracle = super::build(case, seed, Some(OnClusters { layer: plan.layer, copy, late }));
    let mut more = inputs.clone();
    more.extend(clusters(&seen, case.proportional));
    let expected = run(rt, &oracle.model, &more).map_err(|e| format!("INVALID oracle: {e}"))?;
    same(&expected[0].1, &seen[seen.len() - 1].1, 1e-3).map_err(|e| format!("WRONG: {e}"))
}

fn clusters(seen: &Outputs, proportional: bool) -> Inputs {
    let ints = |i: usize| seen[i].1.to_f64().iter().map(|&x| x as usize).collect::<Vec<_>>();
    let (index, anchor, size) = (ints(0), ints(1), seen[2].1.to_f64());
    let (b, t) = (seen[0].1.dims()[0], seen[0].1.dims()[1]);
    let r = anchor.len() / b;
    let (mut mean, mut pick, mut bonus) = (vec![0f32; b * t * t], vec![0f32; b * t * t], vec![-1e9f32; b * t]);
    for image in 0..b {
        for i in 0..t {
            let row = index[image * t + i];
            pick[(image * t + i) * t + anchor[image * r + row]] = 1.0;
            for j in (0..t).filter(|&j| index[image * t + j] == row) {
                mean[(image * t + i) * t + j] = (1.0 / size[image * r + row]) as f32;
            }
        }
        for row in 0..r {
            let members = if proportional { size[image * r + row].ln() } else { 0.0 };
            bonus[image * t + anchor[image * r + row]] = members as f32;
        }
    }
    let tensor = |dims: Vec<usize>, data: Vec<f32>| Tensor::new(dims, data).expect("as many as the shape says");
    vec![
        ("mean", tensor(vec![b, t, t], mean)),
        ("pick", tensor(vec![b, t, t], pick)),
        ("seen", tensor(vec![b, t], bonus)),
    ]
}

fn inputs(c: &Case) -> Inputs {
    let b = c.batch() as usize;
    let dims = vec![b, 3, (c.sizes.grid.0 * PATCH) as usize, (c.sizes.grid.1 * PATCH) as usize];
    let count = dims.iter().product::<usize>();
    let data: Vec<f32> = (0..count).map(|i| ((i * 7919 % 1013) as f32 / 1013.0 - 0.5) * 3.0).collect();
    let mut list = vec![("image", Tensor::new(dims, data).expect("as many elements as the shape says"))];
    if c.scores.mask != Mask::Nothing {
        let t = c.tokens() as usize;
        let visible: Vec<bool> = (0..b * t).map(|i| i % t == 0 || i % 5 != 3).collect();
        list.push(("visible", Tensor::new(vec![b, t], visible).expect("as many elements as the shape says")));
    }
    list
}

fn write(dump: Option<&Path>, name: &str, model: &Model) -> Result<(), String> {
    let Some(folder) = dump else { return Ok(()) };
    let bytes = model.to_bytes().map_err(|e| e.to_string())?;
    std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    std::fs::write(folder.join(format!("{name}.onnx")), bytes).map_err(|e| e.to_string())
}

fn run(rt: &OnnxRuntime, model: &Model, inputs: &Inputs) -> Result<Outputs, String> {
    let bytes = model.to_bytes().map_err(|e| e.to_string())?;
    let options = SessionOptions { threads: Some(1), ..SessionOptions::default() };
    let session = rt.load(File::Bytes(&bytes), &options).map_err(|e| format!("does not load: {e}"))?;
    let takes = |name: &str| session.inputs().iter().any(|i| i.name == name);
    let list: Vec<_> = inputs.iter().filter(|(name, _)| takes(name)).map(|(name, t)| (*name, t)).collect();
    session.run(&list).map_err(|e| format!("does not run: {e}"))
}

fn same(expected: &Tensor, is: &Tensor, most: f64) -> Result<(), String> {
    if expected.dims() != is.dims() {
        return Err(format!("{:?} instead of {:?}", is.dims(), expected.dims()));
    }
    let (x, y) = (expected.to_f64(), is.to_f64());
    let scale = x.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    let error = x
        .iter()
        .zip(&y)
        .map(|(x, y)| (x - y).abs() / scale)
        .fold(0.0f64, |m, e| if e > m || e.is_nan() { e } else { m });
    if error < most { Ok(()) } else { Err(format!("differs by {error}")) }
}
