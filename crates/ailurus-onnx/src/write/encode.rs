//! Plain values to messages, keeping what the original message held besides.

use super::rope::Rope;
use super::splice::Splicer;
use crate::decode::{decode_tensor, decode_value_info};
use crate::error::{Error, Result};
use crate::wire::{Fields, Kind, put_f32, put_int};
use crate::{Attribute, Dim, Node, OpsetImport, Storage, Tensor, TensorType};
use std::ops::Range;

/// Numbers of `AttributeProto.AttributeType`.
mod kind {
    pub const FLOAT: i64 = 1;
    pub const INT: i64 = 2;
    pub const STRING: i64 = 3;
    pub const TENSOR: i64 = 4;
    pub const GRAPH: i64 = 5;
    pub const FLOATS: i64 = 6;
    pub const INTS: i64 = 7;
    pub const STRINGS: i64 = 8;
    pub const TENSORS: i64 = 9;
    pub const GRAPHS: i64 = 10;
}

impl Splicer<'_> {
    /// A `TensorProto`. From the original only documentation, metadata and unknown fields are kept.
    pub fn tensor(&self, tensor: &Tensor, original: Option<Range<usize>>) -> Result<Rope> {
        let mut out = Rope::default();
        for &dim in &tensor.dims {
            out.int(1, dim);
        }
        out.int(2, tensor.dtype.to_onnx().into());
        out.text_if(8, &tensor.name);
        let placed = self.places.find(&tensor.storage)?;
        let embedded = self.places.embedded(tensor);
        match placed.as_ref().unwrap_or(&tensor.storage) {
            Storage::Memory(bytes) if bytes.len() > 4096 => out.shared(9, bytes),
            Storage::Memory(bytes) => out.bytes(9, bytes),
            Storage::Source(range) => {
                if self.model.source.slice(range).is_none() {
                    return Err(Error::payload(&tensor.name, "its payload belongs to another model"));
                }
                out.source_field(9, range.start as usize..range.end as usize);
            }
            Storage::External { location, offset, length } => match embedded {
                Some(external) => out.external_field(9, external),
                None => put_external(&mut out, location, *offset, *length),
            },
            Storage::Strings(strings) => strings.iter().for_each(|s| out.bytes(6, s)),
            Storage::Absent => {}
        }
        if let Some(original) = original {
            self.keep(original, &mut out, |number| !matches!(number, 1..=11 | 13 | 14))?;
        }
        Ok(out)
    }

    /// The original `TensorProto` with its payload elsewhere; `None` when it stays.
    pub fn moved_tensor(&self, original: Range<usize>) -> Result<Option<Rope>> {
        let tensor = decode_tensor(self.data, original.clone())?;
        let embedded = self.places.embedded(&tensor);
        let placed = self.places.find(&tensor.storage)?;
        let mut out = Rope::default();
        self.keep(original, &mut out, |number| !matches!(number, 4..=7 | 9..=11 | 13 | 14))?;
        match (embedded, placed) {
            (Some(external), _) => out.external_field(9, external),
            (None, Some(Storage::External { location, offset, length })) => {
                put_external(&mut out, &location, offset, length);
            }
            _ => return Ok(None),
        }
        Ok(Some(out))
    }

    /// Copies the fields of a message that `wanted` admits.
    pub fn keep(&self, original: Range<usize>, out: &mut Rope, wanted: impl Fn(u32) -> bool) -> Result<()> {
        for field in Fields::new(self.data, original) {
            let field = field?;
            if wanted(field.number) {
                out.source(field.span);
            }
        }
        Ok(())
    }

    /// A `ValueInfoProto`, keeping documentation and unknown fields of the original.
    pub fn value_info(&self, name: &str, ty: Option<&TensorType>, original: Option<Range<usize>>) -> Result<Rope> {
        let mut out = Rope::default();
        out.text(1, name);
        if let Some(ty) = ty {
            out.message(2, tensor_type(ty));
        }
        if let Some(original) = original {
            // a type that is no tensor type cannot have been changed here
            let exotic = ty.is_none() && decode_value_info(self.data, original.clone())?.1.is_none();
            self.keep(original, &mut out, |number| number > 2 || (exotic && number == 2))?;
        }
        Ok(out)
    }

    /// A `NodeProto`: what was not changed comes from the original.
    pub fn node(&self, node: &Node, inputs: &[&str], outputs: &[&str]) -> Result<Rope> {
        let mut out = Rope::default();
        let fresh = node.state.origin.is_none();
        if fresh || node.state.wires {
            inputs.iter().for_each(|name| out.text(1, name));
            outputs.iter().for_each(|name| out.text(2, name));
        }
        if fresh || node.state.op {
            out.text_if(3, &node.name);
            out.text(4, &node.op_type);
            out.text_if(7, &node.domain);
            out.text_if(8, &node.overload);
        }
        let mut done: Vec<String> = Vec::new();
        if let Some(original) = node.state.origin.clone() {
            for field in Fields::new(self.data, original) {
                let field = field?;
                match (field.number, field.body()) {
                    (1 | 2, Some(_)) if node.state.wires => {}
                    (3 | 4 | 7 | 8, Some(_)) if node.state.op => {}
                    (5, Some(body)) => {
                        let name = self.attribute_name(body.clone())?;
                        match node.attributes.get(&name) {
                            _ if !node.state.attributes.contains(&name) => {
                                self.item(5, Kind::Attribute, field.span, body, &mut out)?;
                            }
                            Some(value) => out.message(5, self.attribute(&name, value)?),
                            None => {}
                        }
                        done.push(name);
                    }
                    _ => out.source(field.span),
                }
            }
        }
        for (name, value) in node.attributes.iter().filter(|(name, _)| !done.contains(name)) {
            out.message(5, self.attribute(name, value)?);
        }
        Ok(out)
    }

    fn attribute_name(&self, range: Range<usize>) -> Result<String> {
        let mut name = String::new();
        for field in Fields::new(self.data, range) {
            let field = field?;
            if let (1, Some(body)) = (field.number, field.body()) {
                name = String::from_utf8_lossy(&self.data[body]).into_owned();
            }
        }
        Ok(name)
    }

    /// An `AttributeProto`.
    pub fn attribute(&self, name: &str, value: &Attribute) -> Result<Rope> {
        let mut out = Rope::default();
        if let Attribute::Opaque(bytes) = value {
            out.put(|b| b.extend_from_slice(bytes));
            return Ok(out);
        }
        out.text(1, name);
        let kind = match value {
            Attribute::Float(v) => {
                out.put(|b| put_f32(b, 2, *v));
                kind::FLOAT
            }
            Attribute::Int(v) => {
                out.int(3, *v);
                kind::INT
            }
            Attribute::Str(v) => {
                out.bytes(4, v);
                kind::STRING
            }
            Attribute::Tensor(v) => {
                out.message(5, self.tensor(v, None)?);
                kind::TENSOR
            }
            Attribute::Graph(v) => {
                out.message(6, self.graph(v)?);
                kind::GRAPH
            }
            Attribute::Floats(v) => {
                v.iter().for_each(|&v| out.put(|b| put_f32(b, 7, v)));
                kind::FLOATS
            }
            Attribute::Ints(v) => {
                v.iter().for_each(|&v| out.int(8, v));
                kind::INTS
            }
            Attribute::Strs(v) => {
                v.iter().for_each(|v| out.bytes(9, v));
                kind::STRINGS
            }
            Attribute::Tensors(v) => {
                for tensor in v {
                    out.message(10, self.tensor(tensor, None)?);
                }
                kind::TENSORS
            }
            Attribute::Graphs(v) => {
                for graph in v {
                    out.message(11, self.graph(graph)?);
                }
                kind::GRAPHS
            }
            Attribute::Ref(wanted) => {
                out.text(21, wanted);
                kind_by_name(name)
            }
            Attribute::Opaque(_) => 0,
        };
        out.int(20, kind);
        Ok(out)
    }
}

