//! Windows: the λ spatially nearest patches of every patch.

use super::NAME;
use crate::{Error, Result};

/// Most entries a table may have; beyond it the parameters are a mistake, not a model.
const MAX_ENTRIES: usize = 1 << 28;

/// The windows V(i) of all patches of a grid, in rank order. Depends on the grid and λ alone: build it once, keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    grid: (usize, usize),
    ranks: usize,
    neighbors: Vec<u32>,
}

/// Offsets (dy, dx) that can lie in a window of `window` patches on some grid no larger than `grid`, in the order of
/// their squared length, ties by row, then column: the order of rank wherever they stay on the grid.
///
/// The rectangle spanned by a patch and its neighbour lies on the grid, and all of it but the far corner is nearer, so
/// an offset with `(|dy| + 1)(|dx| + 1) > window` has at least `window` patches before it.
pub(crate) fn offsets(grid: (usize, usize), window: usize) -> Vec<(isize, isize)> {
    let mut list = Vec::new();
    for dy in 0..grid.0.min(window) {
        for dx in 0..grid.1.min(window / (dy + 1)) {
            let (y, x) = (dy as isize, dx as isize);
            list.push((y, x));
            if dx > 0 {
                list.push((y, -x));
            }
            if dy > 0 {
                list.push((-y, x));
            }
            if dy > 0 && dx > 0 {
                list.push((-y, -x));
            }
        }
    }
    list.sort_unstable_by_key(|&(y, x)| (y * y + x * x, y, x));
    list
}

impl Windows {
    /// The windows of `window` patches on a grid of height and width `grid`.
    pub fn new(grid: (usize, usize), window: usize) -> Result<Self> {
        let too_large = || Error::TooLarge { operator: NAME, what: format!("grid {grid:?} with window {window}") };
        let patches = grid.0.checked_mul(grid.1).ok_or_else(too_large)?;
        let ranks = window.min(patches);
        if patches.checked_mul(ranks).is_none_or(|n| n > MAX_ENTRIES) {
            return Err(too_large());
        }
        let offsets = offsets(grid, window);
        let mut neighbors = Vec::with_capacity(patches * ranks);
        for y in 0..grid.0 as isize {
            for x in 0..grid.1 as isize {
                let on_grid = offsets.iter().filter_map(|&(dy, dx)| {
                    let (ny, nx) = (y + dy, x + dx);
                    let inside = (0..grid.0 as isize).contains(&ny) && (0..grid.1 as isize).contains(&nx);
                    inside.then_some((ny * grid.1 as isize + nx) as u32)
                });
                neighbors.extend(on_grid.take(ranks));
            }
        }
        Ok(Self { grid, ranks, neighbors })
    }

    /// The grid, height and width.
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// Patches in every window: λ, or all there are.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// `[N, ranks]`: the patches of each window in rank order, the patch itself first.
    pub fn neighbors(&self) -> &[u32] {
        &self.neighbors
    }

    /// The window of patch `i`, in rank order.
    pub fn of(&self, i: usize) -> &[u32] {
        &self.neighbors[i * self.ranks..(i + 1) * self.ranks]
    }
}

/// For every patch the spatially nearest patch with `row >= 0`, ties to the lower index; at least one must exist.
///
/// Exact and separable: nearest in every row of the grid first, then over rows, O(N·(H + W)) whatever the anchors.
/// The key `squared distance · N + index` orders by distance, then index.
pub(super) fn nearest_anchor((height, width): (usize, usize), row: &[i32]) -> Vec<usize> {
    let n = (height * width) as u64;
    let mut in_row = vec![u64::MAX; height * width];
    for (y, line) in row.chunks_exact(width).enumerate() {
        let anchors: Vec<usize> = (0..width).filter(|&x| line[x] >= 0).collect();
        for x in 0..width {
            let keys = anchors.iter().map(|&a| (x.abs_diff(a) as u64).pow(2) * n + (y * width + a) as u64);
            in_row[y * width + x] = keys.min().unwrap_or(u64::MAX);
        }
    }
    (0..height * width)
        .map(|i| {
            let keys = (0..height).filter_map(|y| {
                let rows = (y.abs_diff(i / width) as u64).pow(2) * n;
                in_row[y * width + i % width].checked_add(rows)
            });
            keys.min().map_or(0, |key| (key % n) as usize)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_equal_a_full_sort_on_every_kind_of_grid() {
        for (h, w) in [(1, 1), (1, 40), (40, 1), (2, 30), (3, 17), (5, 5), (9, 13), (16, 16)] {
            for window in [1, 2, 5, 24, 50, 300] {
                let windows = Windows::new((h, w), window).unwrap();
                for i in 0..h * w {
                    let mut order: Vec<usize> = (0..h * w).collect();
                    order.sort_by_key(|&j| ((i / w).abs_diff(j / w).pow(2) + (i % w).abs_diff(j % w).pow(2), j));
                    order.truncate(window);
                    let got: Vec<usize> = windows.of(i).iter().map(|&j| j as usize).collect();
                    assert_eq!(got, order, "grid {h} x {w}, window {window}, patch {i}");
                }
            }
        }
    }

    #[test]
    fn a_table_beyond_memory_is_refused() {
        let error = Windows::new((1 << 14, 1 << 14), 1 << 14).unwrap_err();
        assert_eq!(error.code(), "AIL0308");
        assert!(Windows::new((usize::MAX, 3), 3).is_err());
    }
}
