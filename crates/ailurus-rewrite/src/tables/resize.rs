//! Resizing along one axis.

use crate::options::Tables;
use ndarray::{ArrayD, Axis};

/// The array with `to` elements along an axis: interpolated linearly between the middles of the old ones
/// (`torch.nn.functional.interpolate` with `align_corners=False`, without antialiasing), or those that lie nearest.
pub fn along(data: &ArrayD<f64>, axis: usize, to: usize, how: Tables) -> ArrayD<f64> {
    let from = data.len_of(Axis(axis));
    if from == to || from == 0 {
        return data.clone();
    }
    let last = (from - 1) as f64;
    let middle = |i: usize| ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last);
    let places: Vec<(usize, f64)> = (0..to)
        .map(|i| match how {
            Tables::Resize => (middle(i).floor() as usize, middle(i).fract()),
            // Of two equally near the later one, as for clusters.
            Tables::Gather => ((middle(i) + 0.5).floor().min(last) as usize, 0.0),
        })
        .collect();
    let lower: Vec<usize> = places.iter().map(|p| p.0).collect();
    let upper: Vec<usize> = lower.iter().map(|&i| (i + 1).min(from - 1)).collect();
    let (mut out, above) = (data.select(Axis(axis), &lower), data.select(Axis(axis), &upper));
    for (i, &(_, share)) in places.iter().enumerate() {
        if share == 0.0 {
            continue;
        }
        let next = above.index_axis(Axis(axis), i);
        let mut row = out.index_axis_mut(Axis(axis), i);
        row.zip_mut_with(&next, |a, &b| *a += share * (b - *a));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        let line = ArrayD::from_shape_vec(vec![8], (0..8).map(f64::from).collect()).unwrap();
        let half = along(&line, 0, 4, Tables::Resize);
        assert_eq!(half.as_slice().unwrap(), [0.5, 2.5, 4.5, 6.5]);
        assert_eq!(along(&line, 0, 8, Tables::Resize), line);
        assert_eq!(along(&line, 0, 4, Tables::Gather).as_slice().unwrap(), [1.0, 3.0, 5.0, 7.0]);
        // The middle of an odd table stays its middle.
        let odd = along(&line.select(Axis(0), &[0, 1, 2, 3, 4, 5, 6]), 0, 3, Tables::Resize);
        assert_eq!(odd[1], 3.0);
    }
}
