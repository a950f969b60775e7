//! Proportional attention: adds the logarithm of its cluster's size to every key's score, so that a cluster weighs as much
//! as its members would together.

use super::{Clusters, Targets, arranged::Arranged, build::Build};
use crate::{
    error::Error,
    plan::{Plan, ProportionalEdit, ScoreForm},
};
use ailurus_onnx::{Attribute, DataType, ValueId};
use std::collections::HashMap;

pub fn insert(
    b: &mut Build,
    plan: &Plan,
    targets: &Targets,
    clusters: &Clusters,
    arranged: &mut Arranged,
) -> Result<(), Error> {
    let mut logs: HashMap<(usize, usize, i32), ValueId> = HashMap::new();
    for (edit, &node) in plan.proportional.iter().zip(&targets.proportional) {
        let old = b.edit.graph().node(node).input(edit.input);
        let dtype = DataType::from_onnx(edit.dtype);
        let beside = (edit.prefix, edit.suffix, edit.dtype);
        let log = match logs.get(&beside) {
            Some(&v) => v,
            None => {
                let size = arranged.size(b, plan, clusters, edit.prefix, edit.suffix)?;
                let v = logarithm(b, size, dtype)?;
                logs.insert(beside, v);
                v
            }
        };
        let new = match (edit.form, old) {
            (ScoreForm::Scores { rank, keys, heads }, Some(scores)) => {
                let bias = beside_scores(b, log, rank, keys, heads)?;
                b.op("proportional", "Add", &[scores, bias], &[], None)?
            }
            (ScoreForm::Scores { .. }, None) => return Err(no_input(edit)),
            (ScoreForm::Mask { boolean }, mask) => as_mask(b, log, mask, boolean, dtype)?,
        };
        b.edit.set_input(node, edit.input, Some(new))?;
    }
    Ok(())
}

fn logarithm(b: &mut Build, size: ValueId, dtype: DataType) -> Result<ValueId, Error> {
    let log = b.op("log_size", "Log", &[size], &[], None)?;
    match dtype {
        DataType::F32 => Ok(log),
        other => b.op("log_size_cast", "Cast", &[log], &[("to", Attribute::Int(i64::from(other.to_onnx())))], None),
    }
}

fn no_input(edit: &ProportionalEdit) -> Error {
    Error::Plan(format!("`{}` has no input {}", edit.node, edit.input))
}

/// `[B, R]` in a shape that broadcasts over scores: `[B, 1, 1, R]`, or `[B·H, 1, R]` where heads are folded into the batch.
fn beside_scores(b: &mut Build, log: ValueId, rank: usize, keys: usize, heads: usize) -> Result<ValueId, Error> {
    let rows = if heads > 1 {
        // [B, R] -> [B, H, R] -> [B·H, R]
        let one = b.with_axes("log_size_of_head", "Unsqueeze", log, &[1], None)?;
        let all = b.op("log_size_of_heads", "Concat", &vec![one; heads], &[("axis", Attribute::Int(1))], None)?;
        let folded = b.reshape("log_size_folded", all, &[-1, 1, 0], None)?;
        b.with_axes("log_size_rows", "Squeeze", folded, &[1], None)?
    } else {
        log
    };
    let spread: Vec<i64> = (1..rank).filter(|&i| i != keys).map(|i| i as i64).collect();
    b.with_axes("log_size_spread", "Unsqueeze", rows, &spread, None)
}

/// `[B, 1, R, R]` for the mask or bias input of a fused attention, together with what is there already.
fn as_mask(
    b: &mut Build,
    log: ValueId,
    mask: Option<ValueId>,
    boolean: bool,
    dtype: DataType,
) -> Result<ValueId, Error> {
    let row = b.with_axes("log_size_row", "Unsqueeze", log, &[1, 2], None)?;
    let column = b.with_axes("log_size_column", "Unsqueeze", log, &[1, 3], None)?;
    // Runtimes want the full extent of the last two axes: a column of zeros spreads the row.
    let zero = b.op("log_size_zero", "Sub", &[column, column], &[], None)?;
    let bias = b.op("log_size_mask", "Add", &[row, zero], &[], None)?;
    match mask {
        None => Ok(bias),
        Some(mask) if boolean => {
            let shut = b.float(dtype, f32::NEG_INFINITY)?;
            b.op("proportional", "Where", &[mask, bias, shut], &[], None)
        }
        Some(mask) => b.op("proportional", "Add", &[mask, bias], &[], None),
    }
}
