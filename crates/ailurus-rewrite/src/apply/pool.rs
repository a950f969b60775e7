//! Average pooling to a smaller grid, and the weights of bilinear resizing back, from standard operators.

use super::{Clusters, arranged, build::Build, corners::between};
use crate::{error::Error, options::Pool, plan::Plan};
use ailurus_onnx::{Attribute, DataType, Tensor, ValueId};

/// Rows that a token is made of again.
pub const CHOICES: usize = 4;

/// Adds the pooled stream.
pub fn insert(b: &mut Build, plan: &Plan, pool: &Pool, base: ValueId) -> Result<Clusters, Error> {
    let Some(grid) = plan.tokens.grid else {
        return Err(Error::Plan("pooling needs a grid of patches that is known".into()));
    };
    b.standard()?;
    let pooled = pooled(b, plan, pool.grid, grid, base)?;
    let start = beside(b, plan, base, pooled)?;
    let (index, weight) = bilinear(plan, pool.grid, grid);
    let tokens = (index.len() / CHOICES) as i64;
    let dims = [1, tokens, CHOICES as i64];
    let index = b.numbers(&dims, &index)?;
    let name = b.name("bilinear");
    let weight = b.edit.add_initializer(Tensor::from_f32(name, &dims, &weight))?;
    let index = arranged::for_images(b, "index", base, index, &dims)?;
    let weight = arranged::for_images(b, "weight", base, weight, &dims)?;
    Ok(Clusters { index, weight: Some(weight), anchor: None, base, start, size: None, grid: None })
}

/// Means of patches, `[B, M, C]` in the type of the stream: sums over columns, then over rows.
fn pooled(
    b: &mut Build,
    plan: &Plan,
    clusters: (usize, usize),
    grid: (usize, usize),
    base: ValueId,
) -> Result<ValueId, Error> {
    let channels = plan.metric_width()? as i64;
    let dtype = DataType::from_onnx(plan.cut.dtype);
    let cast = |b: &mut Build, v, to: DataType| match dtype {
        DataType::F32 => Ok(v),
        _ => b.op("pool_type", "Cast", &[v], &[("to", Attribute::Int(i64::from(to.to_onnx())))], None),
    };
    let patches = arranged::patches(b, plan, base)?;
    let patches = cast(b, patches, DataType::F32)?;
    let (height, width) = (grid.0 as i64, clusters.1 as i64);
    let map = b.reshape("pool_map", patches, &[0, height, grid.1 as i64, channels], None)?;
    let columns = shares(b, clusters.1, grid.1)?;
    let lines = b.op("pool_columns", "MatMul", &[columns, map], &[], None)?;
    let lines = b.reshape("pool_lines", lines, &[0, height, width * channels], None)?;
    let rows = shares(b, clusters.0, grid.0)?;
    let means = b.op("pool_rows", "MatMul", &[rows, lines], &[], None)?;
    let means = b.reshape("pooled", means, &[0, (clusters.0 * clusters.1) as i64, channels], None)?;
    cast(b, means, dtype)
}

/// Along one axis, how much each patch counts in each mean, as in PyTorch's `adaptive_avg_pool2d`: `[cells, patches]`.
fn shares(b: &mut Build, cells: usize, patches: usize) -> Result<ValueId, Error> {
    let mut all = vec![0.0f32; cells * patches];
    for (a, row) in all.chunks_exact_mut(patches).enumerate() {
        let (from, to) = (a * patches / cells, ((a + 1) * patches).div_ceil(cells));
        row[from..to].fill(1.0 / (to - from) as f32);
    }
    let name = b.name("pool_shares");
    Ok(b.edit.add_initializer(Tensor::from_f32(name, &[cells as i64, patches as i64], &all))?)
}

/// The stream's other tokens on both sides of its patches.
fn beside(b: &mut Build, plan: &Plan, base: ValueId, patches: ValueId) -> Result<ValueId, Error> {
    let (prefix, suffix) = (plan.tokens.prefix as i64, plan.tokens.suffix as i64);
    let mut parts = vec![patches];
    let axis = b.ints(&[1])?;
    for (start, end) in [(0, prefix), (-suffix, i64::MAX)] {
        if start == end || end == i64::MAX && suffix == 0 {
            continue;
        }
        let (first, last) = (b.ints(&[start])?, b.ints(&[end])?);
        let part = b.op("others", "Slice", &[base, first, last, axis], &[], None)?;
        parts.insert(if start == 0 { 0 } else { parts.len() }, part);
    }
    arranged::named(b, "merged", &parts)
}

/// For every token the rows it is made of, with their weights, the greatest first.
fn bilinear(plan: &Plan, clusters: (usize, usize), grid: (usize, usize)) -> (Vec<i32>, Vec<f32>) {
    let (prefix, suffix) = (plan.tokens.prefix, plan.tokens.suffix);
    let (mut index, mut weight) = (Vec::new(), Vec::new());
    let own = |row: usize| [(row, 1.0), (row, 0.0), (row, 0.0), (row, 0.0)];
    let patch = |(top, bottom, down): (usize, usize, f64), (left, right, across): (usize, usize, f64)| {
        let row = |y: usize, x: usize| prefix + y * clusters.1 + x;
        let mut four = [
            (row(top, left), (1.0 - down) * (1.0 - across)),
            (row(top, right), (1.0 - down) * across),
            (row(bottom, left), down * (1.0 - across)),
            (row(bottom, right), down * across),
        ];
        four.sort_by(|a, b| b.1.total_cmp(&a.1));
        four
    };
    let (rows, columns) = (between(grid.0, clusters.0), between(grid.1, clusters.1));
    let patches = rows.iter().flat_map(|&y| columns.iter().map(move |&x| patch(y, x)));
    let behind = prefix + clusters.0 * clusters.1;
    for four in (0..prefix).map(own).chain(patches).chain((behind..behind + suffix).map(own)) {
        index.extend(four.map(|(row, _)| row as i32));
        weight.extend(four.map(|(_, share)| share as f32));
    }
    (index, weight)
}
