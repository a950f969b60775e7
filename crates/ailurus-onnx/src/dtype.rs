//! Element types, numbered as in `TensorProto.DataType`.

use serde::{Deserialize, Serialize};

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DataType {
    /// `UNDEFINED`
    Undefined,
    /// 32-bit IEEE float
    F32,
    /// unsigned 8-bit integer
    U8,
    /// signed 8-bit integer
    I8,
    /// unsigned 16-bit integer
    U16,
    /// signed 16-bit integer
    I16,
    /// signed 32-bit integer
    I32,
    /// signed 64-bit integer
    I64,
    /// string
    String,
    /// boolean, one byte per element
    Bool,
    /// 16-bit IEEE float
    F16,
    /// 64-bit IEEE float
    F64,
    /// unsigned 32-bit integer
    U32,
    /// unsigned 64-bit integer
    U64,
    /// bfloat16
    Bf16,
    /// any other `TensorProto.DataType` (complex, 8-bit floats, 4-bit types): carried, never computed with
    Other(i32),
}

impl DataType {
    /// From the number used in ONNX files.
    pub fn from_onnx(code: i32) -> Self {
        match code {
            0 => Self::Undefined,
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            8 => Self::String,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::Bf16,
            other => Self::Other(other),
        }
    }

    /// The number used in ONNX files.
    pub fn to_onnx(self) -> i32 {
        match self {
            Self::Undefined => 0,
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::U16 => 4,
            Self::I16 => 5,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::String => 8,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
            Self::U32 => 12,
            Self::U64 => 13,
            Self::Bf16 => 16,
            Self::Other(other) => other,
        }
    }

    /// Bytes per element in `raw_data`; `None` for strings and types that are only carried.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => Some(2),
            Self::F32 | Self::I32 | Self::U32 => Some(4),
            Self::I64 | Self::F64 | Self::U64 => Some(8),
            Self::Undefined | Self::String | Self::Other(_) => None,
        }
    }

    /// Floating point of any width that the operators of this project may meet.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::F64 | Self::Bf16)
    }
}
