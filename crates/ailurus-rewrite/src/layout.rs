//! How a stream's axes relate to the operators' `[B, T, C]`.

use ailurus_analyze::{Tokens, axis::Atoms, axis::Axis};
use serde::{Deserialize, Serialize};

/// Order of the axes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `[B, T, C]`
    BatchTokenChannel,
    /// `[T, B, C]`
    TokenBatchChannel,
    /// `[T, C]`, a batch of one
    TokenChannel,
    /// `[B·T, C]`
    Flat,
}

impl Layout {
    /// Reads a layout off the axes.
    pub fn of(axes: &[Axis], tokens: &Tokens, atoms: &Atoms) -> Option<Self> {
        let sequence = |a: &Axis| *a == tokens.sequence;
        let free = |a: &Axis| !atoms.is_spatial(a);
        match axes {
            [b, t, c] if sequence(t) && free(b) && free(c) => Some(Self::BatchTokenChannel),
            [t, b, c] if sequence(t) && free(b) && free(c) => Some(Self::TokenBatchChannel),
            [t, c] if sequence(t) && free(c) => Some(Self::TokenChannel),
            [t, c] if t.contains_run(&tokens.patches) && free(c) => Some(Self::Flat),
            _ => None,
        }
    }
}
