//! Files without a name: what ends this process in the middle of a write, takes them along.

use std::{fs::File, io, path::Path};

/// Creates a file in a folder that gets its name later; `None` where the system or the file system has no such thing.
#[cfg(target_os = "linux")]
pub fn create(folder: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).write(true).custom_flags(libc::O_TMPFILE).open(folder).ok()?;
    // without it the file could never be named
    entry(&file).exists().then_some(file)
}

/// Gives such a file its name, which nothing may have yet.
#[cfg(target_os = "linux")]
pub fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::{ffi::CString, os::unix::ffi::OsStrExt};
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (from, to) = (text(&entry(file))?, text(path)?);
    // SAFETY: both paths are texts that outlive the call.
    let done =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What stands for an open file among the files of this process.
#[cfg(target_os = "linux")]
fn entry(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Nothing of the kind elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn create(_folder: &Path) -> Option<File> {
    None
}

/// Nothing of the kind elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
