//! The patches around the middles of cells, as in [`corners`](super::corners), for a grid of patches that is only known at
//! run time: computed in the graph.

use super::build::Build;
use crate::error::Error;
use ailurus_onnx::{Attribute, DataType, ValueId};

/// Along one axis, for every cell.
struct Side {
    /// The two patches around its middle: i64 `[cells]`, from the first on.
    patches: [ValueId; 2],
    /// How much each of them counts: f32 `[cells]`.
    shares: [ValueId; 2],
    /// The nearer of the two, the first of equals: i64 `[cells]`.
    nearest: ValueId,
}

/// Clusters on a grid of patches.
pub struct OpenCorners {
    rows: Side,
    columns: Side,
    /// Columns of patches: i64 `[1]`.
    width: ValueId,
    /// Patches: i64 `[1]`.
    pub count: ValueId,
    all: Vec<(ValueId, ValueId)>,
}

impl OpenCorners {
    /// For so many rows and columns of clusters; `grid` has those of the patches, i64 `[2]`.
    pub fn new(b: &mut Build, clusters: (usize, usize), grid: ValueId) -> Result<Self, Error> {
        let mut sides = [grid; 2];
        for (at, side) in sides.iter_mut().enumerate() {
            let at = b.ints(&[at as i64])?;
            *side = b.op("grid_side", "Gather", &[grid, at], &[("axis", Attribute::Int(0))], None)?;
        }
        let [height, width] = sides;
        let count = b.op("patch_count", "Mul", &[height, width], &[], None)?;
        Ok(Self {
            rows: side(b, clusters.0, height)?,
            columns: side(b, clusters.1, width)?,
            width,
            count,
            all: Vec::new(),
        })
    }

    /// For each of four corners the patch of every cluster, i64 `[1, M]`, and how much it counts, f32 `[M]`.
    pub fn all(&mut self, b: &mut Build) -> Result<Vec<(ValueId, ValueId)>, Error> {
        if !self.all.is_empty() {
            return Ok(self.all.clone());
        }
        let mut out = Vec::new();
        for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let patches = self.patches(b, self.rows.patches[down], self.columns.patches[right])?;
            let [y, x] = across(b, self.rows.shares[down], self.columns.shares[right])?;
            let weight = b.op("corner_product", "Mul", &[y, x], &[], None)?;
            out.push((patches, b.reshape("corner_products", weight, &[-1], None)?));
        }
        self.all.clone_from(&out);
        Ok(out)
    }

    /// The patch nearest to the middle of every cluster's cell: i64 `[1, M]`.
    pub fn middles(&self, b: &mut Build) -> Result<ValueId, Error> {
        self.patches(b, self.rows.nearest, self.columns.nearest)
    }

    fn patches(&self, b: &mut Build, y: ValueId, x: ValueId) -> Result<ValueId, Error> {
        let start = b.op("row_start", "Mul", &[y, self.width], &[], None)?;
        let [start, x] = across(b, start, x)?;
        let patches = b.op("corner_patch", "Add", &[start, x], &[], None)?;
        b.reshape("corner_patches", patches, &[1, -1], None)
    }
}

/// One number for every row, `[h, 1]`, and one for every column, `[1, w]`.
fn across(b: &mut Build, rows: ValueId, columns: ValueId) -> Result<[ValueId; 2], Error> {
    let rows = b.with_axes("of_rows", "Unsqueeze", rows, &[1], None)?;
    Ok([rows, b.with_axes("of_columns", "Unsqueeze", columns, &[0], None)?])
}

/// The middle of cell a is ((2a + 1) · patches − cells) / (2 · cells): not negative, as there are no more cells than patches,
/// and exact in whole numbers.
fn side(b: &mut Build, cells: usize, patches: ValueId) -> Result<Side, Error> {
    let odd: Vec<i64> = (0..cells as i64).map(|a| 2 * a + 1).collect();
    let (odd, less, twice) = (b.ints(&odd)?, b.ints(&[cells as i64])?, b.ints(&[2 * cells as i64])?);
    let scaled = b.op("middle_scaled", "Mul", &[odd, patches], &[], None)?;
    let middle = b.op("middle", "Sub", &[scaled, less], &[], None)?;
    let first = b.op("first_patch", "Div", &[middle, twice], &[], None)?;
    let whole = b.op("first_scaled", "Mul", &[first, twice], &[], None)?;
    let rest = b.op("middle_rest", "Sub", &[middle, whole], &[], None)?;
    // Behind the last patch there is none.
    let one = b.ints(&[1])?;
    let next = b.op("next_patch", "Add", &[first, one], &[], None)?;
    let inside = b.op("next_inside", "Less", &[next, patches], &[], None)?;
    let second = b.op("second_patch", "Where", &[inside, next, first], &[], None)?;

    let further = b.op("second_nearer", "Greater", &[rest, less], &[], None)?;
    let nearest = b.op("nearest_patch", "Where", &[further, second, first], &[], None)?;

    // In f32: TensorRT has no wider numbers.
    let to = Attribute::Int(i64::from(DataType::F32.to_onnx()));
    let rest = b.op("rest_f32", "Cast", &[rest], &[("to", to)], None)?;
    let (all, one) = (b.float(DataType::F32, 2.0 * cells as f32)?, b.float(DataType::F32, 1.0)?);
    let share = b.op("second_share", "Div", &[rest, all], &[], None)?;
    let other = b.op("first_share", "Sub", &[one, share], &[], None)?;
    Ok(Side { patches: [first, second], shares: [other, share], nearest })
}
