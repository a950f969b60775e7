//! Tensors as plain data: dimensions and one vector, row-major.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Invokes a macro with every (variant, Rust type, name, bytes) of the element types.
macro_rules! for_each_type {
    ($then:ident) => {
        $then! {
            F32, f32, "float32";
            F16, f16, "float16";
            F64, f64, "float64";
            I64, i64, "int64";
            I32, i32, "int32";
            I16, i16, "int16";
            I8, i8, "int8";
            U64, u64, "uint64";
            U32, u32, "uint32";
            U16, u16, "uint16";
            U8, u8, "uint8";
            Bool, bool, "bool"
        }
    };
}

macro_rules! declare {
    ($($variant:ident, $type:ty, $name:literal);+) => {
        /// The element type of a tensor.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum DataType {
            $(#[doc = $name] $variant),+
        }

        impl DataType {
            /// The type's name as numpy writes it.
            pub fn name(self) -> &'static str {
                match self { $(DataType::$variant => $name),+ }
            }

            /// The bytes of one element.
            pub fn size(self) -> usize {
                match self { $(DataType::$variant => size_of::<$type>()),+ }
            }
        }

        /// The elements of a tensor.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "the variants are the element types")]
        pub enum Data {
            $($variant(Vec<$type>)),+
        }

        impl Data {
            /// The number of elements.
            pub fn len(&self) -> usize {
                match self { $(Data::$variant(v) => v.len()),+ }
            }

            /// True when there is no element.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The element type.
            pub fn data_type(&self) -> DataType {
                match self { $(Data::$variant(_) => DataType::$variant),+ }
            }

            /// The elements' bytes in the machine's order.
            pub fn bytes(&self) -> &[u8] {
                match self {
                    $(Data::$variant(v) => {
                        // SAFETY: the elements are plain numbers (a bool is one byte of 0 or 1)
                        // without padding; the slice covers exactly the vector's memory.
                        unsafe {
                            std::slice::from_raw_parts(v.as_ptr().cast::<u8>(), size_of_val(v.as_slice()))
                        }
                    }),+
                }
            }
        }

        $(impl From<Vec<$type>> for Data {
            fn from(v: Vec<$type>) -> Self { Data::$variant(v) }
        })+
    };
}
for_each_type!(declare);

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Data {
    /// Decodes little-endian elements; a trailing partial element is ignored.
    pub(crate) fn from_le_bytes(data_type: DataType, bytes: &[u8]) -> Data {
        macro_rules! decode {
            ($($variant:ident: $type:ty),+) => {
                match data_type {
                    $(DataType::$variant => Data::$variant(
                        bytes.as_chunks().0.iter().map(|c| <$type>::from_le_bytes(*c)).collect(),
                    ),)+
                    DataType::Bool => Data::Bool(bytes.iter().map(|b| *b != 0).collect()),
                }
            };
        }
        decode!(F32: f32, F16: f16, F64: f64, I64: i64, I32: i32, I16: i16, I8: i8, U64: u64, U32: u32, U16: u16, U8: u8)
    }

    /// Every element as f64; integers beyond 2^53 are rounded.
    fn to_f64(&self) -> Vec<f64> {
        match self {
            Data::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::F16(v) => v.iter().map(|x| x.to_f64()).collect(),
            Data::F64(v) => v.clone(),
            Data::I64(v) => v.iter().map(|x| *x as f64).collect(),
            Data::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U64(v) => v.iter().map(|x| *x as f64).collect(),
            Data::U32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
        }
    }
}

/// A dense tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    dims: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// A tensor of these dimensions; they must describe exactly the elements given.
    pub fn new(dims: impl Into<Vec<usize>>, data: impl Into<Data>) -> Result<Self> {
        let (dims, data) = (dims.into(), data.into());
        let expected = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if expected != Some(data.len()) {
            return Err(Error::ShapeMismatch { dims, elements: data.len() });
        }
        Ok(Tensor { dims, data })
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The dimensions and the elements.
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.dims, self.data)
    }

    /// The element type.
    pub fn data_type(&self) -> DataType {
        self.data.data_type()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements when the type is f32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements when the type is i64.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(v) => Some(v),
            _ => None,
        }
    }

    /// The elements when the type is i32.
    pub fn as_i32(&self) -> Option<&[i32]> {
        match &self.data {
            Data::I32(v) => Some(v),
            _ => None,
        }
    }

    /// Every element as f64; integers beyond 2^53 are rounded.
    pub fn to_f64(&self) -> Vec<f64> {
        self.data.to_f64()
    }

    /// The same values in another element type, rounded or saturated as Rust's `as` does; anything
    /// but zero becomes true.
    pub fn cast(&self, to: DataType) -> Tensor {
        if to == self.data_type() {
            return self.clone();
        }
        let v = self.to_f64();
        macro_rules! convert {
            ($($variant:ident: $type:ty),+) => {
                match to {
                    $(DataType::$variant => Data::$variant(v.into_iter().map(|x| x as $type).collect()),)+
                    DataType::F16 => Data::F16(v.into_iter().map(f16::from_f64).collect()),
                    DataType::Bool => Data::Bool(v.into_iter().map(|x| x != 0.0).collect()),
                }
            };
        }
        let data =
            convert!(F32: f32, F64: f64, I64: i64, I32: i32, I16: i16, I8: i8, U64: u64, U32: u32, U16: u16, U8: u8);
        Tensor { dims: self.dims.clone(), data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_must_fit() {
        assert!(Tensor::new([2, 3], vec![0f32; 6]).is_ok());
        assert!(Tensor::new([0, 3], Vec::<f32>::new()).is_ok());
        assert!(Tensor::new(Vec::new(), vec![1i64]).is_ok());
        assert_eq!(Tensor::new([2, 3], vec![0f32; 5]).unwrap_err().code(), "AIL0510");
        assert_eq!(Tensor::new([usize::MAX, 2], vec![0f32; 5]).unwrap_err().code(), "AIL0510");
    }

    #[test]
    fn casts_keep_dimensions() {
        let t = Tensor::new([1, 2], vec![1.5f32, -3.0]).unwrap();
        assert_eq!(t.cast(DataType::F16).cast(DataType::F32), t);
        assert_eq!(t.cast(DataType::I64).as_i64(), Some(&[1, -3][..]));
        assert_eq!(t.cast(DataType::Bool).data(), &Data::Bool(vec![true, true]));
    }
}
