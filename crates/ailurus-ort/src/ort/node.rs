//! A node while its kernel is made, or while its shapes are inferred: attributes.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use ailurus_ops::{AttrSchema, AttrValue, Schema};
use ort_sys::{OrtKernelInfo, OrtOpAttrType, OrtShapeInferContext};

use super::Api;
use crate::error::Result;

/// Where attributes are read from. Reading one that is absent, or of the other kind, gives nothing.
pub(super) trait Attributes {
    fn int(&self, name: &CStr) -> Option<i64>;
    fn float(&self, name: &CStr) -> Option<f32>;
    fn text(&self, name: &CStr) -> Option<String>;
}

/// The attributes that the schema knows and the node has.
///
/// One of the wrong kind is read as what it is, so that the operator can object to it.
pub(super) fn read(schema: &Schema, from: &impl Attributes) -> Vec<(&'static str, AttrValue)> {
    let read = |attribute: &AttrSchema| {
        let name = CString::new(attribute.name).ok()?;
        let number = from.int(&name).map(AttrValue::Int).or_else(|| from.float(&name).map(AttrValue::Float));
        let value = number.or_else(|| from.text(&name).map(AttrValue::Str));
        Some((attribute.name, value?))
    };
    schema.attributes.iter().filter_map(read).collect()
}

/// A node whose kernel is being made.
pub(crate) struct Node {
    api: Api,
    info: *const OrtKernelInfo,
}

impl Node {
    /// # Safety
    /// `info` must be valid as long as the result.
    pub(crate) unsafe fn new(api: Api, info: *const OrtKernelInfo) -> Self {
        Self { api, info }
    }

    /// Its attributes.
    pub(crate) fn attributes(&self, schema: &Schema) -> Vec<(&'static str, AttrValue)> {
        read(schema, self)
    }

    /// Its name.
    pub(crate) fn name(&self) -> Result<String> {
        // SAFETY: the function writes a text as `read_text` says.
        read_text(|memory, length| unsafe {
            self.api.check((self.api.KernelInfo_GetNodeName)(self.info, memory, length))
        })
    }
}

/// A text from a function that writes only its length, with the zero at the end, when it is given no memory, and as many
/// bytes as it is told otherwise.
fn read_text(write: impl Fn(*mut c_char, *mut usize) -> Result<()>) -> Result<String> {
    let mut length = 0;
    write(ptr::null_mut(), &mut length)?;
    let mut bytes = vec![0u8; length];
    write(bytes.as_mut_ptr().cast(), &mut length)?;
    Ok(until_zero(&bytes))
}

fn until_zero(bytes: &[u8]) -> String {
    CStr::from_bytes_until_nul(bytes).map_or_else(|_| String::new(), |s| s.to_string_lossy().into_owned())
}

impl Attributes for Node {
    fn int(&self, name: &CStr) -> Option<i64> {
        let mut value = 0;
        // SAFETY: valid pointers.
        let status = unsafe { (self.api.KernelInfoGetAttribute_int64)(self.info, name.as_ptr(), &mut value) };
        self.api.check(status).ok().map(|()| value)
    }

    fn float(&self, name: &CStr) -> Option<f32> {
        let mut value = 0.0;
        // SAFETY: valid pointers.
        let status = unsafe { (self.api.KernelInfoGetAttribute_float)(self.info, name.as_ptr(), &mut value) };
        self.api.check(status).ok().map(|()| value)
    }

    fn text(&self, name: &CStr) -> Option<String> {
        // SAFETY: the function writes a text as `read_text` says.
        read_text(|memory, length| unsafe {
            self.api.check((self.api.KernelInfoGetAttribute_string)(self.info, name.as_ptr(), memory, length))
        })
        .ok()
    }
}

/// Attributes during shape inference.
pub(super) struct Inferred {
    pub(super) api: Api,
    pub(super) context: *const OrtShapeInferContext,
}

/// Longer than any text that an operator takes. A longer one is read as absent here, and as it is by the kernel, which
/// objects to it.
const LONGEST: usize = 128;

impl Inferred {
    /// Reads an attribute of the given kind into `memory`, which must be made for it.
    fn fill<T>(&self, name: &CStr, kind: OrtOpAttrType, memory: &mut T) -> Option<()> {
        let (mut attribute, mut written) = (ptr::null(), 0);
        // SAFETY: the context is valid, and the memory is as large as it is said to be.
        unsafe {
            let status = (self.api.ShapeInferContext_GetAttribute)(self.context, name.as_ptr(), &mut attribute);
            self.api.check(status).ok()?;
            let memory = (&raw mut *memory).cast();
            self.api.check((self.api.ReadOpAttr)(attribute, kind, memory, size_of::<T>(), &mut written)).ok()
        }
    }

    /// Reads a number of type `T`, which `kind` must say.
    fn number<T: Default>(&self, name: &CStr, kind: OrtOpAttrType) -> Option<T> {
        let mut value = T::default();
        self.fill(name, kind, &mut value).map(|()| value)
    }
}

impl Attributes for Inferred {
    fn int(&self, name: &CStr) -> Option<i64> {
        self.number(name, OrtOpAttrType::ORT_OP_ATTR_INT)
    }
    fn float(&self, name: &CStr) -> Option<f32> {
        self.number(name, OrtOpAttrType::ORT_OP_ATTR_FLOAT)
    }
    fn text(&self, name: &CStr) -> Option<String> {
        let mut bytes = [0u8; LONGEST];
        self.fill(name, OrtOpAttrType::ORT_OP_ATTR_STRING, &mut bytes).map(|()| until_zero(&bytes))
    }
}
