//! Files that appear complete or not at all.

use super::in_kernel;
use super::rope::{Piece, Rope};
use crate::error::{Error, Result};
use crate::source::{Source, read_at};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Shorter ranges go through the buffer.
const SPLICE: usize = 1 << 16;
const BUFFER: usize = 1 << 18;

/// A file under a temporary name in the folder of its destination; removed unless it is kept.
#[derive(Debug)]
pub struct Pending {
    temporary: PathBuf,
    destination: PathBuf,
    file: File,
    buffer: Vec<u8>,
    written: u64,
    backup: Option<PathBuf>,
    /// It is at a destination where nothing was before.
    new: bool,
    placed: bool,
}

impl Pending {
    /// Creates the temporary file.
    pub fn create(destination: &Path) -> Result<Self> {
        let fail = |source| failed("create", destination, source);
        // a symbolic link at the destination stays one: what it points to is replaced
        let destination = destination.canonicalize().unwrap_or_else(|_| destination.to_owned());
        let mut mode = None;
        if let Ok(meta) = fs::metadata(&destination) {
            if !meta.is_file() {
                return Err(fail(io::Error::other("it exists and is not a regular file")));
            }
            mode = Some(meta.permissions());
        }
        let name = destination.file_name().ok_or_else(|| fail(io::Error::other("it has no file name")))?;
        for _ in 0..100 {
            let temporary = destination.with_file_name(temporary_name(name));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let pending = Self {
                        temporary,
                        destination,
                        file,
                        buffer: Vec::new(),
                        written: 0,
                        backup: None,
                        new: mode.is_none(),
                        placed: false,
                    };
                    if let Some(mode) = mode {
                        pending.file.set_permissions(mode).map_err(|e| pending.failed("set permissions of", e))?;
                    }
                    return Ok(pending);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Err(fail(io::Error::other("no free temporary name in the folder")))
    }

    /// Writes a rope.
    pub fn rope(&mut self, rope: &Rope, source: &Source) -> Result<()> {
        // neighbours nearly always lie in the same file
        let mut opened: Option<(String, File)> = None;
        for piece in &rope.pieces {
            match piece {
                Piece::Bytes(bytes) => self.bytes(bytes)?,
                Piece::Shared(bytes) => self.bytes(bytes)?,
                Piece::Source(range) => self.range(source, range.clone())?,
                Piece::External(e) => {
                    if opened.as_ref().is_none_or(|(location, _)| *location != e.location) {
                        opened = Some((e.location.clone(), source.open_external(&e.tensor, &e.location)?.1));
                    }
                    if let Some((_, file)) = &opened {
                        self.external(file, e.offset, e.length)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            let result = self.file.write_all(bytes);
            return result.map_err(|e| self.failed("write", e));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a range of the source, inside the kernel where that works.
    pub fn range(&mut self, source: &Source, range: Range<usize>) -> Result<()> {
        let bytes = source.data().get(range.clone());
        let bytes = bytes.ok_or_else(|| Error::malformed(range.start, "range outside the file"))?;
        match source.file() {
            Some(file) if bytes.len() >= SPLICE => {
                let done = self.copy_from(file, range.start as u64, bytes.len() as u64)?;
                self.bytes(&bytes[done as usize..])
            }
            _ => self.bytes(bytes),
        }
    }

    /// Writes a range of another file.
    pub fn external(&mut self, file: &File, offset: u64, length: u64) -> Result<()> {
        let mut done = if length >= SPLICE as u64 { self.copy_from(file, offset, length)? } else { 0 };
        let mut buffer = vec![0; BUFFER.min((length - done) as usize)];
        while done < length {
            let part = &mut buffer[..BUFFER.min((length - done) as usize)];
            read_at(file, part, offset + done).map_err(|e| self.failed("copy external data to", e))?;
            done += part.len() as u64;
            self.bytes(part)?;
        }
        Ok(())
    }

    /// Fills up with zeros.
    pub fn pad_to(&mut self, position: u64) -> Result<()> {
        let zeros = [0u8; 4096];
        while self.written < position {
            self.bytes(&zeros[..zeros.len().min((position - self.written) as usize)])?;
        }
        Ok(())
    }

    /// Copies inside the kernel as far as it goes; the caller writes the rest.
    fn copy_from(&mut self, file: &File, offset: u64, length: u64) -> Result<u64> {
        self.flush()?;
        let done = in_kernel::copy(file, offset, &self.file, length).map_err(|e| self.failed("write", e))?;
        self.written += done;
        Ok(done)
    }

    fn flush(&mut self) -> Result<()> {
        let result = self.file.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(|e| self.failed("write", e))
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Ends the writing; with `sync` waits until everything is on the disk.
    pub fn finish(&mut self, sync: bool) -> Result<()> {
        self.flush()?;
        if sync { self.file.sync_all().map_err(|e| self.failed("write", e)) } else { Ok(()) }
    }

    /// Puts the file at its destination. Until [`Pending::keep`] it can be taken back.
    pub fn place(&mut self) -> Result<()> {
        if let Some(name) = self.destination.file_name().filter(|_| self.destination.exists()) {
            let backup = self.destination.with_file_name(temporary_name(name));
            // a second name for the old file, so that there is no moment without one
            if fs::hard_link(&self.destination, &backup).is_ok() {
                self.backup = Some(backup);
            }
        }
        fs::rename(&self.temporary, &self.destination).map_err(|e| self.failed("replace", e))?;
        self.placed = true;
        Ok(())
    }

    /// Makes it final.
    pub fn keep(mut self) {
        if let Some(backup) = self.backup.take() {
            let _ = fs::remove_file(backup);
        }
        if let Some(folder) = self.destination.parent()
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        self.placed = false;
        self.temporary = PathBuf::new();
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        failed(action, &self.destination, source)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // errors have nowhere to go from here, and the destination is as it was in any case
        match (self.placed, self.backup.take()) {
            (true, Some(backup)) => {
                let _ = fs::rename(backup, &self.destination);
            }
            (true, None) if self.new => {
                let _ = fs::remove_file(&self.destination);
            }
            // a file system without hard links: better the new file than none
            (true, None) => {}
            (false, backup) => {
                if let Some(backup) = backup {
                    let _ = fs::remove_file(backup);
                }
                if !self.temporary.as_os_str().is_empty() {
                    let _ = fs::remove_file(&self.temporary);
                }
            }
        }
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Write { action, path: path.to_owned(), source }
}

fn temporary_name(name: &std::ffi::OsStr) -> std::ffi::OsString {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut temporary = std::ffi::OsString::from(".");
    // long names may fill the limit of the file system on their own
    temporary.push(if name.len() > 200 { std::ffi::OsStr::new("ailurus") } else { name });
    temporary.push(format!(".{}-{count}.tmp", std::process::id()));
    temporary
}
