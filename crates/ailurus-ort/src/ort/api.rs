//! The function table, and what becomes of results on the way out.

use std::ffi::{CStr, CString};
use std::ptr;

use ort_sys::{ONNXTensorElementDataType as DataType, OrtApi, OrtErrorCode, OrtStatusPtr, OrtTensorTypeAndShapeInfo};

use crate::error::{Error, Result};

/// The function table of the ONNX Runtime that loaded us.
#[derive(Clone, Copy)]
pub(crate) struct Api(&'static OrtApi);

impl std::ops::Deref for Api {
    type Target = OrtApi;
    fn deref(&self) -> &OrtApi {
        self.0
    }
}

impl Api {
    /// # Safety
    /// `table` must be the table of version [`super::API_VERSION`], or newer, of an ONNX Runtime that stays loaded.
    pub(crate) unsafe fn new(table: &'static OrtApi) -> Self {
        Self(table)
    }

    /// True for the same table.
    pub(crate) fn is(self, other: Self) -> bool {
        ptr::eq(self.0, other.0)
    }

    /// Turns a status into a result and frees it.
    pub(crate) fn check(self, status: OrtStatusPtr) -> Result<()> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: a status that is not null is valid until it is released; its message is a C string inside it.
        unsafe {
            let message = CStr::from_ptr((self.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
            (self.ReleaseStatus)(status.0);
            Err(Error::Ort(message))
        }
    }

    /// A result as ONNX Runtime wants it. `node` is the node's name, where it is known.
    pub(crate) fn status(self, result: Result<()>, node: &str) -> OrtStatusPtr {
        let Err(error) = result else {
            return OrtStatusPtr(ptr::null_mut());
        };
        let kind = match error {
            Error::Panic(_) => OrtErrorCode::ORT_RUNTIME_EXCEPTION,
            Error::Ort(_) => OrtErrorCode::ORT_FAIL,
            _ => OrtErrorCode::ORT_INVALID_ARGUMENT,
        };
        let place = if node.is_empty() { String::new() } else { format!(" (node `{node}`)") };
        let text = format!("ailurus {}: {error}{place}", error.code()).replace('\0', " ");
        let text = CString::new(text).unwrap_or_default();
        // SAFETY: the text is a C string, which is copied.
        unsafe { (self.CreateStatus)(kind, text.as_ptr()) }
    }

    /// Element type number and dimensions of a tensor description; a dimension that is not known is negative.
    ///
    /// # Safety
    /// `info` must be valid.
    pub(crate) unsafe fn type_and_dims(self, info: *const OrtTensorTypeAndShapeInfo) -> Result<(i32, Vec<i64>)> {
        let (mut rank, mut number) = (0, 0i32);
        // SAFETY: the description is valid and `dims` has room for its rank. The element type is an enumeration of 32
        // bits; as a plain number it may be one that this library does not know.
        unsafe {
            self.check((self.GetDimensionsCount)(info, &mut rank))?;
            let mut dims = vec![0i64; rank];
            self.check((self.GetDimensions)(info, dims.as_mut_ptr(), rank))?;
            self.check((self.GetTensorElementType)(info, (&raw mut number).cast::<DataType>()))?;
            Ok((number, dims))
        }
    }
}
