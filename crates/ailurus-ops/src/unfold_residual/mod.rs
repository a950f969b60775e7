//! `AilurusUnfoldResidual`: every token keeps its own value and receives its cluster's update.

pub mod body;
pub mod kernel;
pub mod reference;

use crate::attribute::{Reader, plugin_attributes};
use crate::schema::{attr, optional, port, same};
use crate::unfold::{Assignment, UnfoldDims, assignment, check_shapes};
use crate::{AttrKind, AttrValue, Attributes, DOMAIN, Error, OutDim, PortType, Result, SINCE_VERSION, Schema};

/// Operator name.
pub(crate) const NAME: &str = "AilurusUnfoldResidual";

/// `AilurusUnfoldResidual` has no parameters besides the kind of assignment its inputs show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnfoldResidual {
    /// How tokens refer to rows.
    pub assignment: Assignment,
}

impl UnfoldResidual {
    /// The schema.
    pub const SCHEMA: Schema = Schema {
        name: NAME,
        domain: DOMAIN,
        since_version: SINCE_VERSION,
        inputs: &[
            port("z", PortType::E, "B R D"),
            port("start", PortType::E, "B R D"),
            port("base", PortType::E, "B T D"),
            port("index", PortType::I32, "B T | B T K"),
            optional("weight", PortType::F32, "B T K"),
        ],
        outputs: &[port("y", PortType::E, "B T D")],
        attributes: &[attr("plugin_namespace", AttrKind::Str, true), attr("plugin_version", AttrKind::Str, true)],
        doc: "Adds to every token the change of its cluster's row.",
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

    /// Output shape for the shapes of `z`, `start`, `base`, `index` and, if present, `weight`.
    pub fn output_shapes(&self, inputs: &[&[Option<usize>]]) -> Result<[Vec<OutDim>; 1]> {
        let [z, start, base, index, weight @ ..] = inputs else {
            return Err(shape("index", "inputs z, start, base and index", inputs.len()));
        };
        let streams = [("z", *z), ("start", *start), ("base", *base)];
        check_shapes(NAME, self.assignment, &streams, index, weight.first().copied())?;
        for (input, a, b) in [("start", z[1], start[1]), ("base", index[1], base[1])] {
            if a.is_some() && b.is_some() && a != b {
                return Err(shape(input, &format!("{} on axis 1", a.unwrap_or(0)), b));
            }
        }
        // Whichever input knows a dimension speaks for the others.
        let dim =
            |axis, sizes: &[Option<usize>]| sizes.iter().flatten().next().map_or(same(2, axis), |&n| OutDim::Known(n));
        let (batch, channels) = ([base[0], z[0], start[0], index[0]], [base[2], z[2], start[2]]);
        Ok([vec![dim(0, &batch), dim(1, &[base[1], index[1]]), dim(2, &channels)]])
    }
}

fn shape(input: &'static str, expected: &str, got: impl std::fmt::Debug) -> Error {
    Error::Shape { operator: NAME, input, expected: expected.into(), got: format!("{got:?}") }
}

/// Checks lengths and indices; common to reference and kernel.
pub(crate) fn check(
    z: usize,
    start: usize,
    base: usize,
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
) -> Result<()> {
    crate::error::check_len(NAME, "start", start, &[dims.batch, dims.rows, dims.channels])?;
    crate::error::check_len(NAME, "base", base, &[dims.batch, dims.tokens, dims.channels])?;
    crate::unfold::check(NAME, z, index, weight, dims)
}
