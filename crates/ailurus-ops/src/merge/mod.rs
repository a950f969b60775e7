//! `AilurusMerge`: one row per cluster, the mean of its members.

pub mod body;
pub mod kernel;
pub mod reference;

use crate::attribute::{Reader, plugin_attributes};
use crate::schema::{attr, port, same};
use crate::{AttrKind, AttrValue, Attributes, DOMAIN, Error, OutDim, PortType, Result, SINCE_VERSION, Schema};

/// Operator name.
pub(crate) const NAME: &str = "AilurusMerge";

/// `AilurusMerge` has no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Merge;

/// Sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MergeDims {
    /// B
    pub batch: usize,
    /// T
    pub tokens: usize,
    /// R
    pub rows: usize,
    /// D
    pub channels: usize,
}

impl Merge {
    /// The schema.
    pub const SCHEMA: Schema = Schema {
        name: NAME,
        domain: DOMAIN,
        since_version: SINCE_VERSION,
        inputs: &[
            port("x", PortType::E, "B T D"),
            port("index", PortType::I32, "B T"),
            port("size", PortType::F32, "B R"),
        ],
        outputs: &[port("y", PortType::E, "B R D")],
        attributes: &[attr("plugin_namespace", AttrKind::Str, true), attr("plugin_version", AttrKind::Str, true)],
        doc: "Averages the members of every row.",
    };

    /// Attributes of the node, in writing order.
    pub fn attributes(&self) -> Attributes {
        plugin_attributes().into()
    }

    /// Reads the attributes of a node.
    pub fn from_attributes<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a AttrValue)>) -> Result<Self> {
        Reader::new(NAME, attributes)?.finish()?;
        Ok(Self)
    }

    /// Output shape for the shapes of `x`, `index` and `size`.
    pub fn output_shapes(&self, inputs: &[&[Option<usize>]]) -> Result<[Vec<OutDim>; 1]> {
        let [x, index, size] = inputs else {
            return Err(shape("x", "three inputs", inputs.len()));
        };
        for (input, dims, rank) in [("x", x, 3), ("index", index, 2), ("size", size, 2)] {
            if dims.len() != rank {
                return Err(shape(input, &format!("rank {rank}"), dims));
            }
        }
        agree("index", &[(x[0], index[0]), (x[1], index[1])], index)?;
        agree("size", &[(x[0], size[0])], size)?;
        let rows = size[1].map_or(same(2, 1), OutDim::Known);
        Ok([vec![same(0, 0), rows, same(0, 2)]])
    }
}

fn shape(input: &'static str, expected: &str, got: impl std::fmt::Debug) -> Error {
    Error::Shape { operator: NAME, input, expected: expected.into(), got: format!("{got:?}") }
}

/// Refuses two dimensions that are both known and differ.
fn agree(input: &'static str, pairs: &[(Option<usize>, Option<usize>)], got: &[Option<usize>]) -> Result<()> {
    match pairs.iter().find(|(a, b)| a.is_some() && b.is_some() && a != b) {
        Some((a, _)) => Err(shape(input, &format!("{} as in `x`", a.unwrap_or(0)), got)),
        None => Ok(()),
    }
}

/// Checks lengths and indices; common to reference and kernel.
pub(crate) fn check(x: usize, index: &[i32], size: usize, dims: MergeDims) -> Result<()> {
    crate::error::check_len(NAME, "x", x, &[dims.batch, dims.tokens, dims.channels])?;
    crate::error::check_len(NAME, "index", index.len(), &[dims.batch, dims.tokens])?;
    crate::error::check_len(NAME, "size", size, &[dims.batch, dims.rows])?;
    // The output is made by these functions, so its size must be sane before it is allocated.
    dims.batch
        .checked_mul(dims.rows)
        .and_then(|n| n.checked_mul(dims.channels))
        .ok_or_else(|| Error::TooLarge { operator: NAME, what: format!("output of {dims:?}") })?;
    check_index(NAME, index, dims.rows)
}

/// Every entry of `index` names one of `rows` rows.
pub(crate) fn check_index(operator: &'static str, index: &[i32], rows: usize) -> Result<()> {
    match index.iter().position(|&i| usize::try_from(i).map_or(true, |i| i >= rows)) {
        None => Ok(()),
        Some(position) => Err(Error::IndexOutOfRange { operator, value: i64::from(index[position]), position, rows }),
    }
}
