//! Clusters of windows, from standard operators: every window of two by two patches has a spread, the windows with the
//! least are one token each, all other patches stay tokens of their own.

use super::{
    arranged::{self, Part},
    build::Build,
};
use crate::{error::Error, plan::Plan, windows};
use ailurus_onnx::{Attribute, DataType, NodeSpec, ValueId};

/// Index, anchor and size, as `AilurusDensityPeaks` gives them.
pub struct Partition {
    pub index: ValueId,
    pub anchor: ValueId,
    pub size: ValueId,
}

/// Adds them; distances are measured on `metric`, `[B, T, d]`.
pub fn insert(b: &mut Build, plan: &Plan, metric: ValueId) -> Result<Partition, Error> {
    let t = &plan.tokens;
    let (Some(grid), Some(kept)) = (t.grid, t.clusters) else {
        return Err(Error::Plan("windows need a grid of patches that is known".into()));
    };
    b.standard()?;
    let merged = windows::merged(grid, t.keep)?;
    let of_patches = windows::of_patches(grid);
    let n = of_patches.len();
    let patches = arranged::patches(b, plan, metric)?;
    let spreads = spreads(b, patches, grid, plan.metric_width()?)?;
    let flags = flags(b, metric, spreads, windows::windows(grid), merged)?;

    // 1 for every patch that is in a merged window.
    let none = of_patches.iter().flatten().map(|(window, _)| window + 1).max().unwrap_or(0);
    let window: Vec<i64> = of_patches.iter().map(|w| w.map_or(none, |(window, _)| window) as i64).collect();
    let window = b.ints(&window)?;
    let inside = b.op("in_window", "Gather", &[flags, window], &[("axis", Attribute::Int(1))], None)?;

    // 1 for every patch that begins a row: all but the last three of a merged window.
    let back: Vec<i32> =
        of_patches.iter().enumerate().map(|(i, w)| w.map_or(0, |(_, first)| i - first) as i32).collect();
    let follows: Vec<i32> = back.iter().map(|&steps| i32::from(steps > 0)).collect();
    let (one, follows) = (b.numbers(&[1, 1], &[1])?, b.numbers(&[1, n as i64], &follows)?);
    let joined = b.op("joined", "Mul", &[inside, follows], &[], None)?;
    let begins = b.op("begins", "Sub", &[one, joined], &[], None)?;

    let axis = b.int(1)?;
    let counted = b.op("rows_up_to", "CumSum", &[begins, axis], &[], None)?;
    let order: Vec<i32> = (0..n as i32).collect();
    let (order, back) = (b.numbers(&[1, n as i64], &order)?, b.numbers(&[1, n as i64], &back)?);
    let back = b.op("steps_back", "Mul", &[inside, back], &[], None)?;
    let first = b.op("first_of_row", "Sub", &[order, back], &[], None)?;
    let row = b.op("row_number", "GatherElements", &[counted, first], &[("axis", Attribute::Int(1))], None)?;
    // Rows are counted from 1, and those of the prefix come before.
    let shift = b.numbers(&[1, 1], &[t.prefix as i32 - 1])?;
    let row = b.op("row", "Add", &[row, shift], &[], None)?;

    let (first, length) = (b.numbers(&[1, 1], &[t.prefix as i32])?, b.numbers(&[1, 1], &[2 * n as i32])?);
    let far = b.op("begins_first", "Mul", &[begins, length], &[], None)?;
    let far = b.op("begins_in_order", "Sub", &[far, order], &[], None)?;
    let far = cast(b, far, DataType::F32)?;
    let patch = smallest_or_largest(b, "anchor_patch", far, kept, true)?;
    let inside = b.op("anchor_in_window", "GatherElements", &[inside, patch], &[("axis", Attribute::Int(1))], None)?;
    let patch = cast(b, patch, DataType::I32)?;
    let anchor = b.op("anchor_token", "Add", &[patch, first], &[], None)?;
    let three = b.numbers(&[1, 1], &[3])?;
    let size = b.op("members_joined", "Mul", &[inside, three], &[], None)?;
    let size = b.op("members", "Add", &[size, one], &[], None)?;

    let (prefix, suffix) = (t.prefix as i32, t.suffix as i32);
    let of_rows = |before: i32| Part { before: (0..prefix).collect(), behind: (before..before + suffix).collect() };
    let alone = Part { before: vec![1; t.prefix], behind: vec![1; t.suffix] };
    let index = arranged::between(b, "index", row, of_rows(prefix + kept as i32))?;
    let anchor = arranged::between(b, "anchor", anchor, of_rows(prefix + n as i32))?;
    let size = arranged::between(b, "sizes", size, alone)?;
    let to = Attribute::Int(i64::from(DataType::F32.to_onnx()));
    let size = b.op("size", "Cast", &[size], &[("to", to)], None)?;
    Ok(Partition { index, anchor, size })
}

