//! `AilurusDensityPeaks`: which token belongs to which row of the reduced sequence.

pub mod body;
mod distance;
pub mod kernel;
pub mod reference;
mod schema;
mod window;

pub use window::Windows;

use crate::attribute::{Reader, grid_attribute, plugin_attributes};
use crate::grid::{self, fits};
use crate::{AttrValue, Attributes, Error, Result};

/// Operator name.
pub(crate) const NAME: &str = "AilurusDensityPeaks";

/// Distances from here on, and those that are not numbers, count as this: as far apart as tokens can be. It is finite
/// so that sums of such distances stay finite, and far above any squared distance of numbers that a model computes with.
pub(crate) const FAR: f32 = 1e30;

/// How many clusters the patches are partitioned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// This many.
    Tokens(usize),
    /// `max(1, ceil(N * num / den))` of N patches.
    Ratio {
        /// Numerator, at least 1.
        num: usize,
        /// Denominator, at least the numerator.
        den: usize,
    },
}

/// Parameters of `AilurusDensityPeaks`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DensityPeaks {
    /// Tokens before the patches (class token, registers): rows of their own.
    pub prefix: usize,
    /// Tokens after the patches: rows of their own.
    pub suffix: usize,
    /// Patch grid, height and width; `None` when it is the input `grid`.
    pub grid: Option<(usize, usize)>,
    /// Number of clusters.
    pub keep: Keep,
    /// Neighbours k whose distances make the density.
    pub neighbors: usize,
    /// Window λ: how many of its spatially nearest patches (itself included) a patch looks at.
    pub window: usize,
    /// α: 1 ignores spatial distance inside the window, 0 lets it dominate.
    pub spatial_mix: f32,
}

impl DensityPeaks {
    /// Default of `neighbors`, measured by this project.
    pub const NEIGHBORS: usize = 1;
    /// Default of `window`, measured by this project.
    pub const WINDOW: usize = 24;
    /// Default of `spatial_mix`, measured by this project.
    pub const SPATIAL_MIX: f32 = 0.5;

    /// Parameters with the default constants.
    pub fn new(prefix: usize, suffix: usize, grid: Option<(usize, usize)>, keep: Keep) -> Self {
        Self {
            prefix,
            suffix,
            grid,
            keep,
            neighbors: Self::NEIGHBORS,
            window: Self::WINDOW,
            spatial_mix: Self::SPATIAL_MIX,
        }
    }

    /// Checks every parameter.
    pub fn validate(&self) -> Result<()> {
        let bad = |name, value: String, reason| Err(Error::InvalidParameter { operator: NAME, name, value, reason });
        for (name, value) in [("prefix", self.prefix), ("suffix", self.suffix)] {
            if !fits(value) {
                return bad(name, value.to_string(), "it must fit in 31 bits");
            }
        }
        if let Some(grid) = self.grid {
            grid::validate(NAME, "grid_h", grid, self.prefix, self.suffix)?;
        }
        match self.keep {
            Keep::Tokens(m) if m == 0 || !fits(m) => {
                return bad("tokens", m.to_string(), "at least one cluster");
            }
            Keep::Ratio { num: 0, .. } => {
                return bad("keep_num", "0".into(), "it must be at least 1");
            }
            Keep::Ratio { num, den } if den < num => {
                return bad("keep_den", den.to_string(), "it must not be smaller than keep_num");
            }
            Keep::Ratio { den, .. } if !fits(den) => {
                return bad("keep_den", den.to_string(), "it must fit in 31 bits");
            }
            _ => {}
        }
        if let (Some((h, w)), Keep::Tokens(_)) = (self.grid, self.keep) {
            self.tokens(h * w)?;
        }
        if self.neighbors == 0 || !fits(self.neighbors) {
            return bad("neighbors", self.neighbors.to_string(), "at least one neighbour makes a density");
        }
        if self.window == 0 || !fits(self.window) {
            return bad("window", self.window.to_string(), "a window holds at least the patch itself");
        }
        if !(0.0..=1.0).contains(&self.spatial_mix) {
            return bad("spatial_mix", self.spatial_mix.to_string(), "it must lie in 0..=1");
        }
        Ok(())
    }

    /// M: number of clusters of `patches` patches.
    pub fn tokens(&self, patches: usize) -> Result<usize> {
        let m = match self.keep {
            Keep::Tokens(m) => m,
            Keep::Ratio { num, den } => {
                // In 128 bits, as N * num may exceed 64; `validate` refuses den = 0.
                let m = (patches as u128 * num as u128).div_ceil(den.max(1) as u128);
                usize::try_from(m).unwrap_or(usize::MAX).max(1)
            }
        };
        if m > patches || m == 0 {
            return Err(Error::TooManyClusters { operator: NAME, asked: m, patches });
        }
        Ok(m)
    }

    /// R: rows of the reduced sequence for `patches` patches.
    pub fn rows(&self, patches: usize) -> Result<usize> {
        Ok(self.prefix + self.tokens(patches)? + self.suffix)
    }

    /// The grid to work on: the static one, or the one given at run time. A given one must not contradict a static one.
    pub fn resolve_grid(&self, given: Option<(usize, usize)>) -> Result<(usize, usize)> {
        let grid = grid::resolve(NAME, self.grid, given)?;
        Self { grid: Some(grid), ..*self }.validate()?;
        Ok(grid)
    }

