//! Bodies: the operators spelt in standard ONNX operators, as plain data that converts to a `FunctionProto` one to one.

mod builder;

pub(crate) use builder::{BOOL, Builder, F32, F64, I32, I64};

use crate::{ElementType, Error, Result};

/// Lowest opset a body can be written for.
pub const MIN_OPSET: i64 = 11;

/// A function body.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Names of the function's inputs: those of the schema, without the optional ones that this body does not take.
    pub inputs: Vec<String>,
    /// Names of the function's outputs.
    pub outputs: Vec<String>,
    /// Version of the standard domain the body is written in; the only domain it uses.
    pub opset: i64,
    /// Nodes in topological order.
    pub nodes: Vec<BodyNode>,
    /// What the function does, with the parameters it was specialised for.
    pub doc: String,
}

/// A node of a body, always of the standard domain.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyNode {
    /// Operator.
    pub op_type: &'static str,
    /// Inputs; none is ever empty.
    pub inputs: Vec<String>,
    /// Outputs.
    pub outputs: Vec<String>,
    /// Attributes.
    pub attributes: Vec<(&'static str, BodyAttr)>,
}

/// Attribute of a body node.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyAttr {
    /// integer
    Int(i64),
    /// float
    Float(f32),
    /// integers
    Ints(Vec<i64>),
    /// floats
    Floats(Vec<f32>),
    /// string
    Str(String),
    /// tensor
    Tensor(BodyTensor),
}

/// A constant: shape and elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyTensor {
    /// Shape; empty for a scalar.
    pub dims: Vec<i64>,
    /// Elements.
    pub data: BodyData,
}

/// Elements of a [`BodyTensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum BodyData {
    /// 64-bit integers
    I64(Vec<i64>),
    /// 32-bit integers
    I32(Vec<i32>),
    /// 32-bit floats
    F32(Vec<f32>),
    /// 64-bit floats
    F64(Vec<f64>),
    /// booleans
    Bool(Vec<bool>),
}

/// What a body is written for, besides the operator's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyOptions {
    /// Opset of the model, which the body is written in: ONNX Runtime inlines functions into the graph and resolves
    /// their operators by the opset of the model, whatever the function imports.
    pub opset: i64,
    /// Element type E of the node.
    pub element: ElementType,
}

impl BodyOptions {
    /// Refuses opsets too old to spell the operators in.
    pub(crate) fn check(&self, operator: &'static str) -> Result<()> {
        if self.opset >= MIN_OPSET {
            return Ok(());
        }
        let reason = format!("opset {} lacks the operators, {MIN_OPSET} is the oldest that has them", self.opset);
        Err(Error::NoBody { operator, reason })
    }
}

impl ElementType {
    /// Number in `TensorProto.DataType`, as `Cast` wants it.
    pub(crate) fn onnx(self) -> i64 {
        match self {
            Self::F32 => 1,
            Self::F16 => 10,
        }
    }
}
