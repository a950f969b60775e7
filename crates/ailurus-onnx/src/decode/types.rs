//! Declared types.

use crate::{DataType, Dim, TensorType};
use onnx_protobuf::{TypeProto, tensor_shape_proto::dimension, type_proto};

/// The tensor type in a `TypeProto`; `None` for sequences, maps, optionals and sparse tensors.
pub fn tensor_type(ty: &TypeProto) -> Option<TensorType> {
    let Some(type_proto::Value::TensorType(tensor)) = &ty.value else { return None };
    let shape = tensor.shape.as_ref().map(|shape| {
        let dim = |d: &onnx_protobuf::tensor_shape_proto::Dimension| match &d.value {
            Some(dimension::Value::DimValue(v)) => Dim::Value(*v),
            Some(dimension::Value::DimParam(p)) if !p.is_empty() => Dim::Param(p.clone()),
            _ => Dim::Unknown,
        };
        shape.dim.iter().map(dim).collect()
    });
    Some(TensorType { dtype: DataType::from_onnx(tensor.elem_type), shape })
}
