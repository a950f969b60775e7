//! Anchors, assignment and the three outputs.

use super::{Grid, join};
use crate::body::{BOOL, BodyAttr, BodyData, BodyTensor, Builder, F32, I32, I64};
use crate::density_peaks::DensityPeaks;

/// From scores `[B, N]` and distances `[B, L, N]` (none when windows hold one patch) to the outputs.
pub(super) fn assign(b: &mut Builder, grid: &Grid, params: &DensityPeaks, score: &str, distance: Option<&str>) {
    let top = b.top_k(score, &grid.clusters, 1, true).1;
    let anchors = b.top_k(&top, &grid.clusters, 1, false).0;

    // i32 [B, N]: 1 at anchors; the running sum numbers them in patch order.
    let marks = {
        let (zeros, ones) = (filled(b, score, 0), filled(b, &top, 1));
        b.with("ScatterElements", &[&zeros, &top, &ones], &[("axis", BodyAttr::Int(1))])
    };
    let axis = b.scalar_int(1, I64);
    let (row, one) = (b.op("CumSum", &[&marks, &axis]), b.scalar_i32(1));
    let row = b.op("Sub", &[&row, &one]);
    let is_anchor = b.cast(&marks, BOOL);

    let in_window = distance.map(|e| nearest_in_window(b, grid, &is_anchor, e));
    let everywhere = grid.fixed.is_some_and(|(h, w)| params.window >= h * w);
    let other = match in_window {
        // Windows that hold the whole grid hold an anchor.
        Some(nearest) if everywhere => nearest,
        Some(nearest) => {
            let none = b.scalar_i32(i32::MAX);
            let found = b.op("Less", &[&nearest, &none]);
            let anywhere = nearest_on_grid(b, grid, &is_anchor);
            b.op("Where", &[&found, &nearest, &anywhere])
        }
        None => nearest_on_grid(b, grid, &is_anchor),
    };
    let joined = b.op("Where", &[&is_anchor, &grid.patch, &other]);
    let joins = b.with("GatherElements", &[&row, &joined], &[("axis", BodyAttr::Int(1))]);
    outputs(b, grid, params, &joins, &anchors);
}

/// i32 tensor of one value in the shape of another.
fn filled(b: &mut Builder, like: &str, value: i32) -> String {
    let shape = b.op("Shape", &[like]);
    let value = BodyTensor { dims: vec![1], data: BodyData::I32(vec![value]) };
    b.with("ConstantOfShape", &[&shape], &[("value", BodyAttr::Tensor(value))])
}

/// i32 `[B, N]`: the anchor of the window at the smallest distance, ties to the lower index; `i32::MAX` without one.
fn nearest_in_window(b: &mut Builder, grid: &Grid, is_anchor: &str, e: &str) -> String {
    let huge = b.scalar_f32(f32::MAX);
    let mut anchor = b.gather(is_anchor, &grid.table, 1);
    if let Some(on_grid) = &grid.on_grid {
        anchor = b.op("And", &[&anchor, on_grid]);
    }
    let cost = b.op("Where", &[&anchor, e, &huge]);
    let least = b.reduce("ReduceMin", &cost, &[1], true);
    let hit = b.op("Equal", &[&cost, &least]);
    let hit = b.op("And", &[&hit, &anchor]);
    let none = b.scalar_i32(i32::MAX);
    let candidate = b.op("Where", &[&hit, &grid.table, &none]);
    b.reduce("ReduceMin", &candidate, &[1], false)
}

