//! A model loaded by ONNX Runtime.

use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use ort_sys::{GraphOptimizationLevel, OrtSession as RawSession, OrtSessionOptions, OrtStatusPtr, OrtTypeInfo};

use super::NAME;
use super::library::Library;
use super::value::{TensorInfo, Value, from_ort};
use crate::{
    Dim, Error, Model, Optimization, Outputs, Provider, Result, Session, SessionOptions, Tensor, ValueInfo,
    check_inputs,
};

/// A session of ONNX Runtime.
pub(super) struct OrtSession {
    library: &'static Library,
    raw: *mut RawSession,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    input_names: Vec<CString>,
    output_names: Vec<CString>,
}

// SAFETY: ONNX Runtime's sessions may be moved between threads and run from several at once.
unsafe impl Send for OrtSession {}
// SAFETY: as above; everything else is immutable after construction.
unsafe impl Sync for OrtSession {}

impl Drop for OrtSession {
    fn drop(&mut self) {
        // SAFETY: ours, valid and released once.
        unsafe { (self.library.api.ReleaseSession)(self.raw) }
    }
}

impl OrtSession {
    pub(super) fn new(library: &'static Library, model: Model<'_>, options: &SessionOptions) -> Result<Self> {
        let refused = |reason: String| Error::Load { runtime: NAME, reason };
        let options = {
            let made = Options::new(library, options).map_err(refused)?;
            made.extend(options)?;
            made
        };
        let mut session = OrtSession {
            library,
            raw: create(library, model, &options).map_err(refused)?,
            inputs: Vec::new(),
            outputs: Vec::new(),
            input_names: Vec::new(),
            output_names: Vec::new(),
        };
        // From here on the session is dropped, and with it released, whatever fails.
        (session.input_names, session.inputs) = session.describe(Side::Inputs).map_err(refused)?;
        (session.output_names, session.outputs) = session.describe(Side::Outputs).map_err(refused)?;
        Ok(session)
    }

