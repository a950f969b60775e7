//! One operator in one element type, as the table of functions that ONNX Runtime calls.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use ailurus_ops::{ElementType, Port, PortType};
use ort_sys::{
    ONNXTensorElementDataType as DataType, OrtApi, OrtCustomOp, OrtCustomOpInputOutputCharacteristic as Characteristic,
    OrtKernelContext, OrtKernelInfo, OrtMemType, OrtShapeInferContext, OrtStatusPtr,
};

use crate::operators::{Kernel, Operator, Provider};
use crate::ort::{API_VERSION, Api, Call, Inference, Node, catch, data_type};

/// The table comes first, so that a pointer to it is a pointer to the whole.
#[repr(C)]
pub(crate) struct Op {
    table: OrtCustomOp,
    api: Api,
    operator: &'static Operator,
    provider: Provider,
    element: ElementType,
    name: CString,
}

/// A kernel, with what it takes to answer for it.
struct Instance {
    op: &'static Op,
    node: String,
    kernel: Box<dyn Kernel>,
}

impl Op {
    /// Makes an operator that is never freed, as ONNX Runtime wants it.
    pub(crate) fn leak(
        api: Api,
        operator: &'static Operator,
        provider: Provider,
        element: ElementType,
    ) -> *const OrtCustomOp {
        let name = CString::new(operator.schema.name).unwrap_or_default();
        let op: &'static Op = Box::leak(Box::new(Op { table: TABLE, api, operator, provider, element, name }));
        (&raw const *op).cast()
    }

    /// # Safety
    /// `table` must come from [`Op::leak`].
    unsafe fn of(table: *const OrtCustomOp) -> &'static Op {
        // SAFETY: the table is the first field of an `Op`, which is never freed.
        unsafe { &*table.cast::<Op>() }
    }

    fn inputs(&self) -> &'static [Port] {
        self.operator.schema.inputs
    }

    fn outputs(&self) -> &'static [Port] {
        self.operator.schema.outputs
    }
}

const TABLE: OrtCustomOp = OrtCustomOp {
    version: API_VERSION,
    CreateKernel: None,
    GetName: Some(name),
    GetExecutionProviderType: Some(provider),
    GetInputType: Some(input_type),
    GetInputTypeCount: Some(input_count),
    GetOutputType: Some(output_type),
    GetOutputTypeCount: Some(output_count),
    KernelCompute: None,
    KernelDestroy: Some(destroy),
    GetInputCharacteristic: Some(input_characteristic),
    GetOutputCharacteristic: Some(output_characteristic),
    GetInputMemoryType: Some(input_memory),
    GetVariadicInputMinArity: Some(one),
    GetVariadicInputHomogeneity: Some(one),
    GetVariadicOutputMinArity: Some(one),
    GetVariadicOutputHomogeneity: Some(one),
    CreateKernelV2: Some(create),
    KernelComputeV2: Some(compute),
    InferOutputShapeFn: Some(infer),
    GetStartVersion: Some(one),
    GetEndVersion: Some(newest),
};

// SAFETY of all functions below: ONNX Runtime passes the table it was given, numbers below the counts it asked for, and
// contexts that are valid during the call.

unsafe extern "system" fn name(table: *const OrtCustomOp) -> *const c_char {
    // SAFETY: as said above.
    unsafe { Op::of(table) }.name.as_ptr()
}

/// No name means the processor.
unsafe extern "system" fn provider(table: *const OrtCustomOp) -> *const c_char {
    // SAFETY: as said above.
    match unsafe { Op::of(table) }.provider {
        Provider::Cpu => ptr::null(),
        #[cfg(feature = "cuda")]
        Provider::Cuda => crate::cuda::PROVIDER.as_ptr(),
    }
}

unsafe extern "system" fn input_type(table: *const OrtCustomOp, number: usize) -> DataType {
    // SAFETY: as said above.
    let op = unsafe { Op::of(table) };
    port_type(op, op.inputs(), number)
}

unsafe extern "system" fn output_type(table: *const OrtCustomOp, number: usize) -> DataType {
    // SAFETY: as said above.
    let op = unsafe { Op::of(table) };
    port_type(op, op.outputs(), number)
}

fn port_type(op: &Op, ports: &[Port], number: usize) -> DataType {
    let port = ports.get(number);
    port.map_or(DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, |port| data_type(port.dtype, op.element))
}

