//! Drives the plugins as TensorRT does, for tests: `bridge/bridge.cpp`, from Rust.

use std::ffi::{CStr, CString, c_char, c_void};

/// A field as TensorRT hands it to a creator.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name.
    pub name: CString,
    /// Number of `nvinfer1::PluginFieldType`.
    pub kind: i32,
    /// The values, as many bytes as they have; empty for a null pointer.
    pub data: Vec<u8>,
    /// How many values it says there are.
    pub length: i32,
}

impl Field {
    /// A 32-bit integer.
    pub fn int(name: &str, value: i32) -> Self {
        Self::new(name, 5, &value.to_ne_bytes())
    }

    /// A 64-bit integer.
    pub fn long(name: &str, value: i64) -> Self {
        Self::new(name, 10, &value.to_ne_bytes())
    }

    /// A 32-bit float.
    pub fn float(name: &str, value: f32) -> Self {
        Self::new(name, 1, &value.to_ne_bytes())
    }

    /// A text.
    pub fn text(name: &str, value: &str) -> Self {
        Self { length: value.len() as i32, ..Self::new(name, 6, value.as_bytes()) }
    }

    /// One value of any type.
    ///
    /// # Panics
    /// When the name contains a zero.
    pub fn new(name: &str, kind: i32, data: &[u8]) -> Self {
        Self { name: CString::new(name).expect("names have no zero"), kind, data: data.to_vec(), length: 1 }
    }
}

#[repr(C)]
struct RawField {
    name: *const c_char,
    kind: i32,
    data: *const c_void,
    length: i32,
}

/// Numbers of `nvinfer1::DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Type {
    /// 32-bit float
    F32 = 0,
    /// 16-bit float
    F16 = 1,
    /// 32-bit integer
    I32 = 3,
    /// 64-bit integer
    I64 = 8,
}

/// A tensor: type, sizes, and where it is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tensor {
    kind: i32,
    format: i32,
    rank: i32,
    sizes: [i64; 4],
    open: [i32; 4],
    data: *mut c_void,
}

impl Tensor {
    /// A tensor without memory. A negative size stands for one that is not known while the engine is built, and is its
    /// negative in the call that is looked at.
    ///
    /// # Panics
    /// When there are more than four sizes.
    pub fn new(kind: Type, sizes: &[i64]) -> Self {
        assert!(sizes.len() <= 4, "tensors of the operators have at most three axes");
        let mut tensor = Self {
            kind: kind as i32,
            format: 0,
            rank: sizes.len() as i32,
            sizes: [0; 4],
            open: [0; 4],
            data: std::ptr::null_mut(),
        };
        for (axis, &size) in sizes.iter().enumerate() {
            tensor.sizes[axis] = size.abs();
            tensor.open[axis] = i32::from(size < 0);
        }
        tensor
    }

    /// With another layout, by its number in `nvinfer1::TensorFormat`.
    pub fn with_format(self, format: i32) -> Self {
        Self { format, ..self }
    }

    /// With memory.
    pub fn at<T>(self, data: *mut T) -> Self {
        Self { data: data.cast(), ..self }
    }
}

type Text = unsafe extern "C" fn(*mut c_char, usize);

#[cfg(any(ailurus_trt = "v2", ailurus_trt = "v3"))]
macro_rules! interface {
    ($name:ident, $text:expr, $log:ident, $take_log:ident, $creators:ident, $create:ident, $destroy:ident, $copy:ident,
     $round_trip:ident, $describe:ident, $shapes:ident, $supports:ident, $workspace:ident, $enqueue:ident) => {
        unsafe extern "C" {
            fn $log(on: i32);
            fn $take_log(to: *mut c_char, room: usize);
            fn $creators(to: *mut c_char, room: usize);
            fn $create(name: *const c_char, fields: *const RawField, count: i32) -> *mut c_void;
            fn $destroy(plugin: *mut c_void);
            fn $copy(plugin: *mut c_void, for_context: i32) -> *mut c_void;
            fn $round_trip(plugin: *mut c_void, cut: i32) -> *mut c_void;
            fn $describe(plugin: *mut c_void, to: *mut c_char, room: usize);
            fn $shapes(
                plugin: *mut c_void,
                inputs: *const Tensor,
                count: i32,
                value: *const Tensor,
                to: *mut c_char,
                room: usize,
            );
            fn $supports(plugin: *mut c_void, all: *const Tensor, count: i32, inputs: i32, outputs: i32) -> i32;
            fn $workspace(
                plugin: *mut c_void,
                inputs: *const Tensor,
                input_count: i32,
                outputs: *const Tensor,
                output_count: i32,
            ) -> usize;
            fn $enqueue(
                plugin: *mut c_void,
                inputs: *const Tensor,
                input_count: i32,
                outputs: *const Tensor,
                output_count: i32,
                workspace: *mut c_void,
            ) -> i32;
        }

        static $name: Interface = Interface {
            name: $text,
            attach_log: $log,
            take_log: $take_log,
            creators: $creators,
            create: $create,
            destroy: $destroy,
            copy: $copy,
            round_trip: $round_trip,
            describe: $describe,
            shapes: $shapes,
            supports: $supports,
            workspace: $workspace,
            enqueue: $enqueue,
        };
    };
}

