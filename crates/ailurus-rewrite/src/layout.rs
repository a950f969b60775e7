//! How a stream's axes relate to the operators' `[B, T, C]`.

use ailurus_analyze::{
    Tokens,
    axis::{Atoms, Axis, Factor},
};
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
            [t, c] if batch_first(t, tokens) && free(c) => Some(Self::Flat),
            _ => None,
        }
    }
}

/// True for `B·T` with the tokens varying fastest.
fn batch_first(axis: &Axis, tokens: &Tokens) -> bool {
    let [run] = &axis.0[..] else { return false };
    match run.last() {
        Some(Factor::Cat(inner)) => *inner == tokens.sequence,
        _ => tokens.sequence.0.len() == 1 && run.ends_with(&tokens.patches),
    }
}
