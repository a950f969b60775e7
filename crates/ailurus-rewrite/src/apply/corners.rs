//! Which rows of a table the clusters of a grid have: those of the patches around the middle of their cells, with weights.

use super::{
    Clusters,
    arranged::zero_column,
    build::{Build, floats},
    open_corners::OpenCorners,
};
use crate::{
    error::Error,
    plan::{Coverage, GatherEdit, Plan},
};
use ailurus_onnx::{Attribute, DataType, Tensor, ValueId};
use std::collections::HashMap;

/// Rows of a table, and what they count for.
#[derive(Clone, Copy)]
pub struct Corner {
    /// Row for every cluster, the same for all images: i64 `[B, R]` or `[B, M]`.
    pub rows: ValueId,
    /// A number for every cluster, shaped like what the table is combined with.
    pub weight: ValueId,
}

/// Along one axis: for every cluster the two patches around the middle of its cell, and how much the second counts. As
/// PyTorch's `interpolate`, mode `bilinear`, without aligned corners.
pub fn between(cells: usize, patches: usize) -> Vec<(usize, usize, f64)> {
    (0..cells)
        .map(|a| {
            let middle = ((a as f64 + 0.5) * patches as f64 / cells as f64 - 0.5).max(0.0);
            let first = (middle.floor() as usize).min(patches - 1);
            (first, (first + 1).min(patches - 1), middle - first as f64)
        })
        .collect()
}

/// A patch for every cluster, and how much it counts.
type Shares = (Vec<usize>, Vec<f32>);

/// Positions among the patches, and weights, of all corners of all clusters: four lists, or fewer where an axis keeps its
/// patches.
fn corners(clusters: (usize, usize), grid: (usize, usize)) -> Vec<Shares> {
    let (rows, columns) = (between(clusters.0, grid.0), between(clusters.1, grid.1));
    let sides = |keeps: bool| if keeps { 0..1 } else { 0..2 };
    let mut out = Vec::new();
    for down in sides(clusters.0 == grid.0) {
        for right in sides(clusters.1 == grid.1) {
            let pick = |side: usize, &(first, second, share): &(usize, usize, f64)| match side {
                0 => (first, 1.0 - share),
                _ => (second, share),
            };
            let all = rows.iter().flat_map(|y| columns.iter().map(move |x| (pick(down, y), pick(right, x))));
            out.push(all.map(|((y, wy), (x, wx))| (y * grid.1 + x, (wy * wx) as f32)).unzip());
        }
    }
    out
}

/// For every cluster the patch nearest to the middle of its cell, the first of several.
fn middles(clusters: (usize, usize), grid: (usize, usize)) -> Vec<usize> {
    let nearest = |cells, patches| {
        let pick = |(first, second, share): (usize, usize, f64)| if share > 0.5 { second } else { first };
        between(cells, patches).into_iter().map(pick).collect::<Vec<usize>>()
    };
    let columns = nearest(clusters.1, grid.1);
    nearest(clusters.0, grid.0).into_iter().flat_map(|y| columns.iter().map(move |x| y * grid.1 + x)).collect()
}

/// Rows and columns.
type Grid = (usize, usize);

/// The grid of clusters, and that of the patches if it is known.
fn grids(plan: &Plan) -> Result<(Grid, Option<Grid>), Error> {
    let clusters = plan.cluster.grid();
    let clusters = clusters.ok_or_else(|| Error::Plan("it reads a table for clusters that form no grid".into()))?;
    Ok((clusters, plan.tokens.grid))
}

/// Rows of tables for the clusters of a plan. What several tables need is made once.
pub struct Corners<'a> {
    plan: &'a Plan,
    clusters: &'a Clusters,
    open: Option<OpenCorners>,
    nearest: HashMap<Coverage, ValueId>,
    /// By tokens, element type, token axis and rank.
    around: HashMap<(Coverage, i32, usize, usize), Vec<Corner>>,
}

impl<'a> Corners<'a> {
    pub fn new(plan: &'a Plan, clusters: &'a Clusters) -> Self {
        Self { plan, clusters, open: None, nearest: HashMap::new(), around: HashMap::new() }
    }