#[cfg(any(ailurus_trt = "v2", ailurus_trt = "v3"))]
interface!(
    BUILT,
    if cfg!(ailurus_trt = "v3") { "V3" } else { "V2" },
    ailurus_trt_bridge_attach_log,
    ailurus_trt_bridge_take_log,
    ailurus_trt_bridge_creators,
    ailurus_trt_bridge_create,
    ailurus_trt_bridge_destroy,
    ailurus_trt_bridge_copy,
    ailurus_trt_bridge_round_trip,
    ailurus_trt_bridge_describe,
    ailurus_trt_bridge_shapes,
    ailurus_trt_bridge_supports,
    ailurus_trt_bridge_workspace,
    ailurus_trt_bridge_enqueue
);

#[cfg(ailurus_trt = "v3")]
interface!(
    FORCED_V2,
    "V2",
    ailurus_trt_bridge_v2_attach_log,
    ailurus_trt_bridge_v2_take_log,
    ailurus_trt_bridge_v2_creators,
    ailurus_trt_bridge_v2_create,
    ailurus_trt_bridge_v2_destroy,
    ailurus_trt_bridge_v2_copy,
    ailurus_trt_bridge_v2_round_trip,
    ailurus_trt_bridge_v2_describe,
    ailurus_trt_bridge_v2_shapes,
    ailurus_trt_bridge_v2_supports,
    ailurus_trt_bridge_v2_workspace,
    ailurus_trt_bridge_v2_enqueue
);

/// One of the interfaces that the plugins implement.
pub struct Interface {
    /// `V2` or `V3`.
    pub name: &'static str,
    attach_log: unsafe extern "C" fn(i32),
    take_log: Text,
    creators: Text,
    create: unsafe extern "C" fn(*const c_char, *const RawField, i32) -> *mut c_void,
    destroy: unsafe extern "C" fn(*mut c_void),
    copy: unsafe extern "C" fn(*mut c_void, i32) -> *mut c_void,
    round_trip: unsafe extern "C" fn(*mut c_void, i32) -> *mut c_void,
    describe: unsafe extern "C" fn(*mut c_void, *mut c_char, usize),
    shapes: unsafe extern "C" fn(*mut c_void, *const Tensor, i32, *const Tensor, *mut c_char, usize),
    supports: unsafe extern "C" fn(*mut c_void, *const Tensor, i32, i32, i32) -> i32,
    workspace: unsafe extern "C" fn(*mut c_void, *const Tensor, i32, *const Tensor, i32) -> usize,
    enqueue: unsafe extern "C" fn(*mut c_void, *const Tensor, i32, *const Tensor, i32, *mut c_void) -> i32,
}

/// The interfaces that were compiled: that of the library, and the older one beside it. None without TensorRT's headers.
pub fn interfaces() -> Vec<&'static Interface> {
    let all: Vec<&'static Interface> = vec![
        #[cfg(any(ailurus_trt = "v2", ailurus_trt = "v3"))]
        &BUILT,
        #[cfg(ailurus_trt = "v3")]
        &FORCED_V2,
    ];
    for interface in &all {
        // SAFETY: any number is allowed.
        unsafe { (interface.attach_log)(1) }
    }
    all
}

fn count<T>(items: &[T]) -> i32 {
    i32::try_from(items.len()).expect("operators have few tensors")
}

/// The text that a function writes.
fn text(write: impl FnOnce(*mut c_char, usize)) -> String {
    let mut buffer = vec![0u8; 1 << 14];
    write(buffer.as_mut_ptr().cast(), buffer.len());
    CStr::from_bytes_until_nul(&buffer).expect("the bridge ends texts with a zero").to_string_lossy().into_owned()
}

