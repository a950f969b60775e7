//! Operator schemas as plain data, and the vocabulary of the shape rules.

use crate::{DensityPeaks, GridKMeans, Merge, Unfold, UnfoldResidual};

/// Domain of all operators.
pub const DOMAIN: &str = "ai.ailurus";
/// Version of the domain that introduced them.
pub const SINCE_VERSION: i64 = 1;

/// Type of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortType {
    /// The element type of the node: `f32` or `f16`, the same for every port marked so.
    E,
    /// 32-bit float
    F32,
    /// 32-bit signed integer
    I32,
    /// 64-bit signed integer
    I64,
}

/// An input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name.
    pub name: &'static str,
    /// Element type.
    pub dtype: PortType,
    /// Axes, one letter each, as in `docs/operators.md`; alternatives separated by ` | `.
    pub shape: &'static str,
    /// May be left out (only trailing ports are, by leaving them off, never as an empty name).
    pub optional: bool,
}

/// Kind of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrKind {
    /// integer
    Int,
    /// float
    Float,
    /// string
    Str,
    /// several integers
    Ints,
}

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrSchema {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: AttrKind,
    /// Must be present (alternatives are all optional, and checked when the node is read).
    pub required: bool,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Operator name, unique without its domain (TensorRT and tract ignore domains).
    pub name: &'static str,
    /// Domain.
    pub domain: &'static str,
    /// Version of the domain.
    pub since_version: i64,
    /// Inputs in order.
    pub inputs: &'static [Port],
    /// Outputs in order.
    pub outputs: &'static [Port],
    /// Attributes in writing order.
    pub attributes: &'static [AttrSchema],
    /// One sentence.
    pub doc: &'static str,
}

impl Schema {
    /// Number of inputs that must be present.
    pub fn required_inputs(&self) -> usize {
        self.inputs.iter().filter(|p| !p.optional).count()
    }

    /// Number of outputs that must be present.
    pub fn required_outputs(&self) -> usize {
        self.outputs.iter().filter(|p| !p.optional).count()
    }
}

/// The schemas of all operators.
pub fn schemas() -> [&'static Schema; 5] {
    [&DensityPeaks::SCHEMA, &GridKMeans::SCHEMA, &Merge::SCHEMA, &Unfold::SCHEMA, &UnfoldResidual::SCHEMA]
}

/// Builders that keep the schema tables to one line per entry.
pub(crate) const fn port(name: &'static str, dtype: PortType, shape: &'static str) -> Port {
    Port { name, dtype, shape, optional: false }
}
pub(crate) const fn optional(name: &'static str, dtype: PortType, shape: &'static str) -> Port {
    Port { name, dtype, shape, optional: true }
}
pub(crate) const fn attr(name: &'static str, kind: AttrKind, required: bool) -> AttrSchema {
    AttrSchema { name, kind, required }
}

/// One dimension of an output, said in terms of the inputs, so that a caller with symbolic dimensions keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutDim {
    /// Known size.
    Known(usize),
    /// The same as this dimension of this input.
    Same {
        /// Input position.
        input: usize,
        /// Axis of that input.
        axis: usize,
    },
    /// The reduced token count R, which is not known statically.
    Rows,
}

/// Output dimensions as sizes, given the input dimensions they refer to.
pub fn resolve(dims: &[OutDim], inputs: &[&[Option<usize>]]) -> Vec<Option<usize>> {
    dims.iter()
        .map(|dim| match *dim {
            OutDim::Known(n) => Some(n),
            OutDim::Same { input, axis } => inputs.get(input).and_then(|i| i.get(axis)).copied().flatten(),
            OutDim::Rows => None,
        })
        .collect()
}

/// Shorthand for [`OutDim::Same`].
pub(crate) const fn same(input: usize, axis: usize) -> OutDim {
    OutDim::Same { input, axis }
}
