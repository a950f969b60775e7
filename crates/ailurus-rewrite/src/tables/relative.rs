//! Tables of relative positions, as they appear after they were looked up.

use super::resize;
use crate::options::Tables;
use ndarray::{ArrayD, Axis, Slice};

/// Values for pairs of positions `(i, j)` along two axes of equal length, when they depend on `i - j` alone: the values for
/// the distances `-(n - 1)..n` are resized to those of `to` positions and looked up for all pairs of these.
pub fn resized(data: &ArrayD<f64>, axes: (usize, usize), to: usize, how: Tables) -> Option<ArrayD<f64>> {
    let (first, second) = (Axis(axes.0), Axis(axes.1));
    let n = data.len_of(first);
    // One step down along both axes changes nothing.
    let part = |from: usize, until: usize| {
        let half = data.slice_axis(first, Slice::from(from..until));
        half.slice_axis(second, Slice::from(from..until)).to_owned()
    };
    if n == 0 || part(0, n - 1) != part(1, n) {
        return None;
    }
    // Distances from -(n - 1): the first row backwards, then the first column without its start.
    let row = data.index_axis(first, 0).insert_axis(first).to_owned();
    let column = data.index_axis(second, 0).insert_axis(second).to_owned();
    let mut pieces: Vec<ArrayD<f64>> =
        (0..n).rev().map(|j| row.slice_axis(second, Slice::from(j..j + 1)).to_owned()).collect();
    pieces.extend((1..n).map(|i| column.slice_axis(first, Slice::from(i..i + 1)).to_owned()));
    let views: Vec<_> = pieces.iter().map(|p| p.view()).collect();
    let distances = ndarray::concatenate(first, &views).ok()?;
    let distances = resize::along(&distances, axes.0, (2 * to).saturating_sub(1), how);
    let columns: Vec<ArrayD<f64>> =
        (0..to).map(|j| distances.select(first, &(0..to).map(|i| i + to - 1 - j).collect::<Vec<_>>())).collect();
    let views: Vec<_> = columns.iter().map(|c| c.view()).collect();
    ndarray::concatenate(second, &views).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(n: usize, value: impl Fn(i64) -> f64) -> ArrayD<f64> {
        let list = (0..n * n).map(|k| value((k / n) as i64 - (k % n) as i64)).collect();
        ArrayD::from_shape_vec(vec![n, n], list).unwrap()
    }

    #[test]
    fn a_line_over_distances_is_scaled() {
        // 2·6 - 1 = 11 distances become 2·4 - 1 = 7: each step is 11/7 of the old one.
        let small = resized(&pairs(6, |d| d as f64), (0, 1), 4, Tables::Resize).unwrap();
        let wanted = pairs(4, |d| d as f64 * 11.0 / 7.0);
        assert!(small.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{small}");
        assert_eq!(resized(&pairs(6, |d| d as f64), (0, 1), 6, Tables::Resize).unwrap(), pairs(6, |d| d as f64));
    }

    #[test]
    fn other_values_are_not_taken_for_distances() {
        let mut data = pairs(5, |d| d as f64);
        data[[3, 1]] += 1.0;
        assert!(resized(&data, (0, 1), 3, Tables::Resize).is_none());
    }
}
