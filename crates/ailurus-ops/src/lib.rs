//! The operators of the `ai.ailurus` domain.
//!
//! | operator | does |
//! |---|---|
//! | [`DensityPeaks`] | assigns every token to one of R rows (spatial-aware density peaks, AiluRus, NeurIPS 2023, §3) |
//! | [`GridKMeans`] | makes a smaller grid of tokens by soft k-means, and tells how to go back (Expedit, NeurIPS 2022, §3) |
//! | [`Merge`] | one row per cluster: the mean of its members |
//! | [`Unfold`] | gives every token the row of its cluster |
//! | [`UnfoldResidual`] | gives every token the *update* its cluster received |
//!
//! Each operator is a folder with the same files: `mod.rs` (parameters, schema, shape rule), `reference.rs` (the
//! definition, in plain loops), `kernel.rs` (the same, fast) and `body.rs` (the same, in standard ONNX operators). The
//! crate knows no ONNX types: attributes, schemas and bodies are plain data that other crates convert one to one.
//!
//! Reference and kernel agree bit for bit on every input, but for [`kernel::grid_kmeans`], which agrees within rounding. A
//! body agrees exactly on `index`, `anchor` and `size` unless two quantities that are compared differ by rounding only, and
//! within rounding on values.

mod attribute;
pub mod body;
mod density_peaks;
mod dots;
mod element;
mod error;
mod grid;
mod grid_kmeans;
pub mod keys;
mod lanes;
mod merge;
pub mod parallel;
mod schema;
mod unfold;
mod unfold_residual;

pub use attribute::{AttrValue, Attributes, PLUGIN_NAMESPACE, PLUGIN_VERSION};
pub use density_peaks::{Clusters, DensityPeaks, Keep, Windows};
pub use element::{Element, ElementType};
pub use error::{Error, Result};
pub use grid_kmeans::{GridClusters, GridKMeans, Norm, TemperatureMode};
pub use merge::{Merge, MergeDims};
pub use schema::{AttrKind, AttrSchema, DOMAIN, OutDim, Port, PortType, SINCE_VERSION, Schema, resolve, schemas};
pub use unfold::{Assignment, Unfold, UnfoldDims};
pub use unfold_residual::UnfoldResidual;

/// The definitions: straightforward loops, made to be read and to be compared with.
pub mod reference {
    pub use crate::density_peaks::reference::density_peaks;
    pub use crate::grid_kmeans::reference::grid_kmeans;
    pub use crate::merge::reference::merge;
    pub use crate::unfold::reference::unfold;
    pub use crate::unfold_residual::reference::unfold_residual;
}

/// CPU kernels with the results of [`reference`](mod@reference), bit for bit but for [`grid_kmeans`](kernel::grid_kmeans).
/// Those that end in `_into` write to memory that the caller brings, every element of it.
pub mod kernel {
    pub use crate::density_peaks::kernel::{ClustersMut, density_peaks, density_peaks_into};
    pub use crate::grid_kmeans::kernel::{GridClustersMut, grid_kmeans, grid_kmeans_exact, grid_kmeans_into};
    pub use crate::merge::kernel::{merge, merge_into};
    pub use crate::unfold::kernel::{unfold, unfold_into};
    pub use crate::unfold_residual::kernel::{unfold_residual, unfold_residual_into};
}
