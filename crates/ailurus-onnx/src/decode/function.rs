//! Model-local functions.

use super::graph::{Builder, decode_value_info};
use super::model::opset;
use super::node::{decode_attribute, decode_node, plain_domain};
use super::thin;
use crate::Function;
use crate::error::Result;
use crate::layout::What;
use crate::wire::Fields;
use indexmap::IndexMap;
use onnx_protobuf::FunctionProto;
use std::ops::Range;

/// Decodes the `FunctionProto` at `range`.
pub fn decode_function(data: &[u8], range: Range<usize>) -> Result<Function> {
    let proto: FunctionProto = thin(data, range.clone(), &[7, 9, 11, 12])?;
    let mut body = Builder::default();
    body.graph.name = proto.name.clone();
    for name in &proto.input {
        body.input(name)?;
    }
    let (mut opset_imports, mut attribute_defaults) = (Vec::new(), IndexMap::new());
    for field in Fields::new(data, range.clone()) {
        let field = field?;
        let Some(inner) = field.body() else {
            body.push(&field, What::Other);
            continue;
        };
        match field.number {
            7 => {
                body.raw_node(&field, decode_node(data, inner)?);
                continue;
            }
            9 => opset_imports.push(opset(data, inner)?),
            11 => {
                let (name, value) = decode_attribute(data, inner)?;
                attribute_defaults.insert(name, value);
            }
            12 => {
                let (name, ty) = decode_value_info(data, inner)?;
                body.infos.push((body.entries.len(), name, ty, false));
            }
            _ => {}
        }
        body.push(&field, What::Other);
    }
    body.outputs = proto.output.clone();
    Ok(Function {
        name: proto.name,
        domain: plain_domain(proto.domain),
        inputs: proto.input,
        outputs: proto.output,
        attributes: proto.attribute,
        opset_imports,
        attribute_defaults,
        overload: proto.overload,
        doc: proto.doc_string,
        body: body.finish(Some(range.clone()), true)?,
        origin: Some(range),
    })
}