unsafe extern "system" fn input_count(table: *const OrtCustomOp) -> usize {
    // SAFETY: as said above.
    unsafe { Op::of(table) }.inputs().len()
}

unsafe extern "system" fn output_count(table: *const OrtCustomOp) -> usize {
    // SAFETY: as said above.
    unsafe { Op::of(table) }.outputs().len()
}

unsafe extern "system" fn input_characteristic(table: *const OrtCustomOp, number: usize) -> Characteristic {
    // SAFETY: as said above.
    characteristic(unsafe { Op::of(table) }.inputs(), number)
}

unsafe extern "system" fn output_characteristic(table: *const OrtCustomOp, number: usize) -> Characteristic {
    // SAFETY: as said above.
    characteristic(unsafe { Op::of(table) }.outputs(), number)
}

fn characteristic(ports: &[Port], number: usize) -> Characteristic {
    match ports.get(number) {
        Some(port) if port.optional => Characteristic::INPUT_OUTPUT_OPTIONAL,
        _ => Characteristic::INPUT_OUTPUT_REQUIRED,
    }
}

/// Tensors are where the provider computes, but for sizes, which decide what is launched.
unsafe extern "system" fn input_memory(table: *const OrtCustomOp, number: usize) -> OrtMemType {
    // SAFETY: as said above.
    match unsafe { Op::of(table) }.inputs().get(number) {
        Some(port) if port.dtype == PortType::I64 => OrtMemType::OrtMemTypeCPUInput,
        _ => OrtMemType::OrtMemTypeDefault,
    }
}

unsafe extern "system" fn one(_: *const OrtCustomOp) -> c_int {
    1
}

unsafe extern "system" fn newest(_: *const OrtCustomOp) -> c_int {
    c_int::MAX
}

unsafe extern "system" fn create(
    table: *const OrtCustomOp,
    _: *const OrtApi,
    info: *const OrtKernelInfo,
    kernel: *mut *mut c_void,
) -> OrtStatusPtr {
    // SAFETY: as said above.
    let op = unsafe { Op::of(table) };
    let mut name = String::new();
    let created = catch(|| {
        // SAFETY: as said above.
        let node = unsafe { Node::new(op.api, info) };
        name = node.name()?;
        op.operator.create(op.provider, op.element, &node.attributes(op.operator.schema))
    });
    let result = created.map(|made| {
        let instance = Box::new(Instance { op, node: name.clone(), kernel: made });
        // SAFETY: a valid place for the result. `destroy` takes it back.
        unsafe { *kernel = Box::into_raw(instance).cast() };
    });
    op.api.status(result, &name)
}

unsafe extern "system" fn destroy(kernel: *mut c_void) {
    if kernel.is_null() {
        return;
    }
    // SAFETY: made by `create`, and destroyed once. Nothing in a kernel panics when it is dropped.
    drop(unsafe { Box::from_raw(kernel.cast::<Instance>()) });
}

unsafe extern "system" fn compute(kernel: *mut c_void, context: *mut OrtKernelContext) -> OrtStatusPtr {
    // SAFETY: made by `create`; several calls at a time only share it.
    let instance = unsafe { &*kernel.cast::<Instance>() };
    let op = instance.op;
    let result = catch(|| {
        // SAFETY: as said above.
        let call = unsafe { Call::new(op.api, context, op.operator.schema, op.element) };
        instance.kernel.compute(&call)
    });
    op.api.status(result, &instance.node)
}

/// Never fails: ONNX Runtime does not report what shape inference objects to, and does not free the status either. What
/// is wrong with a node or its inputs shows when its kernel is made, or when it runs.
unsafe extern "system" fn infer(table: *const OrtCustomOp, context: *mut OrtShapeInferContext) -> OrtStatusPtr {
    // SAFETY: as said above.
    let op = unsafe { Op::of(table) };
    let schema = op.operator.schema;
    let _ = catch(|| {
        // SAFETY: as said above.
        let inference = unsafe { Inference::new(op.api, context) }?;
        let (Some(inputs), Some(element)) = (inference.inputs(), inference.element(schema)) else {
            return Ok(());
        };
        let inputs: Vec<&[Option<usize>]> = inputs.iter().map(Vec::as_slice).collect();
        let shapes = (op.operator.shapes)(&inference.attributes(schema), &inputs)?;
        inference.set(schema, element, &shapes)
    });
    OrtStatusPtr(ptr::null_mut())
}