    /// Names and types of one side.
    fn describe(&self, side: Side) -> Result<(Vec<CString>, Vec<ValueInfo>), String> {
        let (library, api) = (self.library, self.library.api);
        let (get_count, get_name, get_type) = match side {
            Side::Inputs => (api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo),
            Side::Outputs => (api.SessionGetOutputCount, api.SessionGetOutputName, api.SessionGetOutputTypeInfo),
        };
        let mut allocator = ptr::null_mut();
        let mut count = 0;
        // SAFETY: the session is valid, out pointers too; the allocator is a static of the library.
        unsafe {
            library.check((api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
            library.check(get_count(self.raw, &mut count))?;
        }
        let (mut names, mut infos) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let mut raw = ptr::null_mut();
            // SAFETY: the index is below the count; the name is copied, then freed by the
            // allocator that made it.
            let name = unsafe {
                library.check(get_name(self.raw, index, allocator, &mut raw))?;
                let name = CStr::from_ptr(raw).to_owned();
                library.check((api.AllocatorFree)(allocator, raw.cast::<c_void>()))?;
                name
            };
            let mut raw = ptr::null_mut();
            // SAFETY: as above; the description is released by its guard.
            library.check(unsafe { get_type(self.raw, index, &mut raw) })?;
            let (data_type, dims) = TypeInfo { library, raw }.read()?;
            infos.push(ValueInfo { name: name.to_string_lossy().into_owned(), data_type, dims });
            names.push(name);
        }
        Ok((names, infos))
    }
}

enum Side {
    Inputs,
    Outputs,
}

impl Session for OrtSession {
    fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    fn run(&self, inputs: &[(&str, &Tensor)]) -> Result<Outputs> {
        let failed = |reason: String| Error::Run { runtime: NAME, reason };
        let values = check_inputs(&self.inputs, inputs)?
            .into_iter()
            .map(|t| Value::borrow(self.library, t))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let raw_inputs: Vec<_> = values.iter().map(|v| v.raw.cast_const()).collect();
        let input_names: Vec<_> = self.input_names.iter().map(|n| n.as_ptr()).collect();
        let output_names: Vec<_> = self.output_names.iter().map(|n| n.as_ptr()).collect();
        let mut raw_outputs = vec![ptr::null_mut(); output_names.len()];
        // SAFETY: names and values are valid for the call and as many as the lengths say; null
        // outputs ask ONNX Runtime to allocate them.
        let status = unsafe {
            (self.library.api.Run)(
                self.raw,
                ptr::null(),
                input_names.as_ptr(),
                raw_inputs.as_ptr(),
                raw_inputs.len(),
                output_names.as_ptr(),
                output_names.len(),
                raw_outputs.as_mut_ptr(),
            )
        };
        self.library.check(status).map_err(failed)?;
        // Owned at once, so that an error half way releases the rest.
        let owned: Vec<Option<Value<'static>>> =
            raw_outputs.into_iter().map(|raw| (!raw.is_null()).then(|| Value::own(self.library, raw))).collect();
        owned
            .iter()
            .zip(&self.outputs)
            .map(|(value, info)| {
                let tensor = value.as_ref().ok_or_else(|| "absent".to_owned());
                tensor
                    .and_then(Value::to_tensor)
                    .map(|t| (info.name.clone(), t))
                    .map_err(|kind| Error::UnsupportedType { what: format!("the output {:?}", info.name), kind })
            })
            .collect()
    }
}

/// The type description of an input or output, released when dropped.
struct TypeInfo {
    library: &'static Library,
    raw: *mut OrtTypeInfo,
}

impl Drop for TypeInfo {
    fn drop(&mut self) {
        // SAFETY: ours, valid and released once.
        unsafe { (self.library.api.ReleaseTypeInfo)(self.raw) }
    }
}

impl TypeInfo {
    /// Element type and dimensions; nothing for sequences, maps and the like.
    fn read(&self) -> Result<(Option<crate::DataType>, Option<Vec<Dim>>), String> {
        let mut raw = ptr::null();
        // SAFETY: valid pointers; the result is null when this is no tensor, and else lives in
        // the description, which outlives `info`.
        let info = unsafe {
            self.library.check((self.library.api.CastTypeInfoToTensorInfo)(self.raw, &mut raw))?;
            if raw.is_null() {
                return Ok((None, None));
            }
            TensorInfo::borrowed(self.library, raw)
        };
        let dims = info.dims()?;
        let symbols = info.symbols(dims.len())?;
        let dims = dims
            .into_iter()
            .zip(symbols)
            .map(|(n, symbol)| match usize::try_from(n) {
                Ok(n) => Dim::Known(n),
                Err(_) if symbol.is_empty() => Dim::Unknown,
                Err(_) => Dim::Symbol(symbol),
            })
            .collect();
        Ok((from_ort(info.element_type()?), Some(dims)))
    }
}

/// Session options, released when dropped.
struct Options {
    library: &'static Library,
    raw: *mut OrtSessionOptions,
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours, valid and released once.
        unsafe { (self.library.api.ReleaseSessionOptions)(self.raw) }
    }
}

impl Options {
    fn new(library: &'static Library, from: &SessionOptions) -> Result<Self, String> {
        let api = library.api;
        let mut raw = ptr::null_mut();
        // SAFETY: a valid out pointer.
        library.check(unsafe { (api.CreateSessionOptions)(&mut raw) })?;
        let options = Options { library, raw };
        let level = match from.optimization {
            Optimization::None => GraphOptimizationLevel::ORT_DISABLE_ALL,
            Optimization::Basic => GraphOptimizationLevel::ORT_ENABLE_BASIC,
            Optimization::Extended => GraphOptimizationLevel::ORT_ENABLE_EXTENDED,
            Optimization::All => GraphOptimizationLevel::ORT_ENABLE_ALL,
        };
        // SAFETY (all calls): the options are valid, strings live through the call and are copied.
        unsafe {
            options.set(|o| (api.SetSessionGraphOptimizationLevel)(o, level))?;
            if let Some(threads) = from.threads {
                let threads = i32::try_from(threads).unwrap_or(i32::MAX);
                options.set(|o| (api.SetIntraOpNumThreads)(o, threads))?;
            }
            // Threads that go on spinning after a run would take the processor from whichever
            // session runs next: with two sessions measured in turn, that is the measurement.
            let (key, value) = (c"session.force_spinning_stop", c"1");
            options.set(|o| (api.AddSessionConfigEntry)(o, key.as_ptr(), value.as_ptr()))?;
            if let Some(prefix) = &from.profile {
                let prefix = os_string(prefix)?;
                options.set(|o| (api.EnableProfiling)(o, prefix.as_ptr()))?;
            }
        }
        Ok(options)
    }