    /// The row of the nearest patch for every cluster: i64 `[B, R]` or `[B, M]`.
    pub fn nearest(&mut self, b: &mut Build, coverage: Coverage) -> Result<ValueId, Error> {
        if let Some(&v) = self.nearest.get(&coverage) {
            return Ok(v);
        }
        let (small, large) = grids(self.plan)?;
        let list = match large {
            Some(large) => known(b, self.plan, coverage, &middles(small, large))?,
            None => {
                let plan = self.plan;
                let open = self.open(b, small)?;
                let middles = open.middles(b)?;
                computed(b, plan, coverage, middles, open.count)?
            }
        };
        let v = for_images(b, self.clusters, list)?;
        self.nearest.insert(coverage, v);
        Ok(v)
    }

    /// The rows and weights of an edit that resizes a table.
    pub fn around(&mut self, b: &mut Build, edit: &GatherEdit) -> Result<Vec<Corner>, Error> {
        let [axis] = edit.axes[..] else {
            return Err(Error::Plan(format!("the table at `{}` has several token axes, and is resized", edit.node)));
        };
        let dtype = edit.resize.unwrap_or(DataType::F32.to_onnx());
        let key = (edit.coverage, dtype, axis, edit.out_rank);
        if let Some(made) = self.around.get(&key) {
            return Ok(made.clone());
        }
        let (plan, (small, large)) = (self.plan, grids(self.plan)?);
        let dtype = DataType::from_onnx(dtype);
        let mut dims = vec![1i64; edit.out_rank];
        dims[axis] = -1;
        let corners = match large {
            Some(large) => known_corners(b, plan, edit.coverage, dtype, &dims, corners(small, large))?,
            None => {
                let open = self.open(b, small)?;
                open_corners(b, plan, edit.coverage, dtype, &dims, open)?
            }
        };
        let corner = |(list, weight)| Ok(Corner { rows: for_images(b, self.clusters, list)?, weight });
        let made = corners.into_iter().map(corner).collect::<Result<Vec<_>, Error>>()?;
        self.around.insert(key, made.clone());
        Ok(made)
    }

    fn open(&mut self, b: &mut Build, small: Grid) -> Result<&mut OpenCorners, Error> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let grid = self.clusters.grid;
                let grid = grid.ok_or_else(|| Error::Plan("it reads a table for a grid that is not known".into()))?;
                OpenCorners::new(b, small, grid)?
            }
        };
        Ok(self.open.insert(open))
    }
}

/// Row numbers, `[1, R]` or `[1, M]`, and weights of the given dimensions, one of which is R or M. Other tokens than patches
/// keep their rows: every corner has the same one, so together they count once.
type Numbered = (ValueId, ValueId);

fn known_corners(
    b: &mut Build,
    plan: &Plan,
    coverage: Coverage,
    dtype: DataType,
    dims: &[i64],
    corners: Vec<Shares>,
) -> Result<Vec<Numbered>, Error> {
    let share = 1.0 / corners.len() as f32;
    let number = |(patches, mut weights): Shares| {
        let list = known(b, plan, coverage, &patches)?;
        if coverage == Coverage::Sequence {
            weights.splice(..0, vec![share; plan.tokens.prefix]);
            weights.extend(vec![share; plan.tokens.suffix]);
        }
        let dims: Vec<i64> = dims.iter().map(|&d| if d == -1 { weights.len() as i64 } else { d }).collect();
        let name = b.name("corner_weight");
        Ok((list, b.edit.add_initializer(floats(name, dtype, &dims, &weights))?))
    };
    corners.into_iter().map(number).collect()
}

fn open_corners(
    b: &mut Build,
    plan: &Plan,
    coverage: Coverage,
    dtype: DataType,
    dims: &[i64],
    open: &mut OpenCorners,
) -> Result<Vec<Numbered>, Error> {
    let all = open.all(b)?;
    let share = 1.0 / all.len() as f32;
    let number = |(patches, shares): (ValueId, ValueId)| {
        let list = computed(b, plan, coverage, patches, open.count)?;
        let to = Attribute::Int(i64::from(dtype.to_onnx()));
        let mut parts = vec![b.op("corner_share", "Cast", &[shares], &[("to", to)], None)?];
        if coverage == Coverage::Sequence {
            for (count, front) in [(plan.tokens.prefix, true), (plan.tokens.suffix, false)] {
                if count > 0 {
                    let name = b.name("corner_share");
                    let own = b.edit.add_initializer(floats(name, dtype, &[count as i64], &vec![share; count]))?;
                    parts.insert(if front { 0 } else { parts.len() }, own);
                }
            }
        }
        let all = b.op("corner_shares", "Concat", &parts, &[("axis", Attribute::Int(0))], None)?;
        Ok((list, b.reshape("corner_weight", all, dims, None)?))
    };
    all.into_iter().map(number).collect()
}

