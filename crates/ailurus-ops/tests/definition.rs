//! The reference computes with squares and logarithms; here the published form, ρ = exp(−mean D²) and the product ρ·δ, in
//! f64 and without windows as lists, gives the same clusters.

use ailurus_ops::{DensityPeaks, Keep, reference};

struct Naive {
    /// s · d, infinite outside the window
    mixed: Vec<Vec<f64>>,
    width: usize,
}

impl Naive {
    fn new(x: &[Vec<f64>], width: usize, window: usize, alpha: f64) -> Self {
        let n = x.len();
        let space = |i: usize, j: usize| {
            let (y, x) = ((i / width) as f64 - (j / width) as f64, (i % width) as f64 - (j % width) as f64);
            y * y + x * x
        };
        let mixed = (0..n)
            .map(|i| {
                (0..n)
                    .map(|j| {
                        let nearer = |o: usize| space(i, o) < space(i, j) || (space(i, o) == space(i, j) && o < j);
                        let rank = (0..n).filter(|&o| nearer(o)).count();
                        if rank >= window {
                            return f64::INFINITY;
                        }
                        let s = (1.0 - alpha) * rank as f64 / window as f64 + alpha;
                        let squares: f64 = x[i].iter().zip(&x[j]).map(|(a, b)| (a - b).powi(2)).sum();
                        if i == j { 0.0 } else { (squares / x[i].len() as f64).sqrt() * s }
                    })
                    .collect()
            })
            .collect();
        Self { mixed, width }
    }

    fn cluster(&self, k: usize, clusters: usize) -> (Vec<usize>, Vec<usize>) {
        let n = self.mixed.len();
        let others = |i: usize| (0..n).filter(move |&j| j != i);
        let density: Vec<f64> = (0..n)
            .map(|i| {
                let mut near: Vec<f64> = others(i).map(|j| self.mixed[i][j]).filter(|d| d.is_finite()).collect();
                near.sort_by(f64::total_cmp);
                near.truncate(k);
                (-near.iter().map(|d| d * d).sum::<f64>() / near.len() as f64).exp()
            })
            .collect();
        let largest = self.mixed.iter().flatten().copied().filter(|d| d.is_finite()).fold(0.0, f64::max);
        let score: Vec<f64> = (0..n)
            .map(|i| {
                let denser = |j: usize| density[j] > density[i] || (density[j] == density[i] && j < i);
                let nearest = others(i).filter(|&j| denser(j)).map(|j| self.mixed[i][j]).fold(f64::INFINITY, f64::min);
                density[i] * if nearest.is_finite() { nearest } else { largest }
            })
            .collect();
        let mut anchors: Vec<usize> = (0..n).collect();
        anchors.sort_by(|&a, &b| score[b].total_cmp(&score[a]).then(a.cmp(&b)));
        anchors.truncate(clusters);
        anchors.sort_unstable();
        let joins = (0..n)
            .map(|i| {
                if anchors.contains(&i) {
                    return i;
                }
                let away = |a: usize| {
                    let (y, x) = ((i / self.width).abs_diff(a / self.width), (i % self.width).abs_diff(a % self.width));
                    (y * y + x * x) as f64
                };
                let near = |a: &usize| (self.mixed[i][*a], if self.mixed[i][*a].is_finite() { 0.0 } else { away(*a) });
                *anchors.iter().min_by(|a, b| near(a).partial_cmp(&near(b)).unwrap()).unwrap()
            })
            .collect();
        (anchors, joins)
    }
}

#[test]
fn the_reference_is_the_published_form() {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    for (h, w, channels, k, window, alpha, keep) in [
        (8, 9, 16, 1, 24, 0.5, 36),
        (8, 9, 16, 3, 24, 0.9, 10),
        (1, 30, 5, 2, 7, 0.25, 4),
        (12, 5, 40, 5, 100, 1.0, 20),
        (10, 10, 8, 1, 9, 0.0, 3),
    ] {
        let x: Vec<f32> = (0..h * w * channels).map(|_| next()).collect();
        let plain = DensityPeaks::new(0, 0, Some((h, w)), Keep::Tokens(keep));
        let params = DensityPeaks { neighbors: k, window, spatial_mix: alpha, ..plain };
        let clusters = reference::density_peaks(&params, &x, 1, channels, (h, w)).unwrap();
        let wide: Vec<Vec<f64>> = x.chunks(channels).map(|t| t.iter().map(|&v| f64::from(v)).collect()).collect();
        let (anchors, joins) = Naive::new(&wide, w, window, f64::from(alpha)).cluster(k, keep);
        let got: Vec<usize> = clusters.anchor.iter().map(|&a| a as usize).collect();
        assert_eq!(got, anchors);
        let got: Vec<usize> = clusters.index.iter().map(|&r| got[r as usize]).collect();
        assert_eq!(got, joins);
    }
}
