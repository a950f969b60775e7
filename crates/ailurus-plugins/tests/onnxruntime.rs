//! The emitted library for ONNX Runtime, in ONNX Runtime.
//!
//! There is no device here. Built for the processor's provider instead of CUDA's, and with a driver that executes kernels on
//! the host, everything else is as on a device: registration, nodes, calls, workspaces, the launcher.

#[path = "../../ailurus-ort/tests/common/model.rs"]
mod model;

use std::ffi::{CString, c_char};
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ailurus_cuda::shim;
use ailurus_ops::{DensityPeaks, Keep};
use ailurus_plugins::emit;
use ailurus_rewrite::Emit;
use ailurus_runtime::testing::onnx::{ElementType, Graph};
use ailurus_runtime::{Model, OnnxRuntime, Runtime, Session, SessionOptions, Tensor, testing};
use ailurus_tests::conformance::{self, DOMAIN, attributes};
use ailurus_tests::run;
use ort_sys::{OrtApi, OrtApiBase, OrtCustomOp};

/// Builds the library into a folder that stays.
fn build(flags: &[&str]) -> PathBuf {
    let place = tempfile::tempdir().unwrap().keep();
    let folder = place.join("sources");
    let sources = emit(&folder).unwrap();
    let ours = |path: &&PathBuf| ["onnxruntime", "launcher"].iter().any(|of| path.parent().unwrap().ends_with(of));
    let sources = sources.iter().filter(|path| path.extension().is_some_and(|e| e == "cpp")).filter(ours);
    let library = place.join("libailurus_ort_cuda.so");
    let mut command = Command::new(std::env::var_os("CXX").filter(|v| !v.is_empty()).unwrap_or_else(|| "c++".into()));
    command.args(["-std=c++14", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Ilauncher"]);
    command.args(flags).args(sources).arg("-o").arg(&library).args(["-ldl", "-lpthread", "-Wl,--no-undefined"]);
    let output = command.current_dir(&folder).output().expect("there is a C++ compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(folder).unwrap();
    library
}

/// The library that serves the processor, its launcher on the driver without a device.
fn on_the_host() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = build(&["-DAILURUS_ORT_PROVIDER=\"\""]);
        // SAFETY: just made from these sources; never unloaded.
        unsafe {
            let library = libloading::Library::new(&path).unwrap();
            let load: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> i32> =
                library.get(b"ailurus_cuda_load").unwrap();
            let driver = CString::new(shim::LIBRARY).unwrap();
            assert_eq!(load(driver.as_ptr()), 0);
            std::mem::forget(library);
        }
        path
    })
}

fn load(runtime: &OnnxRuntime, library: &Path, model: &[u8]) -> ailurus_runtime::Result<Box<dyn Session>> {
    let options = SessionOptions { custom_op_libraries: vec![library.to_owned()], ..SessionOptions::default() };
    runtime.load(Model::Bytes(model), &options)
}

#[test]
fn operators_are_as_defined() {
    let Some(runtime) = testing::onnx_runtime() else { return };
    conformance::check(&|model| load(&runtime, on_the_host(), model).unwrap());
    conformance::check_map(&|model| load(&runtime, on_the_host(), model).unwrap());
}

fn peaks(params: &DensityPeaks) -> Vec<u8> {
    Graph::new()
        .input("x", ElementType::F32, &["batch", "tokens", "8"])
        .input("grid", ElementType::I64, &["2"])
        .custom(DOMAIN, "AilurusDensityPeaks", &["x", "grid"], &["i", "a", "s"], &attributes(&params.attributes()))
        .output_of_any_shape("i", ElementType::I32)
        .model()
}

#[test]
fn faults_are_errors_and_the_session_goes_on() {
    let Some(runtime) = testing::onnx_runtime() else { return };
    let params = DensityPeaks::new(1, 0, None, Keep::Tokens(2));
    let session = load(&runtime, on_the_host(), &peaks(&params)).unwrap();
    let x = Tensor::new([1, 5, 8], vec![0.5f32; 40]).unwrap();
    let run = |sides: [i64; 2]| {
        let grid = Tensor::new([2], sides.to_vec()).unwrap();
        session.run(&[("x", &x), ("grid", &grid)]).map_err(|error| error.to_string())
    };
    assert!(run([2, 2]).is_ok());
    for (sides, code) in [([2, 3], "AIL0306"), ([0, 4], "AIL0306"), ([i64::MAX, 2], "AIL0306"), ([1, 1], "AIL0806")] {
        let error = run(sides).unwrap_err();
        assert!(error.contains(&format!("ailurus {code}: ")) && error.contains("node `"), "{error}");
    }
    assert!(run([4, 1]).is_ok());
    let wide = DensityPeaks::new(1, 0, None, Keep::Tokens(1 << 40));
    let error = load(&runtime, on_the_host(), &peaks(&wide)).err().expect("refused").to_string();
    assert!(error.contains("ailurus AIL0301: `tokens`"), "{error}");
}

