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

/// How tokens from tables, such as positions, are read for clusters that form a grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tables {
    /// Tables of numbers with one row per token are resized to the grid of clusters, bilinearly. Masks, and tables with a
    /// number for each pair of tokens, are gathered.
    #[default]
    Resize,
    /// Every cluster has the row of the patch that lies nearest to the middle of its cell.
    Gather,
}

/// How tokens become clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Method {
    /// Density peaks: clusters of any shape, a token belongs to one.
    #[default]
    Ailurus,
    /// Grid k-means: clusters that form a smaller grid, a token is made of several.
    Expedit(Expedit),
    /// Average pooling to a smaller grid, and bilinear resizing back: does not look at the tokens.
    Pool(Pool),
    /// Windows of two by two patches, those whose patches differ least become one token each.
    Windows,
}

impl Method {
    /// Rows and columns of clusters, where they form a grid, and how tables are read for them.
    pub(crate) fn grid(&self) -> Option<((usize, usize), Tables)> {
        match self {
            Self::Expedit(e) => Some((e.grid, e.tables)),
            Self::Pool(p) => Some((p.grid, p.tables)),
            Self::Ailurus | Self::Windows => None,
        }
    }
}

/// Parameters of [`Method::Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Rows and columns of clusters.
    pub grid: (usize, usize),
    /// How tables are read.
    pub tables: Tables,
}

/// Parameters of [`Method::Expedit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expedit {
    /// Rows and columns of clusters.
    pub grid: (usize, usize),
    /// Iterations of k-means.
    pub iterations: usize,
    /// A patch looks at the clusters within `window / 2` rows and columns of its own cell.
    pub window: usize,
    /// Nearest clusters that a patch is made of again.
    pub neighbors: usize,
    /// How fast weights fall with squared distance.
    pub temperature: f32,
    /// As the released code: an absolute temperature, weights of length one instead of sum one, ties kept.
    pub parity: bool,
    /// How tables are read.
    pub tables: Tables,
}

impl Expedit {
    /// The temperature of the published placements, which is absolute.
    pub const PARITY_TEMPERATURE: f32 = 0.02;
    /// The number of neighbours of the published placements.
    pub const PARITY_NEIGHBORS: usize = 20;

    /// Defaults for a grid of clusters.
    pub fn new(grid: (usize, usize)) -> Self {
        Self {
            grid,
            iterations: ailurus_ops::GridKMeans::ITERATIONS,
            window: ailurus_ops::GridKMeans::WINDOW,
            neighbors: ailurus_ops::GridKMeans::NEIGHBORS,
            temperature: ailurus_ops::GridKMeans::TEMPERATURE,
            parity: false,
            tables: Tables::default(),
        }
    }

    /// Defaults of the released code for a grid of clusters.
    pub fn parity(grid: (usize, usize)) -> Self {
        Self {
            neighbors: Self::PARITY_NEIGHBORS,
            temperature: Self::PARITY_TEMPERATURE,
            parity: true,
            ..Self::new(grid)
        }
    }
}

/// Everything a plan is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cut lies: the blocks before it run on all tokens.
    pub layer: Layer,
    /// How tokens become clusters.
    pub method: Method,
    /// How many clusters; with [`Method::Expedit`] as many as its grid has.
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
            method: Method::default(),
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