/// Type of an attribute that only refers to one of the enclosing function: `Ref` does not carry it, and readers that
/// want to know find it by the names the standard gives.
fn kind_by_name(name: &str) -> i64 {
    match name {
        "value" => kind::TENSOR,
        "value_float" | "epsilon" | "alpha" | "beta" | "gamma" | "lambd" | "bias" | "scale" | "softcap" => kind::FLOAT,
        "value_floats" => kind::FLOATS,
        "value_string" | "mode" | "auto_pad" | "equation" | "approximate" | "reduction" => kind::STRING,
        "value_ints" | "perm" | "pads" | "strides" | "kernel_shape" | "dilations" | "axes" | "split" => kind::INTS,
        _ => kind::INT,
    }
}

/// A `TypeProto` for a tensor.
pub fn tensor_type(ty: &TensorType) -> Rope {
    let mut tensor = Rope::default();
    tensor.int(1, ty.dtype.to_onnx().into());
    if let Some(shape) = &ty.shape {
        let mut dims = Rope::default();
        for dim in shape {
            let mut d = Rope::default();
            match dim {
                Dim::Value(v) => d.int(1, *v),
                Dim::Param(p) => d.text(2, p),
                Dim::Unknown => {}
            }
            dims.message(1, d);
        }
        tensor.message(2, dims);
    }
    let mut out = Rope::default();
    out.message(1, tensor);
    out
}

/// An `OperatorSetIdProto`.
pub fn opset(import: &OpsetImport) -> Rope {
    let mut out = Rope::default();
    out.text(1, &import.domain);
    out.int(2, import.version);
    out
}

/// A key-value pair.
pub fn pair(key: &str, value: &str) -> Rope {
    let mut out = Rope::default();
    out.text(1, key);
    out.text(2, value);
    out
}

fn put_external(out: &mut Rope, location: &str, offset: u64, length: u64) {
    out.message(13, pair("location", location));
    out.message(13, pair("offset", &offset.to_string()));
    out.message(13, pair("length", &length.to_string()));
    out.put(|b| put_int(b, 14, 1));
}
