//! Copying between files without moving the bytes through this process.

use std::{fs::File, io};

/// Copies `length` bytes at `offset` of `from` to the position of `to`. Gives the number of bytes copied, which is
/// smaller where the system or the file systems cannot do it: the caller copies the rest by hand.
#[cfg(target_os = "linux")]
pub fn copy(from: &File, offset: u64, to: &File, length: u64) -> io::Result<u64> {
    use std::os::fd::AsRawFd;
    let mut done = 0u64;
    while done < length {
        let Ok(mut position) = libc::off64_t::try_from(offset + done) else { break };
        let part = (length - done).min(1 << 30) as usize;
        // SAFETY: both descriptors belong to open files, and `position` outlives the call.
        let copied = unsafe {
            libc::copy_file_range(from.as_raw_fd(), &mut position, to.as_raw_fd(), std::ptr::null_mut(), part, 0)
        };
        match copied {
            1.. => done += copied as u64,
            0 => break,
            _ => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // other file systems, old kernels, sandboxes
                    Some(
                        libc::EXDEV
                        | libc::EINVAL
                        | libc::ENOSYS
                        | libc::EOPNOTSUPP
                        | libc::EPERM
                        | libc::EBADF
                        | libc::ETXTBSY,
                    ) => break,
                    _ => return Err(error),
                }
            }
        }
    }
    Ok(done)
}

/// Nothing of the kind elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn copy(_from: &File, _offset: u64, _to: &File, _length: u64) -> io::Result<u64> {
    Ok(0)
}