/// i32 `[B, N]`: the spatially nearest anchor, ties to the lower index. Exact, and O(N·(H + W)): nearest in every row of
/// the grid first, then over rows. The key `squared distance · N + index` orders by distance, then index.
fn nearest_on_grid(b: &mut Builder, grid: &Grid, is_anchor: &str) -> String {
    let key = grid.key_type();
    let none = if key == I32 { 1 << 30 } else { 1 << 60 };
    let none = b.scalar_int(none, key);
    let count = b.cast(&grid.count, key);
    let squares = |b: &mut Builder, along: &str| {
        let (from, to) = (b.unsqueeze(along, 1), b.unsqueeze(along, 0));
        let difference = b.op("Sub", &[&from, &to]);
        let difference = b.cast(&difference, key);
        let square = b.op("Mul", &[&difference, &difference]);
        b.op("Mul", &[&square, &count])
    };
    let shape = |b: &mut Builder, parts: &[&str]| b.concat(parts, 0);
    let (zero, one, all) = (b.ints(&[0]), b.ints(&[1]), b.ints(&[-1]));

    // [B, row, 1, anchor's column] + [column, anchor's column], least over the anchor's column
    let lines = shape(b, &[&zero, &grid.height, &one, &grid.width]);
    let is_anchor = b.op("Reshape", &[is_anchor, &lines]);
    let lines = shape(b, &[&grid.height, &one, &grid.width]);
    let index = b.op("Reshape", &[&grid.patch, &lines]);
    let index = b.cast(&index, key);
    let own = b.op("Where", &[&is_anchor, &index, &none]);
    let across = squares(b, &grid.columns);
    let in_row = b.op("Add", &[&own, &across]);
    let in_row = b.reduce("ReduceMin", &in_row, &[3], false);

    // [B, 1, anchor's row, column] + [row, anchor's row, 1], least over the anchor's row
    let in_row = b.unsqueeze(&in_row, 1);
    let down = squares(b, &grid.rows);
    let down = b.unsqueeze(&down, 2);
    let keys = b.op("Add", &[&in_row, &down]);
    let least = b.reduce("ReduceMin", &keys, &[2], false);
    let flat = shape(b, &[&zero, &all]);
    let least = b.op("Reshape", &[&least, &flat]);
    let nearest = b.op("Mod", &[&least, &count]);
    b.cast(&nearest, I32)
}

/// Writes `index`, `anchor` and `size`.
fn outputs(b: &mut Builder, grid: &Grid, params: &DensityPeaks, joins: &str, anchors: &str) {
    let (p, s) = (params.prefix, params.suffix);
    let prefix = b.scalar_i32(p as i32);
    let index = b.op("Add", &[joins, &prefix]);
    let anchors = b.cast(anchors, I32);
    let anchor = b.op("Add", &[&anchors, &prefix]);
    let size = sizes(b, grid, joins);

    let before = |b: &mut Builder| (p > 0).then(|| b.constant(&[1, p as i64], BodyData::I32((0..p as i32).collect())));
    // Numbers of the suffix, after `count` patches or rows.
    let after = |b: &mut Builder, count: &str| {
        (s > 0).then(|| {
            let numbers = b.constant(&[1, s as i64], BodyData::I32((p as i32..(p + s) as i32).collect()));
            let count = b.cast(count, I32);
            b.op("Add", &[&numbers, &count])
        })
    };
    let ones = |b: &mut Builder, n: usize| (n > 0).then(|| b.constant(&[1, n as i64], BodyData::F32(vec![1.0; n])));

    let parts = [before(b), Some(index), after(b, &grid.clusters)];
    join(b, grid, parts, "index");
    let parts = [before(b), Some(anchor), after(b, &grid.count)];
    join(b, grid, parts, "anchor");
    let parts = [ones(b, p), Some(size), ones(b, s)];
    join(b, grid, parts, "size");
}

/// f32 `[B, M]`: members of every cluster. A histogram as a product: with row = high · K + low, the count of a row is the
/// product of the one-hot matrices of high and low, `[high, N] x [N, low]`; exact, and far smaller than `[M, N]`.
fn sizes(b: &mut Builder, grid: &Grid, joins: &str) -> String {
    // About the square root of M balances the two matrices.
    let k = grid.fixed_clusters.map_or(64, |m| (m as f64).sqrt().ceil() as i64).max(1);
    let base = b.scalar_i32(k as i32);
    let high = b.op("Div", &[joins, &base]);
    let low = b.op("Mul", &[&high, &base]);
    let low = b.op("Sub", &[joins, &low]);
    let highs = match grid.fixed_clusters {
        Some(m) => b.range_i32(m.div_ceil(k as usize)),
        None => {
            let m = b.squeeze(&grid.clusters, 0);
            let m = b.cast(&m, I32);
            let above = b.scalar_i32(k as i32 - 1);
            let m = b.op("Add", &[&m, &above]);
            let highs = b.op("Div", &[&m, &base]);
            b.range(&highs)
        }
    };
    // [B, high, N] and [B, N, low]
    let highs = b.unsqueeze(&highs, 1);
    let high = b.unsqueeze(&high, 1);
    let high = b.op("Equal", &[&high, &highs]);
    let high = b.cast(&high, F32);
    let lows = b.range_i32(k as usize);
    let low = b.unsqueeze(&low, 2);
    let low = b.op("Equal", &[&low, &lows]);
    let low = b.cast(&low, F32);
    let counts = b.op("MatMul", &[&high, &low]);
    let counts = b.reshape(&counts, &[0, -1]);
    let (zero, one) = (b.ints(&[0]), b.ints(&[1]));
    b.op("Slice", &[&counts, &zero, &grid.clusters, &one])
}
