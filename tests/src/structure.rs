//! What must hold for a rewritten file whatever its numbers are.

use crate::{run, taps};
use ailurus_analyze::{Analysis, Code};
use ailurus_onnx::{Graph, Model, TensorType, ValueId};
use ailurus_rewrite::Plan;
use ailurus_runtime::Outputs;
use anyhow::{Context, Result, bail, ensure};

/// Same inputs and outputs: names, order, types.
pub fn interface(original: &Model, rewritten: &Model) -> Result<()> {
    let side = |g: &Graph, values: &[ValueId]| -> Vec<(String, Option<TensorType>)> {
        values.iter().map(|&v| (g.name_of(v).to_owned(), g.value(v).ty.clone())).collect()
    };
    let (a, b) = (&original.graph, &rewritten.graph);
    let inputs = |g: &Graph| side(g, &g.inputs().collect::<Vec<_>>());
    ensure!(inputs(a) == inputs(b), "inputs changed: {:?} to {:?}", inputs(a), inputs(b));
    let outputs = |g: &Graph| side(g, g.outputs());
    ensure!(outputs(a) == outputs(b), "outputs changed: {:?} to {:?}", outputs(a), outputs(b));
    Ok(())
}

/// A rewritten file is recognised.
pub fn refused_again(rewritten: &Model) -> Result<()> {
    let again = Model::from_bytes(rewritten.to_bytes()?)?;
    match Analysis::of(&again) {
        Err(r) if r.code == Code::AIL0212 => Ok(()),
        Err(r) => bail!("a second rewrite is refused for another reason: {r}"),
        Ok(_) => bail!("a second rewrite is not refused"),
    }
}

/// Values that show how many tokens each block runs on: block, value, and the axis counted from the back.
pub fn counters(a: &Analysis) -> Result<Vec<(usize, String, usize)>> {
    let cores = a.trunk.blocks.iter().enumerate().flat_map(|(k, b)| b.cores.iter().map(move |c| (k, c)));
    let counter = |(k, core)| taps::Place::of(a, core)?.counter(a).map(|(value, axis)| (k, value, axis));
    cores.map(counter).collect()
}

/// Blocks up to the cut run on all tokens, those behind it on the reduced number.
pub fn tokens(
    counters: &[(usize, String, usize)],
    outputs: &Outputs,
    plan: &Plan,
    full: usize,
    rows: usize,
) -> Result<()> {
    for (k, name, from_back) in counters {
        let dims = run::output(outputs, name)?.dims();
        let axis = dims.len().checked_sub(*from_back).context("axis of the tokens")?;
        let wanted = if *k < plan.layer { full } else { rows };
        ensure!(
            dims[axis] == wanted,
            "block {} runs on {} tokens ({name} is {dims:?}), not {wanted}",
            k + 1,
            dims[axis]
        );
    }
    Ok(())
}