/// As it is built for users it leaves an ONNX Runtime without the CUDA provider to the functions in the file.
#[test]
fn without_the_provider_functions_run() {
    let Some(runtime) = testing::onnx_runtime() else { return };
    let library = build(&["-fvisibility=hidden"]);
    let (model, inputs) = model::rewritten(Emit::Function);
    let alone = runtime.load(Model::Bytes(&model), &SessionOptions::default()).unwrap();
    let with = load(&runtime, &library, &model).unwrap();
    let served = load(&runtime, on_the_host(), &model).unwrap();
    let expected = run::run(alone.as_ref(), &inputs).unwrap();
    assert_eq!(run::run(with.as_ref(), &inputs).unwrap(), expected);
    model::agree(&run::run(served.as_ref(), &inputs).unwrap(), &expected);
}

/// Places of functions in ONNX Runtime's table, by the declarations that were made from its header.
macro_rules! places {
    ($($name:ident)*) => { [$((stringify!($name), offset_of!(OrtApi, $name) / size_of::<usize>())),*] };
}

#[test]
fn the_declarations_are_those_of_onnx_runtime() {
    let header = include_str!("../onnxruntime/ort_api.h");
    let (_, list) = header.split_once("#define AILURUS_ORT_FUNCTIONS(X)").unwrap();
    let declared: Vec<(&str, usize)> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("X("))
        .map(|rest| {
            let mut parts = rest.split(", ");
            (parts.next().unwrap(), parts.next().unwrap().parse().unwrap())
        })
        .collect();
    let places = places![
        CreateStatus GetErrorMessage CreateCustomOpDomain CustomOpDomain_Add AddCustomOpDomain GetTensorMutableData
        GetTensorElementType GetDimensionsCount GetDimensions GetTensorTypeAndShape AllocatorAlloc AllocatorFree
        KernelInfoGetAttribute_float KernelInfoGetAttribute_int64 KernelInfoGetAttribute_string
        KernelContext_GetInputCount KernelContext_GetOutputCount KernelContext_GetInput
        KernelContext_GetOutput ReleaseStatus ReleaseTensorTypeAndShapeInfo
        GetAvailableProviders ReleaseAvailableProviders ReleaseAllocator
        KernelContext_GetGPUComputeStream GetTensorMemoryInfo KernelInfo_GetNodeName KernelContext_GetAllocator
    ];
    assert_eq!(declared, places);

    // The table of an operator: the same fields in the same order, as many pointers behind the version.
    let (_, table) = header.split_once("struct OrtCustomOp {").unwrap();
    let (table, _) = table.split_once("};").unwrap();
    let fields: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split_once("AILURUS_ORT_CALL* "))
        .map(|(_, rest)| rest.split_once(')').unwrap().0)
        .collect();
    macro_rules! fields {
        ($($name:ident)*) => { vec![$((offset_of!(OrtCustomOp, $name), stringify!($name))),*] };
    }
    let mut known = fields![
        CreateKernel GetName GetExecutionProviderType GetInputType GetInputTypeCount GetOutputType GetOutputTypeCount
        KernelCompute KernelDestroy GetInputCharacteristic GetOutputCharacteristic GetInputMemoryType
        GetVariadicInputMinArity GetVariadicInputHomogeneity GetVariadicOutputMinArity GetVariadicOutputHomogeneity
        CreateKernelV2 KernelComputeV2 InferOutputShapeFn GetStartVersion GetEndVersion
    ];
    known.sort_unstable();
    assert_eq!(fields, known.iter().map(|(_, name)| *name).collect::<Vec<_>>());
    assert_eq!(size_of::<OrtCustomOp>(), (fields.len() + 1) * size_of::<usize>());
    assert_eq!((offset_of!(OrtApiBase, GetApi), offset_of!(OrtApiBase, GetVersionString)), (0, size_of::<usize>()));
}
