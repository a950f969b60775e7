//! The provider without a device: calls as ONNX Runtime makes them, kernels executed on the host.
//!
//! Tensors are real ones of ONNX Runtime in the processor's memory. What would come from a session on a device (inputs,
//! outputs, stream, allocator) comes from here.

mod grid_kmeans;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;

use ailurus_cuda::shim;
use ailurus_ops::{AttrValue, DensityPeaks, Element, ElementType, Keep, MergeDims, Schema, UnfoldDims, reference};
use ailurus_runtime::testing;
use ailurus_tests::conformance::noise;
use half::f16;
use ort_sys::{
    ONNXTensorElementDataType as DataType, OrtAllocator, OrtApi, OrtApiBase, OrtKernelContext, OrtMemoryInfo,
    OrtStatusPtr, OrtValue,
};

use crate::error::Result;
use crate::operators::{Kernel, OPERATORS, Provider};
use crate::ort::{API_VERSION, Api, Call, data_type};

/// What a call sees.
struct Context {
    api: Api,
    inputs: Vec<*mut OrtValue>,
    outputs: RefCell<BTreeMap<usize, *mut OrtValue>>,
    types: Vec<DataType>,
    stream: *mut c_void,
}

const OK: OrtStatusPtr = OrtStatusPtr(ptr::null_mut());

thread_local! {
    /// Workspaces in use, and allocators.
    static MEMORY: RefCell<(BTreeMap<usize, usize>, usize)> = const { RefCell::new((BTreeMap::new(), 0)) };
}

fn workspaces() -> Vec<usize> {
    MEMORY.with_borrow(|(pieces, _)| pieces.values().copied().collect())
}

unsafe extern "system" fn input_count(context: *const OrtKernelContext, out: *mut usize) -> OrtStatusPtr {
    // SAFETY: contexts are ours.
    unsafe { *out = (&*context.cast::<Context>()).inputs.len() };
    OK
}

unsafe extern "system" fn output_count(context: *const OrtKernelContext, out: *mut usize) -> OrtStatusPtr {
    // SAFETY: contexts are ours.
    unsafe { *out = (&*context.cast::<Context>()).types.len() };
    OK
}

unsafe extern "system" fn input(
    context: *const OrtKernelContext,
    number: usize,
    out: *mut *const OrtValue,
) -> OrtStatusPtr {
    // SAFETY: contexts are ours.
    unsafe { *out = (&*context.cast::<Context>()).inputs[number] };
    OK
}

unsafe extern "system" fn output(
    context: *mut OrtKernelContext,
    number: usize,
    dims: *const i64,
    rank: usize,
    out: *mut *mut OrtValue,
) -> OrtStatusPtr {
    // SAFETY: contexts are ours, and the table's own functions are ONNX Runtime's.
    unsafe {
        let context = &*context.cast::<Context>();
        let mut allocator = ptr::null_mut();
        context.api.check((context.api.GetAllocatorWithDefaultOptions)(&mut allocator)).unwrap();
        let made = (context.api.CreateTensorAsOrtValue)(allocator, dims, rank, context.types[number], out);
        assert!(context.outputs.borrow_mut().insert(number, *out).is_none(), "output {number} is made twice");
        made
    }
}

unsafe extern "system" fn stream(context: *const OrtKernelContext, out: *mut *mut c_void) -> OrtStatusPtr {
    // SAFETY: contexts are ours.
    unsafe { *out = (*context.cast::<Context>()).stream };
    OK
}

unsafe extern "system" fn allocator(
    _: *const OrtKernelContext,
    _: *const OrtMemoryInfo,
    out: *mut *mut OrtAllocator,
) -> OrtStatusPtr {
    MEMORY.with_borrow_mut(|(_, allocators)| *allocators += 1);
    // SAFETY: a place for the result. Nobody looks behind the pointer.
    unsafe { *out = ptr::without_provenance_mut(16) };
    OK
}

unsafe extern "system" fn release_allocator(_: *mut OrtAllocator) {
    MEMORY.with_borrow_mut(|(_, allocators)| *allocators -= 1);
}

unsafe extern "system" fn allocate(_: *mut OrtAllocator, bytes: usize, out: *mut *mut c_void) -> OrtStatusPtr {
    // SAFETY: a place for the result; freed below with the same layout.
    let memory = unsafe { std::alloc::alloc(std::alloc::Layout::from_size_align(bytes, 256).unwrap()) };
    MEMORY.with_borrow_mut(|(pieces, _)| pieces.insert(memory.addr(), bytes));
    // SAFETY: as above.
    unsafe { *out = memory.cast() };
    OK
}

