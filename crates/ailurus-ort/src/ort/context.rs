//! One call of a kernel: its inputs, its outputs, its threads.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

use ailurus_ops::{ElementType, OutDim, Schema, resolve};
use ort_sys::{OrtKernelContext, OrtTensorTypeAndShapeInfo, OrtValue};

use super::{Api, Pool, data_type};
use crate::error::{Error, Result};

/// A call under way.
pub(crate) struct Call<'c> {
    api: Api,
    context: *mut OrtKernelContext,
    schema: &'static Schema,
    element: ElementType,
    _context: PhantomData<&'c mut OrtKernelContext>,
}

/// An input of a call. Its memory is that of the provider the kernel was registered for.
pub(crate) struct Input<'c> {
    /// Its dimensions, all known.
    pub(crate) dims: Vec<Option<usize>>,
    length: usize,
    data: *const c_void,
    #[cfg(feature = "cuda")]
    value: *const OrtValue,
    _context: PhantomData<&'c OrtKernelContext>,
}

impl<'c> Input<'c> {
    /// The size of an axis; 0 where there is none, which no shape rule lets pass.
    pub(crate) fn dim(&self, axis: usize) -> usize {
        self.dims.get(axis).copied().flatten().unwrap_or(0)
    }

    /// Where its elements lie.
    #[cfg(feature = "cuda")]
    pub(crate) fn address(&self) -> *const c_void {
        self.data
    }

    /// Its elements, which must lie in the processor's memory.
    ///
    /// # Safety
    /// `T` must be the type that the schema gives this input, and the memory the processor's.
    pub(crate) unsafe fn slice<T>(&self) -> &'c [T] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: ONNX Runtime keeps inputs alive and unchanged during a call; `Call::inputs` compared the type.
        unsafe { std::slice::from_raw_parts(self.data.cast::<T>(), self.length) }
    }
}

impl<'c> Call<'c> {
    /// # Safety
    /// `context` must be that of the call under way, and the result must not outlive it.
    pub(crate) unsafe fn new(
        api: Api,
        context: *mut OrtKernelContext,
        schema: &'static Schema,
        element: ElementType,
    ) -> Self {
        Self { api, context, schema, element, _context: PhantomData }
    }

    /// The threads to work on.
    pub(crate) fn pool(&self) -> Pool {
        // SAFETY: the context is that of the call under way.
        unsafe { Pool::new(self.api, self.context) }
    }

