//! 8-bit values in plans: which constants say how their numbers are stored.

use crate::plan::Quantization;
use ailurus_analyze::{interp::Interp, quantization};
use ailurus_onnx::{DataType, Graph, ValueId};

/// Element types that streams may be stored in.
pub fn is_stored_type(dtype: DataType) -> bool {
    matches!(dtype, DataType::U8 | DataType::I8)
}

/// The quantisation of a value by names.
pub fn named(g: &Graph, q: &quantization::Quantization) -> Quantization {
    let name = |v: ValueId| g.name_of(v).to_owned();
    Quantization { scale: name(q.scale), zero_point: q.zero_point.map(name), stored: q.stored.to_onnx() }
}

/// The quantisation of an 8-bit value, with the element type of its numbers; `None` where it has no constant scale.
pub fn of(interp: &Interp, v: ValueId) -> Option<(Quantization, DataType)> {
    let found = quantization::of(interp, v)?;
    Some((named(&interp.model.graph, &found), interp.get(found.scale)?.dtype))
}