/// How much the patches of every window differ: the sum of their squared distances to their mean, `[B, windows]`.
fn spreads(b: &mut Build, patches: ValueId, (h, w): (usize, usize), width: usize) -> Result<ValueId, Error> {
    let (rows, columns) = windows::windows((h, w));
    let [h, w, width, rows, columns] = [h, w, width, rows, columns].map(|n| n as i64);
    let patches = cast(b, patches, DataType::F32)?;
    let mut map = b.reshape("window_map", patches, &[0, h, w, width], None)?;
    if (2 * rows, 2 * columns) != (h, w) {
        let (start, end, axes) = (b.ints(&[0, 0])?, b.ints(&[2 * rows, 2 * columns])?, b.ints(&[1, 2])?);
        map = b.op("window_whole", "Slice", &[map, start, end, axes], &[], None)?;
    }
    let parts = b.reshape("window_patches", map, &[0, rows, 2, columns, 2, width], None)?;
    let mean = b.reduce("window_mean", "ReduceMean", parts, &[2, 4], true)?;
    let away = b.op("window_away", "Sub", &[parts, mean], &[], None)?;
    let away = b.op("window_squares", "Mul", &[away, away], &[], None)?;
    let spread = b.reduce("window_spread", "ReduceSum", away, &[2, 4, 5], false)?;
    let spread = b.reshape("window_spreads", spread, &[0, rows * columns], None)?;
    // What is not a number is merged last.
    let broken = b.op("window_broken", "IsNaN", &[spread], &[], None)?;
    let most = b.float(DataType::F32, f32::INFINITY)?;
    b.op("window_order", "Where", &[broken, most, spread], &[], None)
}

/// 1 for windows that are merged, and a 0 behind them for patches that have no window: i32 `[B, windows + 1]`.
fn flags(
    b: &mut Build,
    metric: ValueId,
    spreads: ValueId,
    (rows, columns): (usize, usize),
    merged: usize,
) -> Result<ValueId, Error> {
    let count = rows * columns + 1;
    let none = b.numbers(&[1, count as i64], &vec![0; count])?;
    let none = arranged::for_images(b, "no_window", metric, none, &[1, count as i64])?;
    if merged == 0 {
        return Ok(none);
    }
    // Of equal ones the first: that is how TopK orders.
    let windows = smallest_or_largest(b, "merged_windows", spreads, merged, false)?;
    let zero = arranged::zero_column(b, windows)?;
    let zero = cast(b, zero, DataType::I32)?;
    let ones = b.numbers(&[1, merged as i64], &vec![1; merged])?;
    let ones = b.op("windows", "Add", &[zero, ones], &[], None)?;
    b.op("merged_flags", "ScatterElements", &[none, windows, ones], &[("axis", Attribute::Int(1))], None)
}

/// Positions of the so many smallest or largest numbers along the last axis, in order: i64.
fn smallest_or_largest(b: &mut Build, what: &str, v: ValueId, count: usize, largest: bool) -> Result<ValueId, Error> {
    let count = b.ints(&[count as i64])?;
    let (values, positions) = (b.name(&format!("{what}_values")), b.name(what));
    let node = NodeSpec::new("TopK", [v, count]).name(positions.clone()).attribute("axis", Attribute::Int(-1));
    let node = node.attribute("largest", Attribute::Int(i64::from(largest))).attribute("sorted", Attribute::Int(1));
    let node = b.edit.add_node(node.output(values, None).output(positions, None))?;
    b.edit.outputs(node).get(1).copied().ok_or_else(|| Error::Plan("TopK has lost an output".into()))
}

fn cast(b: &mut Build, v: ValueId, to: DataType) -> Result<ValueId, Error> {
    b.op("cast", "Cast", &[v], &[("to", Attribute::Int(i64::from(to.to_onnx())))], None)
}
