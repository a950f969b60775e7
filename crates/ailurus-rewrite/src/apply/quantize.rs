//! Between numbers and how they are stored in 8 bits.

use super::build::Build;
use crate::{error::Error, plan::Quantization};
use ailurus_onnx::{DataType, Tensor, TensorType, ValueId};

/// The numbers of a value: itself, or dequantised where it is stored in 8 bits. `ty` is the type of the numbers.
pub fn numbers(
    b: &mut Build,
    what: &str,
    v: ValueId,
    quantization: Option<&Quantization>,
    ty: TensorType,
) -> Result<ValueId, Error> {
    let Some(q) = quantization else { return Ok(v) };
    let inputs = inputs(b, v, q)?;
    b.op(what, "DequantizeLinear", &inputs, &[], Some(ty))
}

/// The opposite. `ty` is the type of the numbers.
pub fn stored(
    b: &mut Build,
    what: &str,
    v: ValueId,
    quantization: Option<&Quantization>,
    ty: TensorType,
) -> Result<ValueId, Error> {
    let Some(q) = quantization else { return Ok(v) };
    let inputs = inputs(b, v, q)?;
    b.op(what, "QuantizeLinear", &inputs, &[], Some(TensorType { dtype: DataType::from_onnx(q.stored), ..ty }))
}

fn inputs(b: &mut Build, v: ValueId, q: &Quantization) -> Result<[ValueId; 3], Error> {
    let scale = b.value(&q.scale)?;
    let zero = match &q.zero_point {
        Some(name) => b.value(name)?,
        // Without it the standard operator would take the unsigned type.
        None => {
            let name = b.name("zero_point");
            b.edit.add_initializer(Tensor::from_bytes(name, DataType::from_onnx(q.stored), &[], vec![0]))?
        }
    };
    Ok([v, scale, zero])
}
