//! Tensors whose payload may still lie in a file.

use crate::DataType;
use std::{ops::Range, sync::Arc};

/// A constant tensor: initializer or attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the file; empty for attributes that carry none.
    pub name: String,
    /// Element type.
    pub dtype: DataType,
    /// Shape; empty for a scalar.
    pub dims: Vec<i64>,
    /// Where the elements are.
    pub storage: Storage,
}

/// Where the elements of a [`Tensor`] are. All payloads are little-endian and row-major, as `raw_data`.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    /// In memory, in `raw_data` form (small payloads, converted typed fields, and tensors made here).
    Memory(Arc<[u8]>),
    /// A byte range of the model file in `raw_data` form (`raw_data`, or packed `float_data`/`double_data`).
    Source(Range<u64>),
    /// A byte range of another file, relative to the model's folder.
    External {
        /// Relative path as written in the model, already checked to stay inside the model's folder.
        location: String,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Strings.
    Strings(Arc<[Vec<u8>]>),
    /// Payload removed on purpose (shape-only report files): shape and type are known, elements are not.
    Absent,
}

impl Tensor {
    /// Number of elements (0 when a dimension is negative or the product overflows).
    pub fn len(&self) -> usize {
        self.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?)).unwrap_or(0)
    }

    /// True when the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A tensor of 64-bit integers held in memory.
    pub fn from_i64(name: impl Into<String>, dims: &[i64], data: &[i64]) -> Self {
        let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), dtype: DataType::I64, dims: dims.to_vec(), storage: Storage::Memory(bytes.into()) }
    }

    /// A tensor of 32-bit floats held in memory.
    pub fn from_f32(name: impl Into<String>, dims: &[i64], data: &[f32]) -> Self {
        let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), dtype: DataType::F32, dims: dims.to_vec(), storage: Storage::Memory(bytes.into()) }
    }

    /// A tensor of strings.
    pub fn from_strings(name: impl Into<String>, dims: &[i64], data: Vec<Vec<u8>>) -> Self {
        Self { name: name.into(), dtype: DataType::String, dims: dims.to_vec(), storage: Storage::Strings(data.into()) }
    }

    /// A tensor of any fixed-size type from its little-endian bytes.
    pub fn from_bytes(name: impl Into<String>, dtype: DataType, dims: &[i64], data: Vec<u8>) -> Self {
        Self { name: name.into(), dtype, dims: dims.to_vec(), storage: Storage::Memory(data.into()) }
    }
}
