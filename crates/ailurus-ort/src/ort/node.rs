//! A node while its kernel is made, or while its shapes are inferred: attributes.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use ailurus_ops::{AttrKind, AttrSchema, AttrValue, Schema};
use ort_sys::{OrtKernelInfo, OrtOpAttrType, OrtShapeInferContext};

use super::Api;
use crate::error::Result;

/// Where attributes are read from. Reading one that is absent, or of the other kind, gives nothing.
pub(super) trait Attributes {
    fn int(&self, name: &CStr) -> Option<i64>;
    fn float(&self, name: &CStr) -> Option<f32>;
}

/// The attributes that the schema knows and the node has, texts left out: those are for other runtimes.
///
/// A number of the wrong kind is read as what it is, so that the operator can object to it.
pub(super) fn read(schema: &Schema, from: &impl Attributes) -> Vec<(&'static str, AttrValue)> {
    let read = |attribute: &AttrSchema| {
        let name = CString::new(attribute.name).ok()?;
        let value = from.int(&name).map(AttrValue::Int).or_else(|| from.float(&name).map(AttrValue::Float));
        Some((attribute.name, value?))
    };
    schema.attributes.iter().filter(|a| a.kind != AttrKind::Str).filter_map(read).collect()
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
        let mut length = 0;
        // SAFETY: without memory the first call only writes the length, with the zero at the end; the second writes as
        // many bytes as it is told.
        unsafe {
            self.api.check((self.api.KernelInfo_GetNodeName)(self.info, ptr::null_mut(), &mut length))?;
            let mut bytes = vec![0u8; length];
            let memory = bytes.as_mut_ptr().cast::<c_char>();
            self.api.check((self.api.KernelInfo_GetNodeName)(self.info, memory, &mut length))?;
            Ok(CStr::from_bytes_until_nul(&bytes).map_or_else(|_| String::new(), |s| s.to_string_lossy().into_owned()))
        }
    }
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
}

/// Attributes during shape inference.
pub(super) struct Inferred {
    pub(super) api: Api,
    pub(super) context: *const OrtShapeInferContext,
}

impl Inferred {
    /// Reads a number of type `T`, which `kind` must say.
    fn number<T: Default>(&self, name: &CStr, kind: OrtOpAttrType) -> Option<T> {
        let (mut value, mut attribute, mut written) = (T::default(), ptr::null(), 0);
        // SAFETY: the context is valid, and the memory is as large as it is said to be.
        unsafe {
            let status = (self.api.ShapeInferContext_GetAttribute)(self.context, name.as_ptr(), &mut attribute);
            self.api.check(status).ok()?;
            let memory = (&raw mut value).cast();
            self.api.check((self.api.ReadOpAttr)(attribute, kind, memory, size_of::<T>(), &mut written)).ok()?;
        }
        Some(value)
    }
}

impl Attributes for Inferred {
    fn int(&self, name: &CStr) -> Option<i64> {
        self.number(name, OrtOpAttrType::ORT_OP_ATTR_INT)
    }
    fn float(&self, name: &CStr) -> Option<f32> {
        self.number(name, OrtOpAttrType::ORT_OP_ATTR_FLOAT)
    }
}