    /// The inputs, optional ones as far as they are there. Types are those of the schema.
    pub(crate) fn inputs(&self) -> Result<Vec<Input<'c>>> {
        let mut count = 0;
        // SAFETY: valid pointers.
        self.api.check(unsafe { (self.api.KernelContext_GetInputCount)(self.context, &mut count) })?;
        let mut inputs = Vec::with_capacity(count);
        for (number, port) in self.schema.inputs.iter().enumerate() {
            let mut value: *const OrtValue = ptr::null();
            if number < count {
                // SAFETY: valid pointers; the number is one of the inputs there are.
                let status = unsafe { (self.api.KernelContext_GetInput)(self.context, number, &mut value) };
                self.api.check(status)?;
            }
            if value.is_null() {
                if port.optional {
                    break;
                }
                return Err(Error::MissingInput { operator: self.schema.name, input: port.name });
            }
            // SAFETY: the value is an input of this call.
            let (got, input) = unsafe { self.input(value) }?;
            let expected = data_type(port.dtype, self.element) as i32;
            if got != expected {
                return Err(Error::InputType { operator: self.schema.name, input: port.name, expected, got });
            }
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// How many outputs the node has.
    pub(crate) fn output_count(&self) -> Result<usize> {
        let mut count = 0;
        // SAFETY: valid pointers.
        self.api.check(unsafe { (self.api.KernelContext_GetOutputCount)(self.context, &mut count) })?;
        Ok(count)
    }

    /// # Safety
    /// `value` must be an input of this call.
    unsafe fn input(&self, value: *const OrtValue) -> Result<(i32, Input<'c>)> {
        let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the value is valid; the description is released once, also when reading it fails. The memory is only
        // read, whatever the function's name says.
        let (number, dims) = unsafe {
            self.api.check((self.api.GetTensorTypeAndShape)(value, &mut info))?;
            let read = self.api.type_and_dims(info);
            (self.api.ReleaseTensorTypeAndShapeInfo)(info);
            self.api.check((self.api.GetTensorMutableData)(value.cast_mut(), &mut data))?;
            read?
        };
        let dims: Vec<usize> = dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        let length = dims.iter().product();
        let dims = dims.into_iter().map(Some).collect();
        let input = Input {
            dims,
            length,
            data,
            #[cfg(feature = "cuda")]
            value,
            _context: PhantomData,
        };
        Ok((number, input))
    }

    /// Creates output `number` with the shape that the operator's rule gave, and returns its memory and dimensions.
    ///
    /// # Safety
    /// `T` must be the type that the schema gives this output, the memory the processor's, and every output may be
    /// asked for only once in a call.
    pub(crate) unsafe fn output<T>(
        &self,
        number: usize,
        shape: &[OutDim],
        inputs: &[Input<'c>],
    ) -> Result<(&'c mut [T], Vec<usize>)> {
        let (data, dims) = self.allocate(number, shape, inputs)?;
        let length: usize = dims.iter().product();
        if length == 0 {
            return Ok((&mut [], dims));
        }
        // SAFETY: ONNX Runtime has just allocated this many elements of this type, for us alone.
        Ok((unsafe { std::slice::from_raw_parts_mut(data.cast::<T>(), length) }, dims))
    }

    /// Creates output `number`, and returns its address and dimensions.
    pub(crate) fn allocate(
        &self,
        number: usize,
        shape: &[OutDim],
        inputs: &[Input<'c>],
    ) -> Result<(*mut c_void, Vec<usize>)> {
        let known: Vec<&[Option<usize>]> = inputs.iter().map(|i| i.dims.as_slice()).collect();
        let dims: Option<Vec<usize>> = resolve(shape, &known).into_iter().collect();
        // Every rule knows all of an output's dimensions when it knows those of the inputs.
        let dims = dims.ok_or_else(|| Error::Ort(format!("output {number} has no shape")))?;
        let wanted: Vec<i64> = dims.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        let mut value: *mut OrtValue = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: valid pointers and as many dimensions as said.
        unsafe {
            let (dims, rank) = (wanted.as_ptr(), wanted.len());
            self.api.check((self.api.KernelContext_GetOutput)(self.context, number, dims, rank, &mut value))?;
            if value.is_null() {
                return Err(Error::Ort(format!("output {number} was not created")));
            }
            self.api.check((self.api.GetTensorMutableData)(value, &mut data))?;
        }
        Ok((data, dims))
    }
}

/// What only calls on a device need.
#[cfg(feature = "cuda")]
impl<'c> Call<'c> {
    /// The stream that the call's work goes to.
    pub(crate) fn stream(&self) -> Result<*mut c_void> {
        let mut stream = ptr::null_mut();
        // SAFETY: valid pointers.
        self.api.check(unsafe { (self.api.KernelContext_GetGPUComputeStream)(self.context, &mut stream) })?;
        Ok(stream)
    }

    /// ONNX Runtime's allocator for the memory that an input lies in.
    pub(crate) fn allocator_of(&self, near: &Input<'c>) -> Result<super::Allocator> {
        let (mut info, mut raw) = (ptr::null(), ptr::null_mut());
        // SAFETY: valid pointers; the value is an input of this call, which owns the description.
        unsafe {
            self.api.check((self.api.GetTensorMemoryInfo)(near.value, &mut info))?;
            self.api.check((self.api.KernelContext_GetAllocator)(self.context, info, &mut raw))?;
            Ok(super::Allocator::own(self.api, raw))
        }
    }
}