/// Row numbers of a table from those of patches: i64 `[1, R]` or `[1, M]`.
fn known(b: &mut Build, plan: &Plan, coverage: Coverage, patches: &[usize]) -> Result<ValueId, Error> {
    let list: Vec<i64> = match coverage {
        Coverage::Patches => patches.iter().map(|&i| i as i64).collect(),
        Coverage::Sequence => {
            let (prefix, behind) = (plan.tokens.prefix, plan.tokens.prefix + plan.tokens.patches.unwrap_or(0));
            let patches = patches.iter().map(|&i| prefix + i);
            (0..prefix).chain(patches).chain(behind..behind + plan.tokens.suffix).map(|i| i as i64).collect()
        }
    };
    let name = b.name("corner_rows");
    Ok(b.edit.add_initializer(Tensor::from_i64(name, &[1, list.len() as i64], &list))?)
}

/// The same where patches, `[1, M]`, and their number, `[1]`, are computed.
fn computed(
    b: &mut Build,
    plan: &Plan,
    coverage: Coverage,
    patches: ValueId,
    count: ValueId,
) -> Result<ValueId, Error> {
    if coverage == Coverage::Patches {
        return Ok(patches);
    }
    let (prefix, suffix) = (plan.tokens.prefix as i64, plan.tokens.suffix as i64);
    let first = b.ints(&[prefix])?;
    let mut parts = vec![b.op("corner_patch_rows", "Add", &[patches, first], &[], None)?];
    for (rows, front) in [(0..prefix, true), (prefix..prefix + suffix, false)] {
        if !rows.is_empty() {
            let (name, rows) = (b.name("corner_rows"), rows.collect::<Vec<i64>>());
            let own = b.edit.add_initializer(Tensor::from_i64(name, &[1, rows.len() as i64], &rows))?;
            let own = if front { own } else { b.op("corner_suffix_rows", "Add", &[own, count], &[], None)? };
            parts.insert(if front { 0 } else { parts.len() }, own);
        }
    }
    b.op("corner_rows", "Concat", &parts, &[("axis", Attribute::Int(1))], None)
}

/// Row numbers `[1, _]` for as many images as there are.
fn for_images(b: &mut Build, clusters: &Clusters, list: ValueId) -> Result<ValueId, Error> {
    let zero = zero_column(b, clusters.index)?;
    let first = b.ints(&[0])?;
    let zero = b.op("image_start", "Gather", &[zero, first], &[("axis", Attribute::Int(2))], None)?;
    let zero = b.with_axes("image_column", "Squeeze", zero, &[2], None)?;
    let to = Attribute::Int(i64::from(DataType::I64.to_onnx()));
    let zero = b.op("image_i64", "Cast", &[zero], &[("to", to)], None)?;
    b.op("corner_index", "Add", &[zero, list], &[], None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_those_of_bilinear_resizing() {
        // `interpolate` of [0, 1, 2, 3] to two and to three: 0.5, 2.5 and 1/6, 1.5, 17/6.
        let read = |cells| -> Vec<f64> {
            let pick =
                |(first, second, share): (usize, usize, f64)| first as f64 * (1.0 - share) + second as f64 * share;
            between(cells, 4).into_iter().map(pick).collect()
        };
        assert_eq!(read(2), [0.5, 2.5]);
        let three = read(3);
        assert!(three.iter().zip([1.0 / 6.0, 1.5, 17.0 / 6.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{three:?}");
        assert_eq!(read(4), [0.0, 1.0, 2.0, 3.0]);
        for (small, large, count) in [((2, 3), (4, 7), 4), ((4, 3), (4, 7), 2), ((4, 7), (4, 7), 1)] {
            let corners = corners(small, large);
            assert_eq!(corners.len(), count);
            for m in 0..small.0 * small.1 {
                let sum: f32 = corners.iter().map(|c| c.1[m]).sum();
                assert!((sum - 1.0).abs() < 1e-6 && corners.iter().all(|c| c.0[m] < large.0 * large.1));
            }
        }
        assert_eq!(middles((4, 7), (4, 7)), (0..28).collect::<Vec<_>>());
        assert_eq!(middles((1, 2), (3, 4)), [4, 6]);
    }
}