    /// Adds what the library itself may lack or refuse, each with an error of its own.
    fn extend(&self, from: &SessionOptions) -> Result<()> {
        let api = self.library.api;
        for path in &from.custom_op_libraries {
            let refused = |reason| Error::OperatorLibrary { runtime: NAME, path: path.clone(), reason };
            let name = os_string(path).map_err(refused)?;
            // SAFETY: the options are valid, the path lives through the call; the user chose the library that is run.
            unsafe { self.set(|o| (api.RegisterCustomOpsLibrary_V2)(o, name.as_ptr())) }.map_err(refused)?;
        }
        match from.provider {
            Provider::Cpu => Ok(()),
            Provider::Cuda => {
                self.cuda().map_err(|reason| Error::Provider { runtime: NAME, provider: Provider::Cuda, reason })
            }
        }
    }

    /// Puts CUDA, with its default options, in front of the processor.
    fn cuda(&self) -> Result<(), String> {
        let api = self.library.api;
        let mut cuda = ptr::null_mut();
        // SAFETY: a valid out pointer; what is made is released once, after its only use, and ONNX Runtime copies it.
        unsafe {
            self.library.check((api.CreateCUDAProviderOptions)(&mut cuda))?;
            let added = self.set(|o| (api.SessionOptionsAppendExecutionProvider_CUDA_V2)(o, cuda));
            (api.ReleaseCUDAProviderOptions)(cuda);
            added
        }
    }

    fn set(&self, f: impl FnOnce(*mut OrtSessionOptions) -> OrtStatusPtr) -> Result<(), String> {
        self.library.check(f(self.raw))
    }
}

/// ONNX Runtime looks up and then adds the domains of custom operators to a table of the process without holding a lock over
/// both: of two sessions created at once, one can fail with "the domain is already exist".
static CREATION: Mutex<()> = Mutex::new(());

fn create(library: &'static Library, model: Model<'_>, options: &Options) -> Result<*mut RawSession, String> {
    let api = library.api;
    let _alone = CREATION.lock().unwrap_or_else(PoisonError::into_inner);
    let mut raw = ptr::null_mut();
    // SAFETY: environment and options are valid; path and bytes live through the call, and without
    // special options ONNX Runtime copies what it needs of them.
    let status = unsafe {
        match model {
            Model::Path(path) => {
                let path = os_string(path)?;
                (api.CreateSession)(library.env, path.as_ptr(), options.raw, &mut raw)
            }
            Model::Bytes(bytes) => (api.CreateSessionFromArray)(
                library.env,
                bytes.as_ptr().cast::<c_void>(),
                bytes.len(),
                options.raw,
                &mut raw,
            ),
        }
    };
    library.check(status)?;
    Ok(raw)
}

/// A path as the interface wants it: bytes on Unix, UTF-16 on Windows, with a zero at the end.
#[cfg(unix)]
fn os_string(path: &Path) -> Result<CString, String> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| format!("{} holds a zero byte", path.display()))
}

/// A path as the interface wants it: bytes on Unix, UTF-16 on Windows, with a zero at the end.
#[cfg(windows)]
fn os_string(path: &Path) -> Result<Vec<u16>, String> {
    use std::os::windows::ffi::OsStrExt;
    Ok(path.as_os_str().encode_wide().chain([0]).collect())
}
