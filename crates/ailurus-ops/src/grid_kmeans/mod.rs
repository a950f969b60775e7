//! `AilurusGridKMeans`: soft k-means whose centres stay a grid (Expedit).

mod attributes;
pub mod body;
mod cells;
pub mod kernel;
mod least;
mod pairs;
mod patches;
pub mod reference;
mod schema;
mod screen;
mod search;
mod soften;
mod sums;

pub(crate) use cells::Cells;

use crate::grid::{self, fits};
use crate::{Error, Result};

/// Operator name.
pub(crate) const NAME: &str = "AilurusGridKMeans";

/// Where clustering looks at a token, elements count at most this much, and those that are not numbers count as 0: then
/// squared distances, sums and centres are numbers for every input. No model computes with numbers near it.
pub(crate) const LARGEST: f32 = 1e15;

/// Mean nearest distances below this count as this: all patches coincide with centres, and weights are as hard as can be.
pub(crate) const NEAREST: f32 = 1e-30;

/// What a sum of weights counts at least, as published, and the least weight that is not 0 before normalisation.
pub(crate) const LEAST_WEIGHT: f32 = 1e-16;

/// What squared distances are multiplied with before they are exponents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TemperatureMode {
    /// The temperature, as published. It has to be found for every model: squared distances differ by orders of
    /// magnitude between models.
    Absolute,
    /// The temperature over the mean squared distance of a patch to its nearest centre.
    #[default]
    Relative,
}

/// What the weights of a token are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Norm {
    /// Their sum.
    #[default]
    L1,
    /// The root of the sum of their squares, as in the released code.
    L2,
}

/// Parameters of `AilurusGridKMeans`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridKMeans {
    /// Tokens before the patches (class token, registers): rows of their own.
    pub prefix: usize,
    /// Tokens after the patches: rows of their own.
    pub suffix: usize,
    /// Patch grid, height and width; `None` when it is the input `grid`.
    pub grid: Option<(usize, usize)>,
    /// Grid of centres, height and width.
    pub clusters: (usize, usize),
    /// Iterations of k-means.
    pub iterations: usize,
    /// A patch looks at centres within `window / 2` rows and columns of its own cell.
    pub window: usize,
    /// K: nearest centres that a patch is made of again.
    pub neighbors: usize,
    /// Places behind those for further centres that are exactly as near as the K-th; 0 leaves them out.
    pub ties: usize,
    /// How fast weights fall with squared distance.
    pub temperature: f32,
    /// What the temperature refers to.
    pub temperature_mode: TemperatureMode,
    /// How the weights of a token are normalised.
    pub norm: Norm,
}

impl GridKMeans {
    /// Default of `iterations`, as published.
    pub const ITERATIONS: usize = 5;
    /// Default of `window`, as published.
    pub const WINDOW: usize = 5;
    /// Default of `neighbors`.
    pub const NEIGHBORS: usize = 4;
    /// Default of `temperature`.
    pub const TEMPERATURE: f32 = 5.0;

    /// Parameters with the default constants.
    pub fn new(prefix: usize, suffix: usize, grid: Option<(usize, usize)>, clusters: (usize, usize)) -> Self {
        Self {
            prefix,
            suffix,
            grid,
            clusters,
            iterations: Self::ITERATIONS,
            window: Self::WINDOW,
            neighbors: Self::NEIGHBORS,
            ties: 0,
            temperature: Self::TEMPERATURE,
            temperature_mode: TemperatureMode::default(),
            norm: Norm::default(),
        }
    }

