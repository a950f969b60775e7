//! Times the CPU kernels: `cargo bench -p ailurus-ops`. Prints the least of many runs, as kernels have no randomness of
//! their own and everything above the least is the machine's.

#![allow(clippy::print_stdout)]

use ailurus_ops::parallel::{Parallel, Rayon, Serial};
use ailurus_ops::{DensityPeaks, GridKMeans, Keep, MergeDims, UnfoldDims, Windows, kernel};
use std::time::{Duration, Instant};

fn least(mut work: impl FnMut()) -> f64 {
    let (mut best, start) = (Duration::MAX, Instant::now());
    while start.elapsed() < Duration::from_millis(600) {
        let run = Instant::now();
        work();
        best = best.min(run.elapsed());
    }
    best.as_secs_f64() * 1e3
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5).collect()
}

fn main() {
    let pools: [(&str, &dyn Parallel); 2] = [("1 thread", &Serial), ("rayon", &Rayon)];
    let keep = Keep::Ratio { num: 1, den: 2 };
    for (grid, channels) in [((37, 37), 64), ((37, 37), 384), ((32, 32), 1024), ((64, 64), 64), ((64, 64), 1024)] {
        let params = DensityPeaks::new(1, 0, Some(grid), keep);
        let tokens = grid.0 * grid.1 + 1;
        let x = numbers(tokens * channels);
        println!("DensityPeaks {grid:?} d {channels}");
        println!("  windows    {:8.3} ms", least(|| drop(Windows::new(grid, params.window))));
        let Ok(windows) = Windows::new(grid, params.window) else {
            continue;
        };
        for (name, pool) in pools {
            let ms = least(|| drop(kernel::density_peaks(&params, &x, 1, channels, &windows, pool)));
            println!("  {name:10} {ms:8.3} ms");
        }
        let half: Vec<half::f16> = x.iter().map(|&v| half::f16::from_f32(v)).collect();
        let ms = least(|| drop(kernel::density_peaks(&params, &half, 1, channels, &windows, &Serial)));
        println!("  1, f16     {ms:8.3} ms");
    }
    for (grid, clusters, channels) in
        [((37, 37), (26, 26), 384), ((32, 32), (16, 16), 1024), ((40, 40), (28, 28), 1024), ((64, 64), (32, 32), 1024)]
    {
        let tokens = grid.0 * grid.1 + 1;
        let x = numbers(tokens * channels);
        println!("GridKMeans {grid:?} to {clusters:?}, C {channels}");
        for iterations in [5, 0] {
            let params = GridKMeans { iterations, ..GridKMeans::new(1, 0, Some(grid), clusters) };
            for (name, pool) in pools {
                let ms = least(|| drop(kernel::grid_kmeans(&params, &x, 1, channels, grid, pool)));
                println!("  {name:10} {ms:8.3} ms, {iterations} iterations");
            }
        }
    }
    for (tokens, channels) in [(1370, 384), (1024, 1024), (4096, 1024)] {
        let rows = tokens / 2;
        let index: Vec<i32> = (0..tokens).map(|t| (t * 7919 % rows) as i32).collect();
        let mut size = vec![0.0f32; rows];
        index.iter().for_each(|&r| size[r as usize] += 1.0);
        let (x, z, start) = (numbers(tokens * channels), numbers(rows * channels), numbers(rows * channels));
        let dims = MergeDims { batch: 1, tokens, rows, channels };
        let back = UnfoldDims { batch: 1, rows, tokens, choices: 1, channels };
        println!("T {tokens} C {channels}");
        for (name, pool) in pools {
            let merge = least(|| drop(kernel::merge(&x, &index, &size, dims, pool)));
            let unfold = least(|| drop(kernel::unfold(&z, &index, None, back, pool)));
            let residual = least(|| drop(kernel::unfold_residual(&z, &start, &x, &index, None, back, pool)));
            println!("  {name:10} merge {merge:.3} ms, unfold {unfold:.3} ms, residual {residual:.3} ms");
        }
    }
}