impl Interface {
    /// Directs messages to [`Interface::log`], or to where they go when TensorRT has given no logger.
    pub fn attach_log(&self, on: bool) {
        // SAFETY: any number is allowed.
        unsafe { (self.attach_log)(i32::from(on)) }
    }

    /// What was logged on this thread since the last call: a line per message, with E for errors and W for warnings.
    pub fn log(&self) -> String {
        // SAFETY: the buffer has as much room as is said.
        text(|to, room| unsafe { (self.take_log)(to, room) })
    }

    /// The creators: name, version, namespace, and fields with their types.
    pub fn creators(&self) -> String {
        // SAFETY: the buffer has as much room as is said.
        text(|to, room| unsafe { (self.creators)(to, room) })
    }

    /// Makes a plugin, or `None` if it is refused.
    pub fn create(&self, operator: &CStr, fields: &[Field]) -> Option<Plugin<'_>> {
        let raw: Vec<RawField> = fields
            .iter()
            .map(|field| RawField {
                name: field.name.as_ptr(),
                kind: field.kind,
                data: if field.data.is_empty() { std::ptr::null() } else { field.data.as_ptr().cast() },
                length: field.length,
            })
            .collect();
        // SAFETY: texts that end with a zero, and fields that outlive the call.
        self.own(unsafe { (self.create)(operator.as_ptr(), raw.as_ptr(), count(&raw)) })
    }

    fn own(&self, plugin: *mut c_void) -> Option<Plugin<'_>> {
        (!plugin.is_null()).then(|| Plugin { interface: self, plugin })
    }
}

/// A plugin.
pub struct Plugin<'a> {
    interface: &'a Interface,
    plugin: *mut c_void,
}

impl Drop for Plugin<'_> {
    fn drop(&mut self) {
        // SAFETY: made by the bridge, and destroyed once.
        unsafe { (self.interface.destroy)(self.plugin) }
    }
}

impl Plugin<'_> {
    /// A copy as TensorRT makes it while it builds, or for a context.
    pub fn copy(&self, for_context: bool) -> Option<Self> {
        // SAFETY: the plugin lives.
        self.interface.own(unsafe { (self.interface.copy)(self.plugin, i32::from(for_context)) })
    }

    /// Written and read back, after `cut` bytes (V2) or fields (V3) were cut off.
    pub fn round_trip(&self, cut: i32) -> Option<Self> {
        // SAFETY: the plugin lives.
        self.interface.own(unsafe { (self.interface.round_trip)(self.plugin, cut) })
    }

    /// Name, version, namespace and attributes.
    pub fn describe(&self) -> String {
        // SAFETY: the plugin lives, and the buffer has as much room as is said.
        text(|to, room| unsafe { (self.interface.describe)(self.plugin, to, room) })
    }

    /// Types and shapes of the outputs, a line each; `value` is the content of a shape input.
    pub fn shapes(&self, inputs: &[Tensor], value: Option<&Tensor>) -> String {
        let value = value.map_or(std::ptr::null(), |v| v);
        // SAFETY: the plugin lives, and so do the tensors.
        text(|to, room| unsafe {
            (self.interface.shapes)(self.plugin, inputs.as_ptr(), count(inputs), value, to, room);
        })
    }

    /// Whether the last of these tensors (inputs, then outputs) may be as it is.
    pub fn supports(&self, all: &[Tensor], inputs: i32, outputs: i32) -> bool {
        // SAFETY: the plugin lives, and so do the tensors.
        unsafe { (self.interface.supports)(self.plugin, all.as_ptr(), count(all), inputs, outputs) != 0 }
    }

    /// Bytes of memory for calls of at most these sizes.
    pub fn workspace(&self, inputs: &[Tensor], outputs: &[Tensor]) -> usize {
        let (ins, outs) = (inputs.as_ptr(), outputs.as_ptr());
        // SAFETY: the plugin lives, and so do the tensors.
        unsafe { (self.interface.workspace)(self.plugin, ins, count(inputs), outs, count(outputs)) }
    }

    /// Runs the operator; false if it is refused.
    ///
    /// # Safety
    /// The tensors have memory of their sizes, and the workspace has as much as [`Plugin::workspace`] says.
    pub unsafe fn enqueue(&self, inputs: &[Tensor], outputs: &[Tensor], workspace: *mut c_void) -> bool {
        let (ins, outs) = (inputs.as_ptr(), outputs.as_ptr());
        // SAFETY: handed on to the caller.
        unsafe { (self.interface.enqueue)(self.plugin, ins, count(inputs), outs, count(outputs), workspace) == 0 }
    }
}
