//! Tensors in and out of ONNX Runtime.

use std::ffi::c_void;
use std::ptr;

use ort_sys::{ONNXTensorElementDataType as Ort, OrtTensorTypeAndShapeInfo, OrtValue};

use super::library::Library;
use crate::{Data, DataType, Tensor};

/// The interface's number for an element type.
fn to_ort(t: DataType) -> Ort {
    match t {
        DataType::F32 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DataType::F16 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        DataType::F64 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        DataType::I64 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        DataType::I32 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        DataType::I16 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        DataType::I8 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        DataType::U64 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        DataType::U32 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        DataType::U16 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        DataType::U8 => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DataType::Bool => Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
    }
}

/// The element type of a number; a plain number because a newer library may know more types.
pub(super) fn from_ort(number: i32) -> Option<DataType> {
    const ALL: [DataType; 12] = [
        DataType::F32,
        DataType::F16,
        DataType::F64,
        DataType::I64,
        DataType::I32,
        DataType::I16,
        DataType::I8,
        DataType::U64,
        DataType::U32,
        DataType::U16,
        DataType::U8,
        DataType::Bool,
    ];
    ALL.into_iter().find(|t| to_ort(*t) as i32 == number)
}

/// A value of ONNX Runtime, released when dropped.
pub(super) struct Value<'a> {
    library: &'static Library,
    pub(super) raw: *mut OrtValue,
    /// An input borrows its tensor's memory.
    _data: std::marker::PhantomData<&'a Tensor>,
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        // SAFETY: the value is ours, valid and released once.
        unsafe { (self.library.api.ReleaseValue)(self.raw) }
    }
}

impl<'a> Value<'a> {
    /// A value over the tensor's memory.
    pub(super) fn borrow(library: &'static Library, tensor: &'a Tensor) -> Result<Self, String> {
        let dims: Vec<i64> = tensor.dims().iter().map(|d| *d as i64).collect();
        let bytes = tensor.data().bytes();
        let mut raw = ptr::null_mut();
        // SAFETY: the memory outlives the value (lifetime 'a) and is only read: ONNX Runtime does
        // not write to the values that it is fed.
        library.check(unsafe {
            (library.api.CreateTensorWithDataAsOrtValue)(
                library.cpu,
                bytes.as_ptr().cast_mut().cast::<c_void>(),
                bytes.len(),
                dims.as_ptr(),
                dims.len(),
                to_ort(tensor.data_type()),
                &mut raw,
            )
        })?;
        Ok(Value { library, raw, _data: std::marker::PhantomData })
    }
}

impl Value<'static> {
    /// Takes over a value that ONNX Runtime created.
    pub(super) fn own(library: &'static Library, raw: *mut OrtValue) -> Self {
        Value { library, raw, _data: std::marker::PhantomData }
    }

    /// Copies the value out.
    pub(super) fn to_tensor(&self) -> Result<Tensor, String> {
        let (library, api) = (self.library, self.library.api);
        let mut is_tensor = 0;
        // SAFETY: the value is valid (or null, excluded by the caller); out pointers are valid.
        library.check(unsafe { (api.IsTensor)(self.raw, &mut is_tensor) })?;
        if is_tensor == 0 {
            return Err("not a dense tensor".into());
        }
        let info = TensorInfo::of_value(library, self.raw)?;
        let number = info.element_type()?;
        let data_type = from_ort(number).ok_or_else(|| format!("of the element type number {number}"))?;
        let dims = info.dims()?.iter().map(|d| usize::try_from(*d)).collect::<Result<Vec<_>, _>>();
        let dims = dims.map_err(|_| "of negative size".to_owned())?;
        let length = dims.iter().try_fold(data_type.size(), |n, d| n.checked_mul(*d)).ok_or("too large")?;
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the value is a valid dense tensor.
        library.check(unsafe { (api.GetTensorMutableData)(self.raw, &mut data) })?;
        let bytes: &[u8] = if length == 0 {
            &[]
        } else {
            // SAFETY: the tensor's memory is on the CPU and holds exactly these elements; it lives
            // as long as the value. ONNX Runtime uses the machine's byte order, and this machine
            // is little-endian (asserted below).
            unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }
        };
        Tensor::new(dims, Data::from_le_bytes(data_type, bytes)).map_err(|e| e.to_string())
    }
}

// The copy above decodes little-endian elements; ONNX Runtime has no release for anything else.
const _: () = assert!(cfg!(target_endian = "little"), "ONNX Runtime needs a little-endian machine");

/// Element type and dimensions of a value or of a declaration.
pub(super) struct TensorInfo {
    library: &'static Library,
    raw: *const OrtTensorTypeAndShapeInfo,
    owned: Option<*mut OrtTensorTypeAndShapeInfo>,
}

impl Drop for TensorInfo {
    fn drop(&mut self) {
        if let Some(raw) = self.owned {
            // SAFETY: ours, valid and released once.
            unsafe { (self.library.api.ReleaseTensorTypeAndShapeInfo)(raw) }
        }
    }
}

impl TensorInfo {
    fn of_value(library: &'static Library, value: *const OrtValue) -> Result<Self, String> {
        let mut raw = ptr::null_mut();
        // SAFETY: the value is a valid tensor.
        library.check(unsafe { (library.api.GetTensorTypeAndShape)(value, &mut raw) })?;
        Ok(TensorInfo { library, raw, owned: Some(raw) })
    }

    /// Wraps what a type description lends; the caller keeps that description alive.
    ///
    /// # Safety
    /// `raw` must stay valid as long as the result.
    pub(super) unsafe fn borrowed(library: &'static Library, raw: *const OrtTensorTypeAndShapeInfo) -> Self {
        TensorInfo { library, raw, owned: None }
    }

    /// The element type's number.
    pub(super) fn element_type(&self) -> Result<i32, String> {
        let mut number = 0i32;
        // SAFETY: the enumeration is a 32-bit integer; reading it as one accepts any value.
        self.library
            .check(unsafe { (self.library.api.GetTensorElementType)(self.raw, (&raw mut number).cast::<Ort>()) })?;
        Ok(number)
    }

    /// The dimensions; negative where they are not known.
    pub(super) fn dims(&self) -> Result<Vec<i64>, String> {
        let api = self.library.api;
        let mut rank = 0;
        // SAFETY: valid pointers; the second call writes exactly `rank` numbers.
        unsafe {
            self.library.check((api.GetDimensionsCount)(self.raw, &mut rank))?;
            let mut dims = vec![0i64; rank];
            self.library.check((api.GetDimensions)(self.raw, dims.as_mut_ptr(), rank))?;
            Ok(dims)
        }
    }

    /// The dimensions' symbols; empty where there is none.
    pub(super) fn symbols(&self, rank: usize) -> Result<Vec<String>, String> {
        let mut symbols = vec![ptr::null(); rank];
        // SAFETY: writes exactly `rank` pointers to C strings that live inside the description.
        unsafe {
            self.library.check((self.library.api.GetSymbolicDimensions)(self.raw, symbols.as_mut_ptr(), rank))?;
            Ok(symbols
                .into_iter()
                .map(|s| {
                    if s.is_null() { String::new() } else { std::ffi::CStr::from_ptr(s).to_string_lossy().into_owned() }
                })
                .collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_types_round_trip() {
        assert_eq!(from_ort(1), Some(DataType::F32));
        assert_eq!(from_ort(10), Some(DataType::F16));
        assert_eq!(from_ort(9), Some(DataType::Bool));
        assert_eq!(from_ort(8), None);
        assert_eq!(from_ort(99), None);
    }
}
