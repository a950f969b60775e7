//! Node attributes as the operators' crate reads them.

use ailurus_ops::AttrValue;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::prelude::TractResult;
use tract_onnx::tract_hir::internal::{bail, format_err};

/// The attributes of a node.
pub(super) fn read(node: &NodeProto) -> TractResult<Vec<(String, AttrValue)>> {
    let mut out = Vec::with_capacity(node.attribute.len());
    for a in &node.attribute {
        let value = match AttributeType::try_from(a.r#type) {
            Ok(AttributeType::Int) => AttrValue::Int(a.i),
            Ok(AttributeType::Float) => AttrValue::Float(a.f),
            Ok(AttributeType::String) => AttrValue::Str(
                String::from_utf8(a.s.to_vec()).map_err(|_| format_err!("attribute {:?} is not text", a.name))?,
            ),
            Ok(AttributeType::Ints) => AttrValue::Ints(a.ints.clone()),
            _ => bail!("attribute {:?} has a type that no ailurus operator takes", a.name),
        };
        out.push((a.name.clone(), value));
    }
    Ok(out)
}

/// The same, lent.
pub(super) fn lend(list: &[(String, AttrValue)]) -> impl Iterator<Item = (&str, &AttrValue)> {
    list.iter().map(|(name, value)| (name.as_str(), value))
}
