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
    /// `[B, C, T]`
    BatchChannelToken,
    /// `[B, H, W, C]`
    Map,
    /// `[B, C, H, W]`
    ChannelMap,
}

impl Layout {
    /// Position of the channels among the axes.
    pub fn channel_axis(self) -> usize {
        match self {
            Self::Map => 3,
            Self::BatchTokenChannel | Self::TokenBatchChannel => 2,
            Self::TokenChannel | Self::Flat | Self::BatchChannelToken | Self::ChannelMap => 1,
        }
    }

    /// Reads a layout off the axes of a stream.
    pub fn of(axes: &[Axis], tokens: &Tokens, atoms: &Atoms) -> Option<Self> {
        Self::around(axes, &tokens.sequence, tokens, atoms)
    }

    /// The batch axis of a stream of this layout; of size 1 for a stream without one.
    pub fn batch(self, axes: &[Axis], tokens: &Tokens) -> Option<Axis> {
        Some(match self {
            Self::BatchTokenChannel | Self::BatchChannelToken | Self::Map | Self::ChannelMap => axes.first()?.clone(),
            Self::TokenBatchChannel => axes.get(1)?.clone(),
            Self::TokenChannel => Axis::one(),
            // The factors of the flat axis in front of the tokens.
            Self::Flat => {
                let [run] = &axes.first()?.0[..] else { return None };
                let inner = match run.last()? {
                    Factor::Cat(_) => 1,
                    Factor::Atom(_) => tokens.patches.len(),
                };
                Axis(vec![run[..run.len().checked_sub(inner)?].to_vec()])
            }
        })
    }

    /// Reads the layout of a map off its axes.
    pub fn of_map(axes: &[Axis], tokens: &Tokens) -> Option<Self> {
        let (rows, columns) = (Axis::atom(tokens.grid.0), Axis::atom(tokens.grid.1));
        match axes {
            [_, r, c, _] if *r == rows && *c == columns => Some(Self::Map),
            [_, _, r, c] if *r == rows && *c == columns => Some(Self::ChannelMap),
            _ => None,
        }
    }

    /// True for maps.
    pub fn is_map(self) -> bool {
        matches!(self, Self::Map | Self::ChannelMap)
    }

    /// Reads a layout off axes of which one is this sequence.
    pub fn around(axes: &[Axis], sequence: &Axis, tokens: &Tokens, atoms: &Atoms) -> Option<Self> {
        let is = |a: &Axis| a == sequence;
        let free = |a: &Axis| !atoms.is_spatial(a);
        match axes {
            [b, t, c] if is(t) && free(b) && free(c) => Some(Self::BatchTokenChannel),
            [t, b, c] if is(t) && free(b) && free(c) => Some(Self::TokenBatchChannel),
            [b, c, t] if is(t) && free(b) && free(c) => Some(Self::BatchChannelToken),
            [t, c] if is(t) && free(c) => Some(Self::TokenChannel),
            [t, c] if batch_first(t, sequence, tokens) && free(c) => Some(Self::Flat),
            _ => None,
        }
    }
}

/// True for `B·T` with the tokens varying fastest.
fn batch_first(axis: &Axis, sequence: &Axis, tokens: &Tokens) -> bool {
    let [run] = &axis.0[..] else { return false };
    match run.last() {
        Some(Factor::Cat(inner)) => inner == sequence,
        _ => sequence.0.len() == 1 && run.ends_with(&tokens.patches),
    }
}
