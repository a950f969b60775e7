//! Distances of patches to the patches of their windows.

use super::{FAR, Windows};
use crate::lanes::{PAIRS, Sums, Wide, squared_distances, widest};

/// Fills `out` (`[_, ranks]`, patches from `first` on) with E(i, j) in rank order, saturated at [`FAR`]; rank 0 is 0.
pub(super) fn window_distances(
    patches: &[f32],
    channels: usize,
    windows: &Windows,
    weights: &[f32],
    first: usize,
    out: &mut [f32],
) {
    widest(Fill { patches, channels, windows, weights, first, out });
}

struct Fill<'a> {
    patches: &'a [f32],
    channels: usize,
    windows: &'a Windows,
    weights: &'a [f32],
    first: usize,
    out: &'a mut [f32],
}

impl Wide for Fill<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { patches, channels, windows, weights, first, out } = self;
        let patch = |i: u32| &patches[i as usize * channels..(i as usize + 1) * channels];
        // False for NaN too.
        let mixed = |q: f32, w: f32| if q * w <= FAR { q * w } else { FAR };
        for (i, out) in (first..).zip(out.chunks_exact_mut(windows.ranks())) {
            let own = patch(i as u32);
            out[0] = 0.0;
            let (neighbors, weights, out) = (&windows.of(i)[1..], &weights[1..], &mut out[1..]);
            let (groups, rest) = neighbors.as_chunks::<PAIRS>();
            for (group, (weights, out)) in groups.iter().zip(weights.chunks(PAIRS).zip(out.chunks_mut(PAIRS))) {
                let [sums] = squared_distances::<S, 1, PAIRS>([own], group.map(patch));
                for (out, (q, w)) in out.iter_mut().zip(sums.into_iter().zip(weights)) {
                    *out = mixed(q, *w);
                }
            }
            let done = groups.len() * PAIRS;
            for (out, (&j, w)) in out[done..].iter_mut().zip(rest.iter().zip(&weights[done..])) {
                let [[q]] = squared_distances::<S, 1, 1>([own], [patch(j)]);
                *out = mixed(q, *w);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Plain;

    #[test]
    fn every_width_gives_the_same_bits() {
        let value = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 * 8.0 - 4.0;
        for channels in [1, 16, 17, 100] {
            for (h, w, window) in [(5, 7, 24), (1, 9, 6), (6, 6, 1), (3, 2, 24)] {
                let windows = Windows::new((h, w), window).unwrap();
                let ranks = windows.ranks();
                let x: Vec<f32> = (0..h * w * channels).map(value).collect();
                let weights: Vec<f32> = (0..ranks).map(|r| 0.5 + value(r + 3).abs()).collect();
                let mut plain = vec![0.0; h * w * ranks];
                let work =
                    Fill { patches: &x, channels, windows: &windows, weights: &weights, first: 0, out: &mut plain };
                work.run::<Plain>();
                let mut out = vec![0.0; h * w * ranks];
                window_distances(&x, channels, &windows, &weights, 0, &mut out);
                assert_eq!(plain, out);
            }
        }
    }
}
