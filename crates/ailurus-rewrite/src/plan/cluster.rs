//! How a plan says that tokens become clusters.

use crate::options::{Expedit, Pool, Tables};
use serde::{Deserialize, Serialize};

/// How tokens become clusters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClusterPlan {
    /// By density peaks.
    DensityPeaks(DensityPeaksPlan),
    /// By grid k-means.
    Expedit {
        /// Parameters.
        expedit: ExpeditPlan,
    },
    /// By average pooling.
    Pool {
        /// Parameters.
        pool: Pool,
    },
    /// Of windows of two by two patches.
    Windows {
        /// There are no parameters.
        windows: WindowsPlan,
    },
}

impl ClusterPlan {
    /// Rows and columns of clusters, where they form a grid.
    pub fn grid(&self) -> Option<(usize, usize)> {
        match self {
            Self::DensityPeaks(_) | Self::Windows { .. } => None,
            Self::Expedit { expedit } => Some(expedit.grid),
            Self::Pool { pool } => Some(pool.grid),
        }
    }

    /// How tables are read for clusters that form a grid.
    pub(crate) fn tables(&self) -> Tables {
        match self {
            Self::DensityPeaks(_) | Self::Windows { .. } => Tables::default(),
            Self::Expedit { expedit } => expedit.tables,
            Self::Pool { pool } => pool.tables,
        }
    }
}

/// Nothing: how many windows are merged follows from the number of clusters asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowsPlan {}

/// Parameters of `AilurusGridKMeans`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpeditPlan {
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
    /// As the released code.
    pub parity: bool,
    /// How tables are read.
    pub tables: Tables,
}

impl From<Expedit> for ExpeditPlan {
    fn from(e: Expedit) -> Self {
        let Expedit { grid, iterations, window, neighbors, temperature, parity, tables } = e;
        Self { grid, iterations, window, neighbors, temperature, parity, tables }
    }
}

impl From<ExpeditPlan> for Expedit {
    fn from(e: ExpeditPlan) -> Self {
        let ExpeditPlan { grid, iterations, window, neighbors, temperature, parity, tables } = e;
        Self { grid, iterations, window, neighbors, temperature, parity, tables }
    }
}

/// Parameters of `AilurusDensityPeaks`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensityPeaksPlan {
    /// k
    pub neighbors: usize,
    /// λ
    pub window: usize,
    /// α
    pub spatial_mix: f32,
}
