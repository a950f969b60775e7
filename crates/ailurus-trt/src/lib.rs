//! `libailurus_trt`: the operators of `ai.ailurus` as plugins of TensorRT.
//!
//! The plugins (`plugin/`) are C++ on the C interface of `ailurus-cuda`, which starts the kernels. One source serves every
//! TensorRT: `IPluginV3` from 10 on and for TensorRT for RTX, `IPluginV2DynamicExt` for 8.6; which one the library has
//! depends on the headers it was compiled with (see `build.rs`). It needs nothing of TensorRT to be loaded, and registers
//! nothing by itself: TensorRT does, with `trtexec --dynamicPlugins`, `IPluginRegistry::loadLibrary` or their like.
//!
//! `docs/tensorrt.md` says how to use it.

mod exports;
pub mod sources;

#[cfg(feature = "bridge")]
pub mod bridge;

// The plugins call its functions by their names in C.
use ailurus_cuda as _;

/// The interface that this library implements: 2 for `IPluginV2DynamicExt`, 3 for `IPluginV3`; `None` if it was built
/// without TensorRT's headers and holds no plugins.
pub const INTERFACE: Option<u32> = if cfg!(ailurus_trt = "v3") {
    Some(3)
} else if cfg!(ailurus_trt = "v2") {
    Some(2)
} else {
    None
};
