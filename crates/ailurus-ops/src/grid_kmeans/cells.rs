//! The grid of centres over the grid of patches, as PyTorch's pooling and resizing place it.

/// Along one axis: `cells` centres over `patches` patches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// `[patches]`: the cell of each patch.
    pub cell: Vec<u32>,
    /// `[cells]`: the first patch that is averaged into each initial centre, and the one behind the last.
    pub pooled: Vec<(u32, u32)>,
}

impl Axis {
    fn new(cells: usize, patches: usize) -> Self {
        // `interpolate(mode="nearest")` divides and multiplies in f32.
        let scale = cells as f32 / patches as f32;
        let cell = (0..patches).map(|i| ((i as f32 * scale).floor() as usize).min(cells - 1) as u32).collect();
        // `adaptive_avg_pool2d`: windows begin rounded down and end rounded up, so they may overlap by one.
        let pooled =
            (0..cells).map(|a| ((a * patches / cells) as u32, ((a + 1) * patches).div_ceil(cells) as u32)).collect();
        Self { cell, pooled }
    }

    /// Cells that a patch of cell `at` looks at, first and behind the last.
    pub fn around(&self, at: usize, radius: usize) -> (usize, usize) {
        (at.saturating_sub(radius), at.saturating_add(radius).saturating_add(1).min(self.pooled.len()))
    }

    /// Patches that look at cell `at`, first and behind the last: cells of patches ascend.
    pub fn lookers(&self, at: usize, radius: usize) -> (usize, usize) {
        let (from, to) = self.around(at, radius);
        (self.cell.partition_point(|&c| (c as usize) < from), self.cell.partition_point(|&c| (c as usize) < to))
    }
}

/// Both axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    /// Rows.
    pub rows: Axis,
    /// Columns.
    pub columns: Axis,
}

impl Cells {
    /// Centres of `clusters` over patches of `grid`, which is not coarser.
    pub fn new(clusters: (usize, usize), grid: (usize, usize)) -> Self {
        Self { rows: Axis::new(clusters.0, grid.0), columns: Axis::new(clusters.1, grid.1) }
    }

    /// Columns of the grid of patches.
    pub fn width(&self) -> usize {
        self.columns.cell.len()
    }

    /// The cell of a patch.
    pub fn of(&self, patch: usize) -> (usize, usize) {
        (self.rows.cell[patch / self.width()] as usize, self.columns.cell[patch % self.width()] as usize)
    }

    /// The centres within `radius` of a cell in ascending order, each with its place in the square of that radius.
    pub fn near(&self, (y, x): (usize, usize), radius: usize, out: &mut Vec<(usize, usize)>) {
        let (rows, columns) = (self.rows.around(y, radius), self.columns.around(x, radius));
        out.clear();
        for row in rows.0..rows.1 {
            let line = (row + radius - y) * (2 * radius + 1);
            out.extend((columns.0..columns.1).map(|c| (row * self.cluster_width() + c, line + c + radius - x)));
        }
    }

    /// Columns of the grid of centres.
    pub fn cluster_width(&self) -> usize {
        self.columns.pooled.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_ascend_and_every_cell_has_a_patch() {
        for patches in 1..=130 {
            for cells in 1..=patches {
                let axis = Axis::new(cells, patches);
                assert!(axis.cell.is_sorted() && axis.cell[0] == 0, "{cells} of {patches}");
                for a in 0..cells {
                    assert!(axis.cell.contains(&(a as u32)), "cell {a} of {cells} on {patches}");
                    let (from, to) = axis.lookers(a, 1);
                    let lookers: Vec<usize> =
                        (0..patches).filter(|&i| (axis.cell[i] as usize).abs_diff(a) <= 1).collect();
                    assert_eq!((from, to), (lookers[0], lookers[lookers.len() - 1] + 1));
                }
            }
            assert_eq!(Axis::new(patches, patches).cell, (0..patches as u32).collect::<Vec<_>>());
        }
    }

    /// Values that PyTorch gives: `adaptive_avg_pool1d` of 7 to 3, `interpolate` of 3 to 7 and of 10 to 14.
    #[test]
    fn places_are_those_of_pytorch() {
        let axis = Axis::new(3, 7);
        assert_eq!(axis.pooled, [(0, 3), (2, 5), (4, 7)]);
        assert_eq!(axis.cell, [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(Axis::new(10, 14).cell, [0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 7, 8, 9]);
    }
}
