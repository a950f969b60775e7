//! Writes a body node by node, hiding what changed between opsets.

use super::{Body, BodyAttr, BodyData, BodyNode, BodyOptions, BodyTensor};
use crate::ElementType;

/// `TensorProto.DataType` numbers used by bodies.
pub(crate) const F32: i64 = 1;
pub(crate) const I32: i64 = 6;
pub(crate) const I64: i64 = 7;

/// Collects nodes; every method returns the name of the value it made.
pub(crate) struct Builder {
    opset: i64,
    element: ElementType,
    nodes: Vec<BodyNode>,
}

impl Builder {
    pub(crate) fn new(options: BodyOptions) -> Self {
        Self { opset: options.body_opset(), element: options.element, nodes: Vec::new() }
    }

    /// The finished body.
    pub(crate) fn finish(self, inputs: &[&str], outputs: &[&str], doc: String) -> Body {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect();
        Body { inputs: own(inputs), outputs: own(outputs), opset: self.opset, nodes: self.nodes, doc }
    }

    fn fresh(&self, op: &str) -> String {
        format!("{}_{}", op.to_lowercase(), self.nodes.len())
    }

    /// A node with one output and attributes.
    pub(crate) fn with(
        &mut self,
        op_type: &'static str,
        inputs: &[&str],
        attributes: &[(&'static str, BodyAttr)],
    ) -> String {
        let output = self.fresh(op_type);
        self.push(op_type, inputs, std::slice::from_ref(&output), attributes);
        output
    }

    /// A node with one output and no attributes.
    pub(crate) fn op(&mut self, op_type: &'static str, inputs: &[&str]) -> String {
        self.with(op_type, inputs, &[])
    }

    /// Any node.
    pub(crate) fn push(
        &mut self,
        op_type: &'static str,
        inputs: &[&str],
        outputs: &[String],
        attributes: &[(&'static str, BodyAttr)],
    ) {
        let inputs = inputs.iter().map(|n| (*n).to_string()).collect();
        self.nodes.push(BodyNode { op_type, inputs, outputs: outputs.to_vec(), attributes: attributes.to_vec() });
    }

    /// Renames: the last step of an output.
    pub(crate) fn output(&mut self, value: &str, name: &str) {
        self.push("Identity", &[value], &[name.to_string()], &[]);
    }

    pub(crate) fn constant(&mut self, dims: &[i64], data: BodyData) -> String {
        let tensor = BodyTensor { dims: dims.to_vec(), data };
        self.with("Constant", &[], &[("value", BodyAttr::Tensor(tensor))])
    }

    /// One-dimensional list of 64-bit integers: axes, shapes, slice bounds.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        self.constant(&[values.len() as i64], BodyData::I64(values.to_vec()))
    }

    pub(crate) fn scalar_i64(&mut self, value: i64) -> String {
        self.constant(&[], BodyData::I64(vec![value]))
    }

    pub(crate) fn scalar_i32(&mut self, value: i32) -> String {
        self.constant(&[], BodyData::I32(vec![value]))
    }

    pub(crate) fn scalar_f32(&mut self, value: f32) -> String {
        self.constant(&[], BodyData::F32(vec![value]))
    }

    pub(crate) fn cast(&mut self, value: &str, to: i64) -> String {
        self.with("Cast", &[value], &[("to", BodyAttr::Int(to))])
    }

    /// A value of type E as f32; free when E is f32.
    pub(crate) fn widen(&mut self, value: &str) -> String {
        match self.element {
            ElementType::F32 => value.to_string(),
            ElementType::F16 => self.cast(value, F32),
        }
    }

    /// An f32 value as E, under the name of an output.
    pub(crate) fn narrow_to(&mut self, value: &str, name: &str) {
        match self.element {
            ElementType::F32 => self.output(value, name),
            element => {
                self.push("Cast", &[value], &[name.to_string()], &[("to", BodyAttr::Int(element.onnx()))]);
            }
        }
    }

    /// `ReduceSum`, whose axes have been an input since 13.
    pub(crate) fn reduce_sum(&mut self, value: &str, axis: i64, keep: bool) -> String {
        let axes = self.ints(&[axis]);
        self.with("ReduceSum", &[value, &axes], &[("keepdims", BodyAttr::Int(keep.into()))])
    }

    /// `ReduceMin`, `ReduceMax`, ..., whose axes became an input at 18.
    pub(crate) fn reduce(&mut self, op: &'static str, value: &str, axes: &[i64], keep: bool) -> String {
        let keep = ("keepdims", BodyAttr::Int(keep.into()));
        if self.opset >= 18 {
            let axes = self.ints(axes);
            self.with(op, &[value, &axes], &[keep])
        } else {
            self.with(op, &[value], &[("axes", BodyAttr::Ints(axes.to_vec())), keep])
        }
    }

    /// Elements `from..to` of one axis.
    pub(crate) fn slice(&mut self, value: &str, axis: i64, from: i64, to: i64) -> String {
        let (from, to, axis) = (self.ints(&[from]), self.ints(&[to]), self.ints(&[axis]));
        self.op("Slice", &[value, &from, &to, &axis])
    }

    pub(crate) fn reshape(&mut self, value: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.op("Reshape", &[value, &shape])
    }

    pub(crate) fn unsqueeze(&mut self, value: &str, axis: i64) -> String {
        let axes = self.ints(&[axis]);
        self.op("Unsqueeze", &[value, &axes])
    }

    pub(crate) fn concat(&mut self, values: &[&str], axis: i64) -> String {
        match values {
            [only] => (*only).to_string(),
            _ => self.with("Concat", values, &[("axis", BodyAttr::Int(axis))]),
        }
    }

    pub(crate) fn gather(&mut self, value: &str, index: &str, axis: i64) -> String {
        self.with("Gather", &[value, index], &[("axis", BodyAttr::Int(axis))])
    }

    /// One dimension of a value, as a list of length one.
    pub(crate) fn dim(&mut self, value: &str, axis: i64) -> String {
        let shape = self.op("Shape", &[value]);
        self.slice(&shape, 0, axis, axis + 1)
    }
}
