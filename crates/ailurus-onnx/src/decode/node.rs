//! Nodes and their attributes.

use super::{graph::decode_graph, leaf, tensor::decode_tensor, thin};
use crate::error::{Error, Result};
use crate::wire::Fields;
use crate::{Attribute, Graph};
use indexmap::IndexMap;
use onnx_protobuf::{AttributeProto, NodeProto, attribute_proto::AttributeType};
use std::ops::Range;

/// A node before its names are resolved.
pub struct RawNode {
    /// Name in the file.
    pub name: String,
    /// Operator.
    pub op_type: String,
    /// Domain, `ai.onnx` spelled `""`.
    pub domain: String,
    /// Overload of a function name.
    pub overload: String,
    /// Input names.
    pub inputs: Vec<String>,
    /// Output names.
    pub outputs: Vec<String>,
    /// Attributes.
    pub attributes: IndexMap<String, Attribute>,
    /// The message, if it lies in a file.
    pub range: Option<Range<usize>>,
}

/// `ai.onnx` and the empty domain are the same.
pub fn plain_domain(domain: String) -> String {
    if domain == "ai.onnx" { String::new() } else { domain }
}

/// Decodes the `NodeProto` at `range`.
pub fn decode_node(data: &[u8], range: Range<usize>) -> Result<RawNode> {
    let proto: NodeProto = thin(data, range.clone(), &[5])?;
    let mut attributes = IndexMap::new();
    for field in Fields::new(data, range.clone()) {
        let field = field?;
        if let (5, Some(body)) = (field.number, field.body()) {
            let start = body.start;
            let (name, value) = decode_attribute(data, body)?;
            if attributes.insert(name.clone(), value).is_some() {
                return Err(Error::malformed(start, format!("node `{}` has attribute `{name}` twice", proto.name)));
            }
        }
    }
    Ok(RawNode {
        name: proto.name,
        op_type: proto.op_type,
        domain: plain_domain(proto.domain),
        overload: proto.overload,
        inputs: proto.input,
        outputs: proto.output,
        attributes,
        range: Some(range),
    })
}

/// Decodes the `AttributeProto` at `range`.
pub fn decode_attribute(data: &[u8], range: Range<usize>) -> Result<(String, Attribute)> {
    let (mut tensors, mut graphs, mut opaque) = (Vec::new(), Vec::new(), false);
    let (mut one_tensor, mut one_graph) = (false, false);
    for field in Fields::new(data, range.clone()) {
        let field = field?;
        let Some(body) = field.body() else { continue };
        match field.number {
            5 | 10 => {
                one_tensor |= field.number == 5;
                tensors.push(decode_tensor(data, body)?);
            }
            6 | 11 => {
                one_graph |= field.number == 6;
                graphs.push(decode_graph(data, body, false)?);
            }
            14 | 15 | 22 | 23 => opaque = true,
            _ => {}
        }
    }
    let proto: AttributeProto = thin(data, range.clone(), &[5, 6, 10, 11, 14, 15, 22, 23])?;
    if !proto.ref_attr_name.is_empty() {
        return Ok((proto.name, Attribute::Ref(proto.ref_attr_name)));
    }
    let declared = proto.type_.enum_value().unwrap_or(AttributeType::UNDEFINED);
    let kind = match declared {
        // files of IR version 1 do not say
        AttributeType::UNDEFINED => guess(&proto, &tensors, &graphs, one_tensor, one_graph),
        declared => declared,
    };
    let value = match kind {
        _ if opaque => Attribute::Opaque(data[range].to_vec()),
        AttributeType::FLOAT => Attribute::Float(proto.f),
        AttributeType::INT => Attribute::Int(proto.i),
        AttributeType::STRING => Attribute::Str(proto.s),
        AttributeType::FLOATS => Attribute::Floats(proto.floats),
        AttributeType::INTS => Attribute::Ints(proto.ints),
        AttributeType::STRINGS => Attribute::Strs(proto.strings),
        AttributeType::TENSOR if tensors.len() == 1 => Attribute::Tensor(tensors.remove(0)),
        AttributeType::TENSORS => Attribute::Tensors(tensors),
        AttributeType::GRAPH if graphs.len() == 1 => Attribute::Graph(Box::new(graphs.remove(0))),
        AttributeType::GRAPHS => Attribute::Graphs(graphs),
        AttributeType::TENSOR | AttributeType::GRAPH => {
            let what = format!("attribute `{}` does not hold the one value it declares", proto.name);
            return Err(Error::malformed(range.start, what));
        }
        _ => Attribute::Opaque(data[range].to_vec()),
    };
    Ok((proto.name, value))
}

fn guess(
    proto: &AttributeProto,
    tensors: &[crate::Tensor],
    graphs: &[Graph],
    one_tensor: bool,
    one_graph: bool,
) -> AttributeType {
    if one_tensor {
        AttributeType::TENSOR
    } else if one_graph {
        AttributeType::GRAPH
    } else if !tensors.is_empty() {
        AttributeType::TENSORS
    } else if !graphs.is_empty() {
        AttributeType::GRAPHS
    } else if !proto.ints.is_empty() {
        AttributeType::INTS
    } else if !proto.floats.is_empty() {
        AttributeType::FLOATS
    } else if !proto.strings.is_empty() {
        AttributeType::STRINGS
    } else if !proto.s.is_empty() {
        AttributeType::STRING
    } else if proto.f != 0.0 {
        AttributeType::FLOAT
    } else {
        AttributeType::INT
    }
}

/// Decodes one string, for names that stand alone.
pub fn text(data: &[u8], range: Range<usize>) -> Result<String> {
    let start = range.start;
    String::from_utf8(data[range].to_vec()).map_err(|_| Error::malformed(start, "a name that is not UTF-8"))
}

/// Decodes a key-value pair.
pub fn pair(data: &[u8], range: Range<usize>) -> Result<(String, String)> {
    let proto: onnx_protobuf::StringStringEntryProto = leaf(data, range)?;
    Ok((proto.key, proto.value))
}