    /// Attributes of the node, in writing order. Of two alternatives (`tokens` or `keep_num` and `keep_den`; `grid_h`
    /// and `grid_w` or the input `grid`) the one not used is left out.
    pub fn attributes(&self) -> Attributes {
        let int = |v: usize| AttrValue::Int(i64::try_from(v).unwrap_or(i64::MAX));
        let mut list = vec![("prefix", int(self.prefix)), ("suffix", int(self.suffix))];
        if let Some((h, w)) = self.grid {
            list.extend([("grid_h", int(h)), ("grid_w", int(w))]);
        }
        match self.keep {
            Keep::Tokens(m) => list.push(("tokens", int(m))),
            Keep::Ratio { num, den } => list.extend([("keep_num", int(num)), ("keep_den", int(den))]),
        }
        list.extend([
            ("neighbors", int(self.neighbors)),
            ("window", int(self.window)),
            ("spatial_mix", AttrValue::Float(self.spatial_mix)),
        ]);
        list.extend(plugin_attributes());
        list.extend(self.grid.is_none().then(grid_attribute));
        list
    }

    /// Reads the attributes of a node. Zero for `grid_h` and `grid_w`, `tokens`, or `keep_num` and `keep_den` means
    /// absent. Result is validated.
    pub fn from_attributes<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a AttrValue)>) -> Result<Self> {
        let mut read = Reader::new(NAME, attributes)?;
        let some = |v: Option<usize>| v.filter(|&v| v != 0);
        let prefix = read.size("prefix")?.unwrap_or(0);
        let suffix = read.size("suffix")?.unwrap_or(0);
        let grid = match (some(read.size("grid_h")?), some(read.size("grid_w")?)) {
            (Some(h), Some(w)) => Some((h, w)),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Error::MissingAttribute { operator: NAME, name: "grid_h" });
            }
            (Some(_), None) => {
                return Err(Error::MissingAttribute { operator: NAME, name: "grid_w" });
            }
        };
        let tokens = some(read.size("tokens")?);
        let keep = match (tokens, some(read.size("keep_num")?), some(read.size("keep_den")?)) {
            (Some(m), None, None) => Keep::Tokens(m),
            (None, Some(num), Some(den)) => Keep::Ratio { num, den },
            (None, None, None) => {
                return Err(Error::MissingAttribute { operator: NAME, name: "tokens" });
            }
            (None, None, Some(_)) => {
                return Err(Error::MissingAttribute { operator: NAME, name: "keep_num" });
            }
            (None, Some(_), None) => {
                return Err(Error::MissingAttribute { operator: NAME, name: "keep_den" });
            }
            (Some(m), _, _) => {
                return Err(Error::InvalidParameter {
                    operator: NAME,
                    name: "tokens",
                    value: m.to_string(),
                    reason: "either tokens, or keep_num and keep_den, not both",
                });
            }
        };
        let params = Self {
            prefix,
            suffix,
            grid,
            keep,
            neighbors: read.size("neighbors")?.unwrap_or(Self::NEIGHBORS),
            window: read.size("window")?.unwrap_or(Self::WINDOW),
            spatial_mix: read.float("spatial_mix")?.unwrap_or(Self::SPATIAL_MIX),
        };
        read.finish()?;
        params.validate()?;
        Ok(params)
    }

    /// `w[r] = s_r² / d` with `s_r = (1 − α)·r/λ + α`: what turns a sum of squared differences into a squared mixed
    /// distance. Computed in f64 and rounded once, so that every implementation holds the same table.
    pub(crate) fn rank_weights(&self, ranks: usize, channels: usize) -> Vec<f32> {
        let alpha = f64::from(self.spatial_mix);
        (0..ranks)
            .map(|r| {
                let s = (1.0 - alpha) * r as f64 / self.window as f64 + alpha;
                (s * s / channels as f64) as f32
            })
            .collect()
    }
}

/// Result of `AilurusDensityPeaks`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// R: rows of the reduced sequence.
    pub rows: usize,
    /// `[B, T]`: row of each token.
    pub index: Vec<i32>,
    /// `[B, R]`: position in the full sequence of the token that stands for each row.
    pub anchor: Vec<i32>,
    /// `[B, R]`: number of tokens in each row.
    pub size: Vec<f32>,
}

/// Checked sizes of one call.
pub(crate) struct Sizes {
    /// Patches N = H·W.
    pub patches: usize,
    /// Tokens T.
    pub total: usize,
    /// Clusters M.
    pub clusters: usize,
    /// Rows R.
    pub rows: usize,
}

/// Validates parameters and input length; common to reference and kernel.
pub(crate) fn check(
    params: &DensityPeaks,
    metric: usize,
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
            input: "metric",
            expected: "at least one channel".into(),
            got: "0".into(),
        });
    }
    crate::error::check_len(NAME, "metric", metric, &[batch, total, channels])?;
    let clusters = params.tokens(patches)?;
    Ok(Sizes { patches, total, clusters, rows: params.prefix + clusters + params.suffix })
}

/// The logarithm of ρ·δ from the squared δ and the mean m of squared distances (ρ = exp(−m)), in f64 and rounded once:
/// anchors are chosen by it. Taken as a logarithm because exp(−m) underflows to equal zeros where m is large.
pub(crate) fn log_score(delta_squared: f32, mean: f32) -> f32 {
    (0.5 * f64::from(delta_squared).ln() - f64::from(mean)) as f32
}
