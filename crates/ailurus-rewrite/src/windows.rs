//! Windows of two by two patches: the method that merges those whose patches differ least.

use crate::{error::Error, options::Keep};

/// Patches of a window.
const PATCHES: usize = 4;

/// Rows and columns of windows on a grid of patches. A last row or column that is left over has none.
pub fn windows((h, w): (usize, usize)) -> (usize, usize) {
    (h / 2, w / 2)
}

/// How many windows have to be merged, so that at most as many tokens are left as asked for.
pub fn merged(grid: (usize, usize), keep: Keep) -> Result<usize, Error> {
    let patches = grid.0 * grid.1;
    let wanted = ailurus_ops::DensityPeaks::new(0, 0, Some(grid), keep.into()).tokens(patches)?;
    let (rows, columns) = windows(grid);
    let merged = (patches - wanted).div_ceil(PATCHES - 1);
    if merged > rows * columns {
        return Err(Error::Windows { wanted, least: patches - (PATCHES - 1) * rows * columns });
    }
    Ok(merged)
}

/// How many clusters there are then.
pub fn clusters(grid: (usize, usize), keep: Keep) -> Result<usize, Error> {
    Ok(grid.0 * grid.1 - (PATCHES - 1) * merged(grid, keep)?)
}

/// For every patch its window, and the first patch of that window; `None` where it has none.
pub fn of_patches(grid: (usize, usize)) -> Vec<Option<(usize, usize)>> {
    let (rows, columns) = windows(grid);
    let of = |y: usize, x: usize| {
        (y / 2 < rows && x / 2 < columns).then(|| (y / 2 * columns + x / 2, y / 2 * 2 * grid.1 + x / 2 * 2))
    };
    (0..grid.0).flat_map(|y| (0..grid.1).map(move |x| of(y, x))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_windows_as_possible_are_merged() {
        let half = Keep::Ratio { num: 1, den: 2 };
        // 16 patches to 8: three windows leave 7; two would leave 10.
        assert_eq!((merged((4, 4), half).unwrap(), clusters((4, 4), half).unwrap()), (3, 7));
        assert_eq!(clusters((4, 4), Keep::Tokens(10)).unwrap(), 10);
        assert_eq!(clusters((4, 4), Keep::Tokens(4)).unwrap(), 4);
        assert_eq!(clusters((5, 7), Keep::Ratio { num: 1, den: 1 }).unwrap(), 35);
        assert_eq!(clusters((1, 9), Keep::Tokens(9)).unwrap(), 9);
        assert_eq!(merged((5, 7), Keep::Tokens(16)).unwrap_err().code(), "AIL0404");
        assert_eq!(clusters((5, 7), Keep::Tokens(17)).unwrap(), 17);
        assert_eq!(merged((4, 4), Keep::Tokens(17)).unwrap_err().code(), "AIL0305");
    }

    #[test]
    fn left_over_rows_and_columns_have_no_window() {
        let none = None;
        let (a, b) = (Some((0, 0)), Some((1, 2)));
        assert_eq!(of_patches((3, 5)), [a, a, b, b, none, a, a, b, b, none, none, none, none, none, none]);
    }
}
