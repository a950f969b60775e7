//! Gathers tables and masks that have a row per token by the token that stands for each cluster.

use super::{Clusters, Targets, arranged::patches, build::Build, corners::Corners};
use crate::{
    error::Error,
    plan::{Coverage, GatherEdit, Plan},
};
use ailurus_onnx::{Attribute, DataType, ValueId};
use std::collections::HashMap;

/// What makes the reading of a table the same in two places: the table, token axes, which tokens, batch axis, rank of the
/// result, and the type in which it is resized.
type Reading = (ValueId, Vec<usize>, Coverage, usize, usize, Option<i32>);

pub fn tables(b: &mut Build, plan: &Plan, targets: &Targets, clusters: &Clusters) -> Result<(), Error> {
    // A table used by several blocks is gathered once.
    let mut made: HashMap<Reading, ValueId> = HashMap::new();
    let mut corners = Corners::new(plan, clusters);
    for (edit, &node) in plan.gathers.iter().zip(&targets.gathers) {
        let table = b.edit.graph().node(node).input(edit.input);
        let table = table.ok_or_else(|| Error::Plan(format!("`{}` has no input {}", edit.node, edit.input)))?;
        let key = (table, edit.axes.clone(), edit.coverage, edit.batch, edit.out_rank, edit.resize);
        let new = match made.get(&key) {
            Some(&v) => v,
            None => {
                let v = match edit.resize {
                    None => {
                        let rows = match clusters.anchor {
                            Some(anchor) => representatives(b, plan, anchor, edit.coverage)?,
                            None => corners.nearest(b, edit.coverage)?,
                        };
                        gather(b, edit, table, rows)?
                    }
                    Some(dtype) => resize(b, &mut corners, edit, table, DataType::from_onnx(dtype))?,
                };
                made.insert(key, v);
                v
            }
        };
        b.edit.set_input(node, edit.input, Some(new))?;
    }
    Ok(())
}

/// The table resized to the grid of clusters: a weighted sum of its rows, for a row that lies between others.
fn resize(
    b: &mut Build,
    corners: &mut Corners<'_>,
    edit: &GatherEdit,
    table: ValueId,
    dtype: DataType,
) -> Result<ValueId, Error> {
    let corners = corners.around(b, edit)?;
    let whole = corners.len() == 1;
    let mut sum: Option<ValueId> = None;
    for corner in corners {
        let mut part = gather(b, edit, table, corner.rows)?;
        if !whole {
            // What is hidden by minus infinity stays hidden, and nothing of it is a number no more.
            let lowest = b.float(dtype, if dtype == DataType::F16 { -6e4 } else { -1e30 })?;
            part = b.op("corner", "Max", &[part, lowest], &[], None)?;
            part = b.op("corner_share", "Mul", &[part, corner.weight], &[], None)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => b.op("resized", "Add", &[sum, part], &[], None)?,
        });
    }
    sum.ok_or_else(|| Error::Plan("a table without corners".into()))
}

/// The table with its rows picked for each image, aligned with what it is combined with.
fn gather(b: &mut Build, edit: &GatherEdit, table: ValueId, rows: ValueId) -> Result<ValueId, Error> {
    let rank = edit.out_rank;
    let missing = rank.checked_sub(edit.rank).ok_or_else(|| Error::Plan("a table of too many axes".into()))?;
    if edit.per_image {
        return gather_per_image(b, edit, table, rows);
    }
    // Without the batch axis, which is of size 1 or among the missing ones.
    let mut v = table;
    if edit.batch >= missing {
        v = b.with_axes("table", "Squeeze", v, &[(edit.batch - missing) as i64], None)?;
    }
    let leading: Vec<i64> = (0..missing - usize::from(edit.batch < missing)).map(|i| i as i64).collect();
    if !leading.is_empty() {
        v = b.with_axes("table", "Unsqueeze", v, &leading, None)?;
    }
    let axes: Vec<usize> = edit.axes.iter().map(|&a| if a > edit.batch { a - 1 } else { a }).collect();
    let (picked, at) = match axes[..] {
        // [.., T, ..] -> [.., B, R, ..]
        [axis] => (b.op("gathered", "Gather", &[v, rows], &[("axis", Attribute::Int(axis as i64))], None)?, axis),
        // [.., T, T] -> [.., T·T] -> [.., B, R, R]: one gather over pairs of tokens
        [first, second] if second == first + 1 && second + 2 == rank => {
            let index = pairs(b, v, rows, rank - 1)?;
            let mut flat = vec![0i64; first];
            flat.push(-1);
            let table = b.reshape("table_pairs", v, &flat, None)?;
            (b.op("gathered_pairs", "Gather", &[table, index], &[("axis", Attribute::Int(first as i64))], None)?, first)
        }
        _ => return Err(Error::Plan(format!("the table at `{}` has its token axes apart", edit.node))),
    };
    // The batch now stands where the first token axis stood.
    if at == edit.batch {
        return Ok(picked);
    }
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    let batch = perm.remove(at);
    perm.insert(edit.batch, batch);
    b.transpose("gathered_rows", picked, &perm, None)
}

