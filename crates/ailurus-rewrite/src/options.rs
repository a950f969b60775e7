//! What the user asks for.

use crate::Layer;
use serde::{Deserialize, Serialize};

/// How many clusters the patches become.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// This many.
    Tokens(usize),
    /// `max(1, ceil(N * num / den))` of N patches.
    Ratio {
        /// numerator
        num: usize,
        /// denominator
        den: usize,
    },
}

impl Keep {
    /// A share between 0 (exclusive) and 1, as a fraction of at most four digits.
    pub fn share(share: f64) -> Option<Self> {
        if !(share > 0.0 && share <= 1.0) {
            return None;
        }
        let num = (share * 10_000.0).round().max(1.0) as usize;
        let divisor = gcd(num, 10_000);
        Some(Self::Ratio { num: num / divisor, den: 10_000 / divisor })
    }
}

impl From<Keep> for ailurus_ops::Keep {
    fn from(k: Keep) -> Self {
        match k {
            Keep::Tokens(n) => Self::Tokens(n),
            Keep::Ratio { num, den } => Self::Ratio { num, den },
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What distances between tokens are measured on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Keys where they can be found, the stream otherwise.
    #[default]
    Auto,
    /// Keys of the next block, averaged over its heads.
    Keys,
    /// The stream itself, as published.
    Stream,
}

/// How the full token grid is made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnfoldMode {
    /// Each token keeps its own value at the cut and receives its cluster's update.
    #[default]
    Residual,
    /// Each token becomes a copy of its cluster, as published.
    Copy,
}

/// Where the full token grid is made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnfoldAt {
    /// At the end of the encoder.
    #[default]
    Trunk,
    /// As late as possible: heads that treat tokens alike, and decoders that attend to them, run on clusters, too.
    Latest,
}

/// How the operators travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emit {
    /// As nodes with function bodies in the file.
    #[default]
    Function,
    /// As standard operators only.
    Inline,
    /// As nodes without bodies: a library or plugin is needed.
    Custom,
}

/// Everything a plan is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cut lies: the blocks before it run on all tokens.
    pub layer: Layer,
    /// How many clusters.
    pub keep: Keep,
    /// What distances are measured on.
    pub metric: Metric,
    /// How the grid is made again.
    pub unfold: UnfoldMode,
    /// Where the grid is made again.
    pub unfold_at: UnfoldAt,
    /// Neighbours in the density.
    pub neighbors: usize,
    /// Patches each patch looks at.
    pub window: usize,
    /// Add the logarithm of cluster sizes to attention scores.
    pub proportional: bool,
    /// Weight of feature distance against spatial rank.
    pub spatial_mix: f32,
}

impl Options {
    /// Defaults for a layer (a number, or any [`Layer`]): half of the tokens, keys, residual unfolding.
    pub fn new(layer: impl Into<Layer>) -> Self {
        Self {
            layer: layer.into(),
            keep: Keep::Ratio { num: 1, den: 2 },
            metric: Metric::default(),
            unfold: UnfoldMode::default(),
            unfold_at: UnfoldAt::default(),
            neighbors: ailurus_ops::DensityPeaks::NEIGHBORS,
            proportional: false,
            window: ailurus_ops::DensityPeaks::WINDOW,
            spatial_mix: ailurus_ops::DensityPeaks::SPATIAL_MIX,
        }
    }
}
