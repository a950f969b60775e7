//! Shape inference while a model is loaded. Dimensions with a name keep it.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use ailurus_ops::{AttrValue, ElementType, OutDim, PortType, Schema};
use ort_sys::{OrtShapeInferContext, OrtTensorTypeAndShapeInfo};

use super::node::{Inferred, read};
use super::{Api, data_type};
use crate::error::Result;

/// A node whose output shapes are asked for.
pub(crate) struct Inference {
    api: Api,
    context: *mut OrtShapeInferContext,
    inputs: Vec<(i32, Vec<Dim>)>,
}

/// A dimension: a number, or a name, which is empty for a number.
#[derive(Clone, Debug, PartialEq)]
struct Dim {
    size: Option<usize>,
    name: CString,
}

impl Dim {
    fn known(size: usize) -> Self {
        Self { size: Some(size), name: CString::default() }
    }

    /// A dimension of which nothing is known. It gets a name that no other has: ONNX Runtime would take one without a
    /// name for the number -1.
    fn unknown() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ailurus_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { size: None, name: CString::new(name).unwrap_or_default() }
    }
}

impl Inference {
    /// # Safety
    /// `context` must be valid as long as the result.
    pub(crate) unsafe fn new(api: Api, context: *mut OrtShapeInferContext) -> Result<Self> {
        let mut count = 0;
        let mut inputs = Vec::new();
        // SAFETY: the context is valid, and numbers are those of inputs there are. Descriptions belong to the context.
        unsafe {
            api.check((api.ShapeInferContext_GetInputCount)(context, &mut count))?;
            for number in 0..count {
                let mut info = ptr::null_mut();
                api.check((api.ShapeInferContext_GetInputTypeShape)(context, number, &mut info))?;
                inputs.push(describe(api, info)?);
            }
        }
        Ok(Self { api, context, inputs })
    }

    /// Attributes of the node.
    pub(crate) fn attributes(&self, schema: &Schema) -> Vec<(&'static str, AttrValue)> {
        read(schema, &Inferred { api: self.api, context: self.context })
    }

    /// Dimensions of the inputs; nothing when the rank of one is not known, in which case nothing can be said. ONNX
    /// Runtime tells an unknown rank and rank 0 not apart, and no operator has an input of rank 0.
    pub(crate) fn inputs(&self) -> Option<Vec<Vec<Option<usize>>>> {
        let known = self.inputs.iter().all(|(_, dims)| !dims.is_empty());
        known.then(|| self.inputs.iter().map(|(_, dims)| dims.iter().map(|d| d.size).collect()).collect())
    }

    /// The element type of the node. It shows in the inputs only: ONNX Runtime asks one of the operators of a name about
    /// nodes of every type.
    pub(crate) fn element(&self, schema: &Schema) -> Option<ElementType> {
        let typed = schema.inputs.iter().zip(&self.inputs).find(|(port, _)| port.dtype == PortType::E);
        let (_, (number, _)) = typed?;
        [ElementType::F32, ElementType::F16].into_iter().find(|&e| data_type(PortType::E, e) as i32 == *number)
    }

    /// Says what the outputs' shapes are.
    pub(crate) fn set(&self, schema: &Schema, element: ElementType, shapes: &[Vec<OutDim>]) -> Result<()> {
        // One name for R, wherever it stands.
        let rows = Dim::unknown();
        for (number, (shape, port)) in shapes.iter().zip(schema.outputs).enumerate() {
            let dims: Vec<Dim> = shape.iter().map(|dim| self.resolve(*dim, &rows)).collect();
            let sizes: Vec<i64> = dims.iter().map(|d| d.size.map_or(-1, |n| n as i64)).collect();
            let mut names: Vec<*const c_char> = dims.iter().map(|d| d.name.as_ptr()).collect();
            let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
            // SAFETY: the description is ours and released once; sizes and names are as many as said and are copied.
            unsafe {
                self.api.check((self.api.CreateTensorTypeAndShapeInfo)(&mut info))?;
                let described = self
                    .api
                    .check((self.api.SetTensorElementType)(info, data_type(port.dtype, element)))
                    .and_then(|()| self.api.check((self.api.SetDimensions)(info, sizes.as_ptr(), sizes.len())))
                    .and_then(|()| {
                        self.api.check((self.api.SetSymbolicDimensions)(info, names.as_mut_ptr(), names.len()))
                    })
                    .and_then(|()| {
                        self.api.check((self.api.ShapeInferContext_SetOutputTypeShape)(self.context, number, info))
                    });
                (self.api.ReleaseTensorTypeAndShapeInfo)(info);
                described?;
            }
        }
        Ok(())
    }

    fn resolve(&self, dim: OutDim, rows: &Dim) -> Dim {
        match dim {
            OutDim::Known(size) => Dim::known(size),
            OutDim::Same { input, axis } => {
                self.inputs.get(input).and_then(|(_, dims)| dims.get(axis)).cloned().unwrap_or_else(Dim::unknown)
            }
            OutDim::Rows => rows.clone(),
        }
    }
}

/// Element type number and dimensions.
///
/// # Safety
/// `info` must be valid.
unsafe fn describe(api: Api, info: *const OrtTensorTypeAndShapeInfo) -> Result<(i32, Vec<Dim>)> {
    // SAFETY: the description is valid; names are C strings inside it, or null.
    unsafe {
        let (number, sizes) = api.type_and_dims(info)?;
        let mut names = vec![ptr::null::<c_char>(); sizes.len()];
        api.check((api.GetSymbolicDimensions)(info, names.as_mut_ptr(), names.len()))?;
        let dim = |(&size, &name): (&i64, &*const c_char)| match usize::try_from(size) {
            Ok(size) => Dim::known(size),
            Err(_) if name.is_null() || *name == 0 => Dim::unknown(),
            Err(_) => Dim { size: None, name: CStr::from_ptr(name).to_owned() },
        };
        Ok((number, sizes.iter().zip(&names).map(dim).collect()))
    }
}
