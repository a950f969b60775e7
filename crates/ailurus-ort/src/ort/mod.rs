//! What this library needs of ONNX Runtime's C interface, made safe to use.

#[cfg(feature = "cuda")]
mod allocator;
mod api;
mod context;
mod inference;
mod node;
mod parallel;

#[cfg(feature = "cuda")]
pub(crate) use allocator::Allocator;
pub(crate) use api::Api;
pub(crate) use context::{Call, Input};
pub(crate) use inference::Inference;
pub(crate) use node::Node;
pub(crate) use parallel::{Pool, catch};

use ailurus_ops::{ElementType, PortType};
use ort_sys::ONNXTensorElementDataType as DataType;

/// The interface version asked for: the lowest that has all we use. ONNX Runtime keeps old versions available.
pub(crate) const API_VERSION: u32 = 17;

/// The element type of a port, for nodes of element type `element`.
pub(crate) fn data_type(port: PortType, element: ElementType) -> DataType {
    match (port, element) {
        (PortType::E, ElementType::F16) => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        (PortType::E, ElementType::F32) | (PortType::F32, _) => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        (PortType::I32, _) => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        (PortType::I64, _) => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
    }
}