unsafe extern "system" fn free(_: *mut OrtAllocator, memory: *mut c_void) -> OrtStatusPtr {
    let bytes = MEMORY.with_borrow_mut(|(pieces, _)| pieces.remove(&memory.addr())).expect("freed once");
    // SAFETY: allocated above with this layout.
    unsafe { std::alloc::dealloc(memory.cast(), std::alloc::Layout::from_size_align(bytes, 256).unwrap()) };
    OK
}

/// ONNX Runtime's functions, those of a call replaced; nothing where ONNX Runtime is not there.
fn api() -> Option<Api> {
    let runtime = testing::onnx_runtime()?;
    // SAFETY: the library is ONNX Runtime, which is loaded already and stays so.
    unsafe {
        let library = libloading::Library::new(runtime.library()).unwrap();
        let base = *library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase").unwrap();
        let mut table: OrtApi = (*((*base()).GetApi)(API_VERSION)).clone();
        table.KernelContext_GetInputCount = input_count;
        table.KernelContext_GetOutputCount = output_count;
        table.KernelContext_GetInput = input;
        table.KernelContext_GetOutput = output;
        table.KernelContext_GetGPUComputeStream = stream;
        table.KernelContext_GetAllocator = allocator;
        table.ReleaseAllocator = release_allocator;
        table.AllocatorAlloc = allocate;
        table.AllocatorFree = free;
        std::mem::forget(library);
        Some(Api::new(Box::leak(Box::new(table))))
    }
}

/// A tensor of ONNX Runtime over memory that the caller keeps.
fn value<T>(api: Api, dims: &[usize], data: &[T], data_type: DataType) -> *mut OrtValue {
    let dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
    assert_eq!(dims.iter().product::<i64>() as usize, data.len());
    let (mut info, mut made) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: valid pointers; the memory is only read.
    unsafe {
        let kind = ort_sys::OrtAllocatorType::OrtDeviceAllocator;
        let memory = ort_sys::OrtMemType::OrtMemTypeDefault;
        api.check((api.CreateCpuMemoryInfo)(kind, memory, &mut info)).unwrap();
        let bytes = std::mem::size_of_val(data);
        let data = data.as_ptr().cast_mut().cast::<c_void>();
        let (dims, rank) = (dims.as_ptr(), dims.len());
        api.check((api.CreateTensorWithDataAsOrtValue)(info, data, bytes, dims, rank, data_type, &mut made)).unwrap();
        (api.ReleaseMemoryInfo)(info);
    }
    made
}

/// A node on the provider.
struct Node {
    api: Api,
    schema: &'static Schema,
    element: ElementType,
    kernel: Box<dyn Kernel>,
}

