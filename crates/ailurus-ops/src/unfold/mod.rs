//! `AilurusUnfold`: every token takes the row of its cluster.

pub mod body;
pub mod kernel;
pub mod reference;

use crate::attribute::{Reader, plugin_attributes};
use crate::merge::check_index;
use crate::schema::{attr, optional, port, same};
use crate::{AttrKind, AttrValue, Attributes, DOMAIN, Error, OutDim, PortType, Result, SINCE_VERSION, Schema};

/// Operator name.
pub(crate) const NAME: &str = "AilurusUnfold";

/// How tokens refer to rows. Not an attribute: it shows in the inputs, and bodies are specialised for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Assignment {
    /// One row each: `index[B, T]`, no weight.
    #[default]
    Hard,
    /// K rows each, weighted: `index[B, T, K]`, `weight[B, T, K]`.
    Soft,
}

/// `AilurusUnfold` has no parameters besides the kind of assignment its inputs show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unfold {
    /// How tokens refer to rows.
    pub assignment: Assignment,
}

/// Sizes of one call of `AilurusUnfold` or `AilurusUnfoldResidual`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnfoldDims {
    /// B
    pub batch: usize,
    /// R
    pub rows: usize,
    /// T
    pub tokens: usize,
    /// K; 1 when `index` is `[B, T]`.
    pub choices: usize,
    /// D
    pub channels: usize,
}

impl Unfold {
    /// The schema.
    pub const SCHEMA: Schema = Schema {
        name: NAME,
        domain: DOMAIN,
        since_version: SINCE_VERSION,
        inputs: &[
            port("z", PortType::E, "B R D"),
            port("index", PortType::I32, "B T | B T K"),
            optional("weight", PortType::F32, "B T K"),
        ],
        outputs: &[port("y", PortType::E, "B T D")],
        attributes: &[attr("plugin_namespace", AttrKind::Str, true), attr("plugin_version", AttrKind::Str, true)],
        doc: "Gives every token the row of its cluster, or a weighted sum of rows.",
    };

    /// Attributes of the node, in writing order.
    pub fn attributes(&self) -> Attributes {
        plugin_attributes().into()
    }

    /// Reads the attributes of a node; `index_rank` is the rank of its `index` input.
    pub fn from_attributes<'a>(
        attributes: impl IntoIterator<Item = (&'a str, &'a AttrValue)>,
        index_rank: usize,
    ) -> Result<Self> {
        Reader::new(NAME, attributes)?.finish()?;
        Ok(Self { assignment: assignment(NAME, index_rank)? })
    }

    /// Output shape for the shapes of `z`, `index` and, if present, `weight`.
    pub fn output_shapes(&self, inputs: &[&[Option<usize>]]) -> Result<[Vec<OutDim>; 1]> {
        let [z, index, weight @ ..] = inputs else {
            return Err(Error::Shape {
                operator: NAME,
                input: "index",
                expected: "inputs z and index".into(),
                got: format!("{} inputs", inputs.len()),
            });
        };
        check_shapes(NAME, self.assignment, &[("z", z)], index, weight.first().copied())?;
        Ok([vec![same(0, 0), index[1].map_or(same(1, 1), OutDim::Known), same(0, 2)]])
    }
}

/// The kind of assignment an `index` of this rank means.
pub(crate) fn assignment(operator: &'static str, index_rank: usize) -> Result<Assignment> {
    match index_rank {
        2 => Ok(Assignment::Hard),
        3 => Ok(Assignment::Soft),
        other => Err(Error::Shape {
            operator,
            input: "index",
            expected: "[B, T] or [B, T, K]".into(),
            got: format!("rank {other}"),
        }),
    }
}

/// Checks the shapes of rank-3 inputs, `index` and `weight` against each other; common to both unfold operators.
pub(crate) fn check_shapes(
    operator: &'static str,
    kind: Assignment,
    streams: &[(&'static str, &[Option<usize>])],
    index: &[Option<usize>],
    weight: Option<&[Option<usize>]>,
) -> Result<()> {
    let wrong = |input, expected: String, got: &[Option<usize>]| {
        Err(Error::Shape { operator, input, expected, got: format!("{got:?}") })
    };
    let differ = |a: Option<usize>, b: Option<usize>| a.is_some() && b.is_some() && a != b;
    for (input, dims) in streams {
        if dims.len() != 3 {
            return wrong(input, "rank 3".into(), dims);
        }
        if differ(dims[0], streams[0].1[0]) || differ(dims[2], streams[0].1[2]) {
            return wrong(input, format!("batch and channels of `{}`", streams[0].0), dims);
        }
    }
    if assignment(operator, index.len())? != kind || differ(index[0], streams[0].1[0]) {
        return wrong("index", format!("{kind:?} assignment, batch as in `{}`", streams[0].0), index);
    }
    match (kind, weight) {
        (Assignment::Hard, None) => Ok(()),
        (Assignment::Hard, Some(weight)) => wrong("weight", "none with an index of rank 2".into(), weight),
        (Assignment::Soft, None) => wrong("weight", "a weight for an index of rank 3".into(), &[]),
        (Assignment::Soft, Some(weight)) => {
            if weight.len() != 3 || (0..3).any(|a| differ(weight[a], index[a])) {
                return wrong("weight", "the shape of `index`".into(), weight);
            }
            Ok(())
        }
    }
}

/// Checks lengths and indices of a call; common to both unfold operators.
pub(crate) fn check(
    operator: &'static str,
    z: usize,
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
) -> Result<()> {
    use crate::error::check_len;
    check_len(operator, "z", z, &[dims.batch, dims.rows, dims.channels])?;
    check_len(operator, "index", index.len(), &[dims.batch, dims.tokens, dims.choices])?;
    match weight {
        _ if dims.choices == 0 => {
            return Err(Error::Shape {
                operator,
                input: "index",
                expected: "at least one row per token".into(),
                got: "0".into(),
            });
        }
        Some(weight) => check_len(operator, "weight", weight.len(), &[dims.batch, dims.tokens, dims.choices])?,
        None if dims.choices == 1 => {}
        None => {
            return Err(Error::Shape {
                operator,
                input: "weight",
                expected: format!("a weight for {} rows per token", dims.choices),
                got: "none".into(),
            });
        }
    }
    dims.batch
        .checked_mul(dims.tokens)
        .and_then(|n| n.checked_mul(dims.channels))
        .ok_or_else(|| Error::TooLarge { operator, what: format!("output of {dims:?}") })?;
    check_index(operator, index, dims.rows)
}
