//! Registration: the operators as ONNX Runtime's function tables, and the entry point that it calls.

pub(crate) mod op;

use std::ffi::CStr;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use ailurus_ops::{DOMAIN, ElementType};
use ort_sys::{OrtApiBase, OrtCustomOpDomain, OrtErrorCode, OrtSessionOptions, OrtStatusPtr};

use crate::error::{Error, Result};
use crate::operators::{OPERATORS, Provider};
use crate::ort::{API_VERSION, Api, catch};
use op::Op;

/// Makes the operators of `ai.ailurus` known to sessions that are created with these options.
///
/// ONNX Runtime calls it when the library is registered (`register_custom_ops_library`, `RegisterCustomOpsLibrary_V2`);
/// programs that link the library may call it themselves.
///
/// Returns null, or a status that the caller releases.
///
/// # Safety
/// Both pointers must be valid: session options of the ONNX Runtime whose interface `base` is. That ONNX Runtime must
/// stay loaded.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "ONNX Runtime looks for this name")]
pub unsafe extern "system" fn RegisterCustomOps(
    options: *mut OrtSessionOptions,
    base: *const OrtApiBase,
) -> OrtStatusPtr {
    // SAFETY: the caller's promise.
    let Some(base) = (unsafe { base.as_ref() }) else {
        // Without the interface there is no way to make a status.
        return OrtStatusPtr(ptr::null_mut());
    };
    // SAFETY: the version is a static C string.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) }.to_string_lossy();
    // An old release complains on the error stream when it is asked for what it does not have.
    let table = match minor(&version) {
        Some(minor) if minor < API_VERSION => ptr::null(),
        // SAFETY: returns a static table, or null.
        _ => unsafe { (base.GetApi)(API_VERSION) },
    };
    // SAFETY: a table that is not null is static.
    match unsafe { table.as_ref() } {
        Some(table) => {
            // SAFETY: asked for by this version; the caller promises that ONNX Runtime stays.
            let api = unsafe { Api::new(table) };
            // SAFETY: the options are valid.
            api.status(catch(|| unsafe { register(api, options) }), "")
        }
        // SAFETY: the interface is valid.
        None => unsafe { too_old(base, &version) },
    }
}

/// The second number of a version.
fn minor(version: &str) -> Option<u32> {
    version.split('.').nth(1)?.parse().ok()
}

/// # Safety
/// `base` must be valid.
unsafe fn too_old(base: &OrtApiBase, version: &str) -> OrtStatusPtr {
    let error = Error::TooOld { found: version.to_owned() };
    let text = std::ffi::CString::new(format!("ailurus {}: {error}", error.code())).unwrap_or_default();
    // SAFETY: the first version of the interface is in every release, and CreateStatus is its first function: its place
    // has never changed.
    unsafe {
        match (base.GetApi)(1).as_ref() {
            Some(first) => (first.CreateStatus)(OrtErrorCode::ORT_NOT_IMPLEMENTED, text.as_ptr()),
            None => OrtStatusPtr(ptr::null_mut()),
        }
    }
}

/// What has been made for one ONNX Runtime. Sessions keep pointers to it, so it is never freed (and the library, where the
/// system can do that, never unloaded: see `build.rs`).
struct Registered {
    api: Api,
    domain: *mut OrtCustomOpDomain,
}

// SAFETY: the domain is complete when it gets here, and ONNX Runtime only reads it.
unsafe impl Send for Registered {}

/// One entry per ONNX Runtime in the process, of which there is mostly one.
static REGISTERED: Mutex<Vec<Registered>> = Mutex::new(Vec::new());

/// # Safety
/// `options` must be valid.
unsafe fn register(api: Api, options: *mut OrtSessionOptions) -> Result<()> {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    let domain = match registered.iter().find(|r| r.api.is(api)) {
        Some(known) => known.domain,
        None => {
            let domain = domain(api)?;
            registered.push(Registered { api, domain });
            domain
        }
    };
    // SAFETY: options and domain are valid.
    api.check(unsafe { (api.AddCustomOpDomain)(options, domain) })
}

/// The domain with all operators, in every element type and for every provider. A provider that an ONNX Runtime does not
/// have does no harm.
fn domain(api: Api) -> Result<*mut OrtCustomOpDomain> {
    let name = std::ffi::CString::new(DOMAIN).unwrap_or_default();
    let mut domain = ptr::null_mut();
    // SAFETY: the name is copied.
    api.check(unsafe { (api.CreateCustomOpDomain)(name.as_ptr(), &mut domain) })?;
    for operator in &OPERATORS {
        for element in [ElementType::F32, ElementType::F16] {
            for provider in Provider::ALL {
                let op = Op::leak(api, operator, *provider, element);
                // SAFETY: both are valid, and the operator is never freed.
                api.check(unsafe { (api.CustomOpDomain_Add)(domain, op) })?;
            }
        }
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(minor("1.17.3"), Some(17));
        assert_eq!(minor("1.31.1-dev"), Some(31));
        assert_eq!(minor("nonsense"), None);
    }
}
