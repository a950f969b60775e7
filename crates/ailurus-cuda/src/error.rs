//! Errors of this crate. Codes are stable; `AIL08xx` belongs to the launcher.

use std::ffi::CStr;

use crate::sys;

/// What the launcher objects to: `ailurus_cuda_status` in `launcher/ailurus_cuda.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The CUDA driver library cannot be loaded.
    NoLibrary,
    /// The CUDA driver library lacks a function.
    OldLibrary,
    /// The driver finds no usable device.
    NoDevice,
    /// No context is current on this thread.
    NoContext,
    /// The kernels cannot be loaded into the context.
    NoKernels,
    /// A parameter is outside its range.
    BadParameter,
    /// A size is not positive, or sizes contradict each other.
    BadShape,
    /// Sizes are beyond what the kernels can count.
    TooLarge,
    /// A pointer is null or not aligned to its elements.
    BadPointer,
    /// The workspace is too small.
    SmallWorkspace,
    /// The element type is unknown.
    BadType,
    /// The driver returned an error.
    Driver,
    /// A number that this crate does not know, from a launcher of another version.
    Unknown(i32),
}

impl Status {
    /// All there are, in the order of their numbers, from 1 on.
    pub const ALL: [Self; 12] = [
        Self::NoLibrary,
        Self::OldLibrary,
        Self::NoDevice,
        Self::NoContext,
        Self::NoKernels,
        Self::BadParameter,
        Self::BadShape,
        Self::TooLarge,
        Self::BadPointer,
        Self::SmallWorkspace,
        Self::BadType,
        Self::Driver,
    ];

    /// From the number that a C function returned; `None` for OK.
    pub fn from_raw(raw: i32) -> Option<Self> {
        match raw {
            0 => None,
            1..=12 => Some(Self::ALL[raw as usize - 1]),
            other => Some(Self::Unknown(other)),
        }
    }

    /// The number in C.
    pub fn raw(self) -> i32 {
        match self {
            Self::Unknown(raw) => raw,
            known => Self::ALL.iter().position(|&s| s == known).map_or(-1, |at| at as i32 + 1),
        }
    }

    /// The stable code, such as `AIL0801`.
    pub fn code(self) -> &'static str {
        // SAFETY: any number is allowed.
        text(unsafe { sys::ailurus_cuda_status_code(self.raw()) })
    }

    /// The identifier in C without its prefix, such as `NO_LIBRARY`.
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed.
        text(unsafe { sys::ailurus_cuda_status_name(self.raw()) })
    }

    /// What it means, in a sentence.
    pub fn message(self) -> &'static str {
        // SAFETY: any number is allowed.
        text(unsafe { sys::ailurus_cuda_status_message(self.raw()) })
    }
}

/// A text of the launcher that is never freed.
fn text(from: *const std::ffi::c_char) -> &'static str {
    // SAFETY: the launcher returns literals, which end with a zero and are never freed.
    unsafe { CStr::from_ptr(from) }.to_str().unwrap_or("")
}

/// What can go wrong with a call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The launcher refused or failed.
    #[error("{}: {detail}", .status.message())]
    Launcher {
        /// Which error.
        status: Status,
        /// What in particular.
        detail: String,
    },
    /// The parameters of the operator are not valid.
    #[error(transparent)]
    Operator(#[from] ailurus_ops::Error),
}

impl Error {
    /// The stable code, for documentation and `ailurus explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Launcher { status, .. } => status.code(),
            Self::Operator(error) => error.code(),
        }
    }
}

/// Result with [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Turns what a C function returned into a result.
pub(crate) fn check(raw: i32) -> Result<()> {
    match Status::from_raw(raw) {
        None => Ok(()),
        Some(status) => {
            // SAFETY: valid until this thread's next call of the launcher, and copied before that.
            let detail = unsafe { CStr::from_ptr(sys::ailurus_cuda_last_error()) }.to_string_lossy().into_owned();
            Err(Error::Launcher { status, detail })
        }
    }
}
