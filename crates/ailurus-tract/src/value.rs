//! Tensors in and out of tract.

use ailurus_runtime::{Data, DataType, Tensor};
use tract_data::prelude::f16;
use tract_onnx::prelude::{DatumType, Tensor as TractTensor, TractResult, tract_data};

use crate::{Error, Result};

/// The tract name of an element type.
pub(crate) fn datum_type(t: DataType) -> DatumType {
    match t {
        DataType::F32 => DatumType::F32,
        DataType::F16 => DatumType::F16,
        DataType::F64 => DatumType::F64,
        DataType::I64 => DatumType::I64,
        DataType::I32 => DatumType::I32,
        DataType::I16 => DatumType::I16,
        DataType::I8 => DatumType::I8,
        DataType::U64 => DatumType::U64,
        DataType::U32 => DatumType::U32,
        DataType::U16 => DatumType::U16,
        DataType::U8 => DatumType::U8,
        DataType::Bool => DatumType::Bool,
    }
}

/// The element type of an ONNX type number.
pub(crate) fn data_type(onnx: i32) -> Option<DataType> {
    Some(match onnx {
        1 => DataType::F32,
        2 => DataType::U8,
        3 => DataType::I8,
        4 => DataType::U16,
        5 => DataType::I16,
        6 => DataType::I32,
        7 => DataType::I64,
        9 => DataType::Bool,
        10 => DataType::F16,
        11 => DataType::F64,
        12 => DataType::U32,
        13 => DataType::U64,
        _ => return None,
    })
}

/// Copies a tensor into tract.
pub(crate) fn to_tract(tensor: &Tensor) -> TractResult<TractTensor> {
    macro_rules! copy {
        ($($variant:ident),+) => {
            match tensor.data() {
                $(Data::$variant(v) => TractTensor::from_shape(tensor.dims(), v)),+
            }
        };
    }
    copy!(F32, F16, F64, I64, I32, I16, I8, U64, U32, U16, U8, Bool)
}

/// Copies a tensor out of tract. Shapes computed by the model are integers.
pub(crate) fn from_tract(name: &str, tensor: &TractTensor) -> Result<Tensor> {
    let wrong =
        || Error::ValueType { what: format!("the output {name:?}"), kind: format!("{:?}", tensor.datum_type()) };
    if tensor.datum_type() == DatumType::TDim {
        let integers = tensor.cast_to::<i64>().map_err(|_| wrong())?.into_owned();
        return from_tract(name, &integers);
    }
    let plain = tensor.try_as_plain_ram().map_err(|_| wrong())?;
    macro_rules! copy {
        ($($variant:ident: $type:ty),+) => {
            match tensor.datum_type().unquantized() {
                $(DatumType::$variant => {
                    plain.as_slice::<$type>().map(|s| Data::$variant(s.to_vec())).map_err(|_| wrong())
                })+
                _ => Err(wrong()),
            }
        };
    }
    let data = copy!(F32: f32, F16: f16, F64: f64, I64: i64, I32: i32, I16: i16, I8: i8, U64: u64, U32: u32, U16: u16, U8: u8, Bool: bool)?;
    Tensor::new(tensor.shape(), data).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for t in [
            Tensor::new([2, 1], vec![1.5f32, -2.0]).unwrap(),
            Tensor::new([2], vec![f16::ONE, f16::NEG_ONE]).unwrap(),
            Tensor::new([0, 3], Vec::<i64>::new()).unwrap(),
            Tensor::new(Vec::new(), vec![true]).unwrap(),
        ] {
            assert_eq!(datum_type(t.data_type()), to_tract(&t).unwrap().datum_type());
            assert_eq!(from_tract("y", &to_tract(&t).unwrap()).unwrap(), t);
        }
    }
}
