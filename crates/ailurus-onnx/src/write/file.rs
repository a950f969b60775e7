//! Files that appear complete or not at all.

use super::rope::{Piece, Rope};
use super::{in_kernel, unnamed};
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

/// A file that is not at its destination yet: without a name where the system can do that, else under a temporary one in
/// the same folder. Gone unless it is kept.
#[derive(Debug)]
pub struct Pending {
    /// Its name so far, if it has one.
    temporary: Option<PathBuf>,
    destination: PathBuf,
    file: File,
    buffer: Vec<u8>,
    written: u64,
    backup: Option<PathBuf>,
    /// It is at a destination where nothing was before.
    new: bool,
    placed: bool,
}

/// Where a file is to go, and the permissions of what is there.
struct Destination {
    path: PathBuf,
    mode: Option<fs::Permissions>,
}

impl Destination {
    fn of(path: &Path) -> Result<Self> {
        let fail = |source| failed("create", path, source);
        // a symbolic link at the destination stays one: what it points to is replaced
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let meta = fs::metadata(&path).ok();
        if meta.as_ref().is_some_and(|m| !m.is_file()) {
            return Err(fail(io::Error::other("it exists and is not a regular file")));
        }
        if path.file_name().is_none() {
            return Err(fail(io::Error::other("it has no file name")));
        }
        Ok(Self { path, mode: meta.map(|m| m.permissions()) })
    }

    /// The path with another name.
    fn beside(path: &Path) -> PathBuf {
        path.with_file_name(temporary_name(path.file_name().unwrap_or_default()))
    }
}

/// Fails where a file cannot be created for a reason that shows without creating it.
pub fn check(destination: &Path) -> Result<()> {
    let path = Destination::of(destination)?.path;
    let folder = folder(&path);
    let source = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => io::Error::other("its folder is a file"),
        Err(error) => error,
    };
    Err(failed("create", destination, source))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Pending {
    /// Begins a file.
    pub fn create(destination: &Path) -> Result<Self> {
        let Destination { path, mode } = Destination::of(destination)?;
        let (file, temporary) = match unnamed::create(folder(&path)) {
            Some(file) => (file, None),
            None => named(&path).map_err(|source| failed("create", destination, source))?,
        };
        let new = mode.is_none();
        let (buffer, backup) = (Vec::new(), None);
        let pending = Self { temporary, destination: path, file, buffer, written: 0, backup, new, placed: false };
        if let Some(mode) = mode {
            pending.file.set_permissions(mode).map_err(|e| pending.failed("set permissions of", e))?;
        }
        Ok(pending)
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
        if self.destination.exists() {
            let backup = Destination::beside(&self.destination);
            // a second name for the old file, so that there is no moment without one
            if fs::hard_link(&self.destination, &backup).is_ok() {
                self.backup = Some(backup);
            }
        } else if self.temporary.is_none() && unnamed::link(&self.file, &self.destination).is_ok() {
            self.placed = true;
            return Ok(());
        }
        let temporary = match self.temporary.clone() {
            Some(temporary) => temporary,
            // a name can be given only where there is none, but taken from elsewhere: a moment later it is the other one's
            None => {
                let temporary = Destination::beside(&self.destination);
                unnamed::link(&self.file, &temporary).map_err(|e| self.failed("name", e))?;
                self.temporary.insert(temporary).clone()
            }
        };
        fs::rename(&temporary, &self.destination).map_err(|e| self.failed("replace", e))?;
        self.temporary = None;
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
        self.temporary = None;
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
                if let Some(temporary) = self.temporary.take() {
                    let _ = fs::remove_file(temporary);
                }
            }
        }
    }
}

/// A file under a temporary name beside the destination.
fn named(destination: &Path) -> io::Result<(File, Option<PathBuf>)> {
    for _ in 0..100 {
        let temporary = Destination::beside(destination);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, Some(temporary))),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("no free temporary name in the folder"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// A process that is ended while it writes leaves what is in the folder at that moment.
    #[test]
    fn nothing_shows_before_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        for before in [None, Some("old")] {
            let path = dir.path().join("out");
            if let Some(old) = before {
                fs::write(&path, old).unwrap();
            }
            let names = listing(dir.path());
            let mut pending = Pending::create(&path).unwrap();
            pending.bytes(b"new").unwrap();
            pending.finish(true).unwrap();
            if pending.temporary.is_none() {
                assert_eq!(listing(dir.path()), names);
            }
            drop(pending);
            assert_eq!(listing(dir.path()), names);
            let mut pending = Pending::create(&path).unwrap();
            pending.bytes(b"new").unwrap();
            pending.finish(false).unwrap();
            pending.place().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            pending.keep();
            assert_eq!(listing(dir.path()), ["out"]);
        }
    }

    #[test]
    fn placed_files_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for before in [None, Some("old")] {
            if let Some(old) = before {
                fs::write(&path, old).unwrap();
            }
            let mut pending = Pending::create(&path).unwrap();
            pending.bytes(b"new").unwrap();
            pending.finish(false).unwrap();
            pending.place().unwrap();
            drop(pending);
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), before);
        }
    }

    /// Where files without a name do not exist.
    #[test]
    fn named_files_behave_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let (file, temporary) = named(&path).unwrap();
        let (buffer, destination) = (Vec::new(), path.clone());
        let mut pending =
            Pending { temporary, destination, file, buffer, written: 0, backup: None, new: true, placed: false };
        assert_eq!(listing(dir.path()).len(), 1);
        pending.bytes(b"new").unwrap();
        pending.finish(false).unwrap();
        pending.place().unwrap();
        pending.keep();
        assert_eq!((listing(dir.path()), fs::read(&path).unwrap()), (vec!["out".to_owned()], b"new".to_vec()));
    }
}