/// A table `[B, .., T, ..]` or `[B, .., T, T]`: each image picks from its own rows.
fn gather_per_image(b: &mut Build, edit: &GatherEdit, v: ValueId, rows: ValueId) -> Result<ValueId, Error> {
    // Its batch axis comes first, so it misses none.
    let rank = edit.rank;
    match edit.axes[..] {
        [axis] => {
            let mut forth: Vec<i64> = (0..rank as i64).collect();
            let token = forth.remove(axis);
            forth.insert(1, token);
            let moved = if axis == 1 { v } else { b.transpose("rows_first", v, &forth, None)? };
            let picked = rows_of_images(b, "gathered", moved, rows, 2)?;
            let mut back: Vec<i64> = (0..rank as i64).collect();
            let token = back.remove(1);
            back.insert(axis, token);
            if axis == 1 { Ok(picked) } else { b.transpose("gathered_rows", picked, &back, None) }
        }
        // [B, H, T, T] -> [B, T·T, H] -> [B, R, R, H] -> [B, H, R, R]
        [2, 3] if rank == 4 => {
            let index = pairs(b, v, rows, rank)?;
            let flat = b.reshape("table_pairs", v, &[0, 0, -1], None)?;
            let moved = b.transpose("pairs_first", flat, &[0, 2, 1], None)?;
            let picked = rows_of_images(b, "gathered_pairs", moved, index, 3)?;
            b.transpose("gathered_rows", picked, &[0, 3, 1, 2], None)
        }
        _ => Err(Error::Plan(format!("the table at `{}` has its token axes in an unusual place", edit.node))),
    }
}

/// `v[b, index[b, ..], ..]` for an index of the given rank.
fn rows_of_images(b: &mut Build, what: &str, v: ValueId, index: ValueId, rank: usize) -> Result<ValueId, Error> {
    if b.edit.model().opset() >= 12 {
        let index = b.with_axes("row_index", "Unsqueeze", index, &[rank as i64], None)?;
        return b.op(what, "GatherND", &[v, index], &[("batch_dims", Attribute::Int(1))], None);
    }
    // No batch dimensions yet: rows of all images in one list, each image's behind those before it.
    let along = [("axis", Attribute::Int(0))];
    let (zero, one) = (b.int(0)?, b.int(1)?);
    let shape = b.op("table_shape", "Shape", &[v], &[], None)?;
    let images = b.op("table_images", "Gather", &[shape, zero], &along, None)?;
    let length = b.op("table_rows", "Gather", &[shape, one], &along, None)?;
    let image = b.op("image", "Range", &[zero, images, one], &[], None)?;
    let first = b.op("first_of_image", "Mul", &[image, length], &[], None)?;
    let behind: Vec<i64> = (1..rank as i64).collect();
    let first = b.with_axes("first_row", "Unsqueeze", first, &behind, None)?;
    let index = b.op("row_index", "Add", &[index, first], &[], None)?;
    let flat = b.op("table_list", "Flatten", &[v], &[("axis", Attribute::Int(2))], None)?;
    let picked = b.op("picked_rows", "Gather", &[flat, index], &along, None)?;
    // What a row holds has its axes again.
    let (from, to) = (b.ints(&[2])?, b.ints(&[i64::MAX])?);
    let row = b.op("row_shape", "Slice", &[shape, from, to], &[], None)?;
    let kept = b.ints(&vec![0; rank])?;
    let whole = b.op("picked_shape", "Concat", &[kept, row], &along, None)?;
    b.op(what, "Reshape", &[picked, whole], &[], None)
}

/// Positions of pairs of representatives in a flattened `T·T`: i64 `[B, R, R]`.
fn pairs(b: &mut Build, v: ValueId, rows: ValueId, rank: usize) -> Result<ValueId, Error> {
    let shape = b.op("table_shape", "Shape", &[v], &[], None)?;
    let last = b.int(rank as i64 - 1)?;
    let tokens = b.op("table_tokens", "Gather", &[shape, last], &[("axis", Attribute::Int(0))], None)?;
    let across = b.with_axes("row_of_pair", "Unsqueeze", rows, &[2], None)?;
    let down = b.with_axes("column_of_pair", "Unsqueeze", rows, &[1], None)?;
    let scaled = b.op("pair_start", "Mul", &[across, tokens], &[], None)?;
    b.op("pairs", "Add", &[scaled, down], &[], None)
}

/// Position in the table of the token that stands for each row: i64 `[B, R]` or `[B, M]`.
fn representatives(b: &mut Build, plan: &Plan, anchor: ValueId, coverage: Coverage) -> Result<ValueId, Error> {
    let to = Attribute::Int(i64::from(DataType::I64.to_onnx()));
    let anchor = b.op("anchor_i64", "Cast", &[anchor], &[("to", to)], None)?;
    if coverage == Coverage::Sequence {
        return Ok(anchor);
    }
    let patches = patches(b, plan, anchor)?;
    let offset = b.int(plan.tokens.prefix as i64)?;
    b.op("patch_rows", "Sub", &[patches, offset], &[], None)
}
