//! Gathers tables and masks that have a row per token by the token that stands for each cluster.

use super::{Clusters, Targets, build::Build};
use crate::{
    error::Error,
    plan::{Coverage, GatherEdit, Plan},
};
use ailurus_onnx::{Attribute, DataType, ValueId};
use std::collections::HashMap;

pub fn tables(b: &mut Build, plan: &Plan, targets: &Targets, clusters: &Clusters) -> Result<(), Error> {
    // A table used by several blocks is gathered once.
    let mut made: HashMap<(ValueId, Vec<usize>, Coverage, Option<usize>), ValueId> = HashMap::new();
    for (edit, &node) in plan.gathers.iter().zip(&targets.gathers) {
        let table = b.edit.graph().node(node).input(edit.input);
        let table = table.ok_or_else(|| Error::Plan(format!("`{}` has no input {}", edit.node, edit.input)))?;
        let key = (table, edit.axes.clone(), edit.coverage, edit.batch);
        let new = match made.get(&key) {
            Some(&v) => v,
            None => {
                let v = gather(b, plan, clusters, edit, table)?;
                made.insert(key, v);
                v
            }
        };
        b.edit.set_input(node, edit.input, Some(new))?;
    }
    Ok(())
}

/// The table without batch axis, its rows picked, and the batch in front.
fn gather(b: &mut Build, plan: &Plan, clusters: &Clusters, edit: &GatherEdit, table: ValueId) -> Result<ValueId, Error> {
    let (mut v, mut rank, mut axes) = (table, edit.rank, edit.axes.clone());
    if let Some(batch) = edit.batch {
        v = b.with_axes("table", "Squeeze", v, &[batch as i64], None)?;
        rank -= 1;
        axes.iter_mut().filter(|a| **a > batch).for_each(|a| *a -= 1);
    }
    let rows = representatives(b, plan, clusters, edit.coverage)?;
    let picked = match axes[..] {
        // [.., T, ..] -> [.., B, R, ..]
        [axis] => b.op("gathered", "Gather", &[v, rows], &[("axis", Attribute::Int(axis as i64))], None)?,
        // [.., T, T] -> [.., B, R, R]: one gather over pairs of tokens
        [first, second] if second == first + 1 && second + 1 == rank => pairs(b, v, rows, first, rank)?,
        _ => return Err(Error::Plan(format!("the table at `{}` has its token axes apart", edit.node))),
    };
    // The batch axis now stands where the first token axis stood.
    let at = axes[0];
    let mut perm: Vec<i64> = (0..=rank as i64).collect();
    let batch = perm.remove(at);
    perm.insert(0, batch);
    let front = if at == 0 { picked } else { b.transpose("gathered_rows", picked, &perm, None)? };
    let lead = edit.batch.unwrap_or(0);
    // Axes that the table lacked or had before the batch are broadcast.
    Ok(if lead == 0 { front } else { return Err(Error::Plan("a table with its batch behind other axes".into())) })
}

fn pairs(b: &mut Build, v: ValueId, rows: ValueId, first: usize, rank: usize) -> Result<ValueId, Error> {
    let mut flat = vec![0i64; first];
    flat.push(-1);
    let shape = b.op("table_shape", "Shape", &[v], &[], None)?;
    let last = b.int(rank as i64 - 1)?;
    let tokens = b.op("table_tokens", "Gather", &[shape, last], &[("axis", Attribute::Int(0))], None)?;
    let table = b.reshape("table_pairs", v, &flat, None)?;
    let across = b.with_axes("row_of_pair", "Unsqueeze", rows, &[2], None)?;
    let down = b.with_axes("column_of_pair", "Unsqueeze", rows, &[1], None)?;
    let scaled = b.op("pair_start", "Mul", &[across, tokens], &[], None)?;
    let index = b.op("pairs", "Add", &[scaled, down], &[], None)?;
    b.op("gathered_pairs", "Gather", &[table, index], &[("axis", Attribute::Int(first as i64))], None)
}

/// Position in the table of the token that stands for each row: i64 `[B, R]` or `[B, M]`.
fn representatives(b: &mut Build, plan: &Plan, clusters: &Clusters, coverage: Coverage) -> Result<ValueId, Error> {
    let to = Attribute::Int(i64::from(DataType::I64.to_onnx()));
    let anchor = b.op("anchor_i64", "Cast", &[clusters.anchor], &[("to", to)], None)?;
    if coverage == Coverage::Sequence {
        return Ok(anchor);
    }
    let (prefix, suffix) = (plan.tokens.prefix as i64, plan.tokens.suffix as i64);
    let start = b.ints(&[prefix])?;
    let end = b.ints(&[if suffix == 0 { i64::MAX } else { -suffix }])?;
    let axis = b.ints(&[1])?;
    let patches = b.op("anchor_patches", "Slice", &[anchor, start, end, axis], &[], None)?;
    let offset = b.int(prefix)?;
    b.op("patch_rows", "Sub", &[patches, offset], &[], None)
}