impl Node {
    fn new(api: Api, name: &str, element: ElementType, attributes: &[(&'static str, AttrValue)]) -> Result<Self> {
        let operator = OPERATORS.iter().find(|o| o.schema.name == name).unwrap();
        let kernel = operator.create(Provider::Cuda, element, &attributes.to_vec())?;
        Ok(Self { api, schema: operator.schema, element, kernel })
    }

    /// Runs it, and returns the bytes of its outputs. With an input `grid` it has the output `map`, which says nothing.
    fn run(&self, inputs: &[*mut OrtValue], stream: usize) -> Result<Vec<Vec<u8>>> {
        shim::load().unwrap().set_context(1);
        let (least, all) = (self.schema.required_outputs(), self.schema.outputs.len());
        let count = if inputs.len() > self.schema.required_inputs() { all } else { least };
        let ports = &self.schema.outputs[..count];
        let types = ports.iter().map(|port| data_type(port.dtype, self.element)).collect();
        let stream = ptr::without_provenance_mut(stream);
        let mut context =
            Context { api: self.api, inputs: inputs.to_vec(), outputs: RefCell::default(), types, stream };
        // SAFETY: the context lives through the call, and the functions that get it are ours.
        let done = unsafe {
            let call = Call::new(self.api, (&raw mut context).cast(), self.schema, self.element);
            self.kernel.compute(&call)
        };
        let outputs = context.outputs.into_inner().into_values();
        // SAFETY: values are valid and released once; a tensor's memory is as large as its shape says.
        let read = |made: *mut OrtValue| unsafe {
            let (mut info, mut data) = (ptr::null_mut(), ptr::null_mut());
            self.api.check((self.api.GetTensorTypeAndShape)(made, &mut info)).unwrap();
            let (number, dims) = self.api.type_and_dims(info).unwrap();
            (self.api.ReleaseTensorTypeAndShapeInfo)(info);
            self.api.check((self.api.GetTensorMutableData)(made, &mut data)).unwrap();
            let half = number == DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 as i32;
            let bytes = dims.iter().product::<i64>() as usize * if half { 2 } else { 4 };
            let bytes = if bytes == 0 { &[] } else { std::slice::from_raw_parts(data.cast::<u8>(), bytes) }.to_vec();
            (self.api.ReleaseValue)(made);
            bytes
        };
        let outputs: Vec<Vec<u8>> = outputs.map(read).collect();
        assert!(done.is_err() || outputs.len() == count, "an output is missing");
        // SAFETY: as above.
        inputs.iter().for_each(|&input| unsafe { (self.api.ReleaseValue)(input) });
        done.map(|()| outputs.into_iter().take(least).collect())
    }
}

fn bytes<T: Copy>(values: &[T]) -> Vec<u8> {
    // SAFETY: plain numbers without gaps.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), std::mem::size_of_val(values)) }.to_vec()
}

const I32: DataType = DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
const I64: DataType = DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
const F32: DataType = DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;

/// All operators on one problem, against their definitions.
fn as_defined<E: Element>(api: Api, params: &DensityPeaks, grid: (usize, usize), batch: usize) {
    let (tokens, channels) = (params.prefix + grid.0 * grid.1 + params.suffix, 21);
    let x: Vec<E> = noise(batch * tokens * channels, 5).into_iter().map(E::from_f32).collect();
    let e = data_type(ailurus_ops::PortType::E, E::TYPE);
    let want = reference::density_peaks(params, &x, batch, channels, grid).unwrap();
    let sides = [grid.0 as i64, grid.1 as i64];
    let peaks = Node::new(api, "AilurusDensityPeaks", E::TYPE, &params.attributes()).unwrap();
    let mut inputs = vec![value(api, &[batch, tokens, channels], &x, e)];
    if params.grid.is_none() {
        inputs.push(value(api, &[2], &sides, I64));
    }
    let got = peaks.run(&inputs, 1).unwrap();
    assert_eq!(got, [bytes(&want.index), bytes(&want.anchor), bytes(&want.size)]);

    let rows = want.rows;
    let stream = |data: &[E], length: usize| value(api, &[batch, length, channels], data, e);
    let index = || value(api, &[batch, tokens], &want.index, I32);
    let dims = MergeDims { batch, tokens, rows, channels };
    let start = reference::merge(&x, &want.index, &want.size, dims).unwrap();
    let merge = Node::new(api, "AilurusMerge", E::TYPE, &[]).unwrap();
    let got = merge.run(&[stream(&x, tokens), index(), value(api, &[batch, rows], &want.size, F32)], 1).unwrap();
    assert_eq!(got, [bytes(&start)]);

    let z: Vec<E> = start.iter().map(|v| E::from_f32(v.to_f32() * 0.5 - 1.0)).collect();
    let dims = UnfoldDims { batch, rows, tokens, choices: 1, channels };
    let copied = reference::unfold(&z, &want.index, None, dims).unwrap();
    let unfold = Node::new(api, "AilurusUnfold", E::TYPE, &[]).unwrap();
    assert_eq!(unfold.run(&[stream(&z, rows), index()], 1).unwrap(), [bytes(&copied)]);

    let y = reference::unfold_residual(&z, &start, &x, &want.index, None, dims).unwrap();
    let residual = Node::new(api, "AilurusUnfoldResidual", E::TYPE, &[]).unwrap();
    let inputs = || vec![stream(&z, rows), stream(&start, rows), stream(&x, tokens)];
    assert_eq!(residual.run(&[inputs(), vec![index()]].concat(), 1).unwrap(), [bytes(&y)]);

    // Two weighted rows for every token.
    let dims = UnfoldDims { choices: 2, ..dims };
    let index: Vec<i32> = (0..batch * tokens * 2).map(|i| ((i * 7 + i / 3) % rows) as i32).collect();
    let weight = noise(index.len(), 9);
    let soft = || vec![value(api, &[batch, tokens, 2], &index, I32), value(api, &[batch, tokens, 2], &weight, F32)];
    let y = reference::unfold_residual(&z, &start, &x, &index, Some(&weight), dims).unwrap();
    assert_eq!(residual.run(&[inputs(), soft()].concat(), 1).unwrap(), [bytes(&y)]);
    let copied = reference::unfold(&z, &index, Some(&weight), dims).unwrap();
    assert_eq!(unfold.run(&[vec![stream(&z, rows)], soft()].concat(), 1).unwrap(), [bytes(&copied)]);
}

#[test]
fn operators_are_as_defined() {
    let Some(api) = api() else { return };
    let third = Keep::Ratio { num: 1, den: 3 };
    let fixed = DensityPeaks::new(1, 2, Some((6, 7)), Keep::Tokens(13));
    let open = DensityPeaks::new(2, 0, None, third);
    for batch in [1, 3] {
        as_defined::<f32>(api, &fixed, (6, 7), batch);
        as_defined::<f16>(api, &fixed, (6, 7), batch);
        as_defined::<f32>(api, &open, (5, 4), batch);
        as_defined::<f16>(api, &open, (1, 30), batch);
    }
    assert_eq!(workspaces(), [0; 0], "everything is given back with the nodes");
}

#[test]
fn workspaces_are_kept_by_stream_and_given_back() {
    let Some(api) = api() else { return };
    let params = DensityPeaks::new(0, 0, None, Keep::Ratio { num: 1, den: 2 });
    let node = Node::new(api, "AilurusDensityPeaks", ElementType::F32, &params.attributes()).unwrap();
    let run = |(h, w): (usize, usize), stream: usize| {
        let x = noise(h * w * 8, 3);
        let want = reference::density_peaks(&params, &x, 1, 8, (h, w)).unwrap();
        let sides = [h as i64, w as i64];
        let got = node.run(&[value(api, &[1, h * w, 8], &x, F32), value(api, &[2], &sides, I64)], stream).unwrap();
        assert_eq!(got[0], bytes(&want.index));
        workspaces().len()
    };
    assert_eq!(run((6, 6), 1), 1);
    assert_eq!((run((6, 6), 1), run((4, 4), 1)), (1, 1), "the same memory serves again");
    assert_eq!(run((6, 6), 2), 2, "another stream has its own");
    assert_eq!(run((9, 9), 1), 3, "outgrown memory stays until the node goes");
    assert_eq!(run((9, 9), 1), 3);
    assert_eq!(MEMORY.with_borrow(|(_, allocators)| *allocators), 1);
    drop(node);
    assert_eq!((workspaces().len(), MEMORY.with_borrow(|(_, allocators)| *allocators)), (0, 0));
}

#[test]
fn faults_are_errors() {
    let Some(api) = api() else { return };
    let params = DensityPeaks::new(1, 0, None, Keep::Tokens(2));
    let node = Node::new(api, "AilurusDensityPeaks", ElementType::F32, &params.attributes()).unwrap();
    let x = noise(5 * 8, 3);
    for (sides, code) in [([2i64, 3], "AIL0306"), ([0, 4], "AIL0306"), ([i64::MAX, i64::MAX], "AIL0301")] {
        let error = node.run(&[value(api, &[1, 5, 8], &x, F32), value(api, &[2], &sides, I64)], 1).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(workspaces().is_empty());
    // What the driver says comes through, with the launcher's code.
    let shim = shim::load().unwrap();
    shim.set_context(1);
    let run = || node.run(&[value(api, &[1, 5, 8], &x, F32), value(api, &[2], &[2i64, 2], I64)], 1);
    assert!(run().is_ok());
    shim.fail("cuLaunchKernel", 700);
    let error = run().unwrap_err();
    assert_eq!(error.code(), "AIL0812", "{error}");
    assert!(run().is_ok());
    // An empty batch needs no kernel.
    let none = node.run(&[value::<f32>(api, &[0, 5, 8], &[], F32), value(api, &[2], &[2i64, 2], I64)], 1).unwrap();
    assert_eq!(none, vec![Vec::<u8>::new(); 3]);
    let bad = [("window", AttrValue::Int(0))];
    assert_eq!(Node::new(api, "AilurusDensityPeaks", ElementType::F32, &bad).err().unwrap().code(), "AIL0302");
}