    /// Checks every parameter.
    pub fn validate(&self) -> Result<()> {
        let bad = |name, value: String, reason| Err(Error::InvalidParameter { operator: NAME, name, value, reason });
        let counts = [
            ("prefix", self.prefix),
            ("suffix", self.suffix),
            ("iterations", self.iterations),
            ("window", self.window),
            ("neighbors", self.neighbors),
            ("ties", self.ties),
        ];
        for (name, value) in counts {
            if !fits(value) {
                return bad(name, value.to_string(), "it must fit in 31 bits");
            }
        }
        for (name, grid) in [("grid_h", self.grid), ("cluster_h", Some(self.clusters))] {
            if let Some(grid) = grid {
                grid::validate(NAME, name, grid, self.prefix, self.suffix)?;
            }
        }
        if let Some(grid) = self.grid {
            self.fit(grid)?;
        }
        if self.window == 0 {
            return bad("window", "0".into(), "a window holds at least the patch's own cell");
        }
        if self.neighbors == 0 {
            return bad("neighbors", "0".into(), "a patch is made of at least one centre");
        }
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return bad("temperature", self.temperature.to_string(), "it must be a number and not negative");
        }
        Ok(())
    }

    /// The grid of centres must not be finer than that of the patches.
    fn fit(&self, (h, w): (usize, usize)) -> Result<()> {
        let (rows, columns) = self.clusters;
        if rows > h || columns > w {
            return Err(Error::ClusterGridTooFine { operator: NAME, clusters: self.clusters, grid: (h, w) });
        }
        Ok(())
    }

    /// M: number of centres.
    pub fn tokens(&self) -> usize {
        self.clusters.0 * self.clusters.1
    }

    /// R: rows of the reduced sequence.
    pub fn rows(&self) -> usize {
        self.prefix + self.tokens() + self.suffix
    }

    /// Entries per token of `index` and `weight`: the nearest centres and the places for ties, or all centres.
    pub fn choices(&self) -> usize {
        (self.neighbors + self.ties).min(self.tokens())
    }

    /// The grid to work on: the static one, or the one given at run time. A given one must not contradict a static one.
    pub fn resolve_grid(&self, given: Option<(usize, usize)>) -> Result<(usize, usize)> {
        let grid = grid::resolve(NAME, self.grid, given)?;
        Self { grid: Some(grid), ..*self }.validate()?;
        Ok(grid)
    }

    /// What squared distances are multiplied with, from the squared distances of all patches to their nearest centres
    /// in patch order. Computed in f64; the mean is rounded once.
    pub(crate) fn sharpness(&self, nearest: impl ExactSizeIterator<Item = f32>) -> f64 {
        let temperature = f64::from(self.temperature);
        match self.temperature_mode {
            TemperatureMode::Absolute => temperature,
            TemperatureMode::Relative => {
                let count = nearest.len() as f64;
                let mean = (nearest.map(f64::from).sum::<f64>() / count) as f32;
                temperature / f64::from(mean.max(NEAREST))
            }
        }
    }
}

/// The weight of a centre before normalisation: 1 at the least distance of the row, and 0 where it would be below
/// [`LEAST_WEIGHT`]: it would be lost in the sum anyhow, but not before it had made numbers with which processors are slow.
/// The difference of distances is rounded to f32; the rest is computed in f64 and rounded once.
pub(crate) fn unnormalised(sharpness: f64, distance: f32, least: f32) -> f32 {
    let exponent = -sharpness * f64::from(distance - least);
    // e⁻³⁷ is below it.
    if exponent < -37.0 {
        return 0.0;
    }
    let weight = exponent.exp() as f32;
    if weight < LEAST_WEIGHT { 0.0 } else { weight }
}

/// Divides the weights of a token by their norm, added in their order.
pub(crate) fn normalise(norm: Norm, weights: &mut [f32]) {
    let divisor = match norm {
        Norm::L1 => weights.iter().fold(0.0, |sum, w| sum + w),
        Norm::L2 => weights.iter().fold(0.0, |sum, w| sum + w * w).sqrt(),
    };
    // The nearest has weight 1, so this is at least 1.
    weights.iter_mut().for_each(|w| *w /= divisor);
}

/// Result of `AilurusGridKMeans`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct GridClusters<E> {
    /// R: rows of the reduced sequence.
    pub rows: usize,
    /// K: entries per token of `index` and `weight`.
    pub choices: usize,
    /// `[B, R, C]`: prefix tokens, centres, suffix tokens.
    pub z: Vec<E>,
    /// `[B, T, K]`: rows that each token is made of, the nearest first.
    pub index: Vec<i32>,
    /// `[B, T, K]`: their weights.
    pub weight: Vec<f32>,
}

/// Checked sizes of one call.
pub(crate) struct Sizes {
    /// Patches N = H·W.
    pub patches: usize,
    /// Tokens T.
    pub total: usize,
    /// Centres M.
    pub clusters: usize,
    /// Rows R.
    pub rows: usize,
    /// K
    pub choices: usize,
}

/// Validates parameters and input length; common to reference and kernel.
pub(crate) fn check(
    params: &GridKMeans,
    x: usize,
    batch: usize,
    channels: usize,
    grid: (usize, usize),
) -> Result<Sizes> {
    params.validate()?;
    let (h, w) = params.resolve_grid(Some(grid))?;
    let patches = h * w;
    let total = params.prefix + patches + params.suffix;
    if channels == 0 {
        return Err(Error::Shape {
            operator: NAME,
            input: "x",
            expected: "at least one channel".into(),
            got: "0".into(),
        });
    }
    crate::error::check_len(NAME, "x", x, &[batch, total, channels])?;
    let (clusters, rows, choices) = (params.tokens(), params.rows(), params.choices());
    let fits = |shape: [usize; 3]| shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_some();
    if !fits([batch, total, choices]) || !fits([batch, rows, channels]) {
        return Err(Error::TooLarge { operator: NAME, what: "an output".into() });
    }
    Ok(Sizes { patches, total, clusters, rows, choices })
}
