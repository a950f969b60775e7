//! External data: what stays, what is copied, and what moves to one file.

use super::ExternalData;
use super::file::Pending;
use super::places::{Places, each_tensor};
use crate::error::{Error, Result};
use crate::{Model, Storage};
use indexmap::{IndexMap, IndexSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Tensors from this size start at a page, smaller ones at a cache line.
const PAGE_FROM: u64 = 1 << 20;
const PAGE: u64 = 4096;
const LINE: u64 = 64;

type Key = (String, u64, u64);

/// Files to write beside the model, and where its payloads go.
pub struct Plan<'a> {
    model: &'a Model,
    /// New places of payloads.
    pub places: Places,
    output: PathBuf,
    folder: PathBuf,
    /// External payloads of the model with the first tensor that uses each.
    tensors: IndexMap<Key, String>,
    files: Vec<DataFile>,
}

struct DataFile {
    path: PathBuf,
    end: u64,
    parts: Vec<(u64, Part)>,
}

enum Part {
    Whole { tensor: String, location: String },
    External { tensor: String, location: String, offset: u64, length: u64 },
    Source(Range<u64>),
}

/// Data files a model refers to, each once.
pub fn data_files(model: &Model) -> IndexSet<PathBuf> {
    let Some(folder) = &model.source.folder else { return IndexSet::new() };
    let mut out = IndexSet::new();
    each_tensor(model, &mut |t| {
        if let Storage::External { location, .. } = &t.storage {
            out.insert(folder.join(location));
        }
    });
    out
}

impl<'a> Plan<'a> {
    /// Nothing moves yet.
    pub fn new(model: &'a Model, output: &Path) -> Result<Self> {
        let folder = match output.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
            _ => PathBuf::from("."),
        };
        let fail = |source| Error::Write { action: "write to folder", path: folder.clone(), source };
        let real = folder.canonicalize().map_err(fail)?;
        let mut tensors = IndexMap::new();
        each_tensor(model, &mut |t| {
            if let Storage::External { location, offset, length } = &t.storage {
                tensors.entry((location.clone(), *offset, *length)).or_insert_with(|| t.name.clone());
            }
        });
        let output = output.to_owned();
        Ok(Self { model, places: Places::default(), output, folder: real, tensors, files: Vec::new() })
    }

    /// Decides about external data.
    pub fn external(&mut self, mode: ExternalData) -> Result<()> {
        if self.tensors.is_empty() {
            return Ok(());
        }
        let from = self.model.source.folder.as_ref().and_then(|f| f.canonicalize().ok());
        match (mode, from) {
            // made in memory: its references can only be meant relative to the output
            (ExternalData::Keep, None) => Ok(()),
            (ExternalData::Keep | ExternalData::Copy, Some(from)) if from == self.folder => Ok(()),
            (ExternalData::Keep, Some(from)) => self.refer(&from),
            (ExternalData::Inline, _) => {
                for ((location, offset, length), tensor) in &self.tensors {
                    self.check(tensor, location, *offset, *length)?;
                }
                self.places.embed();
                Ok(())
            }
            (ExternalData::Copy, _) => self.copy(),
            (ExternalData::Single, _) => self.gather(),
        }
    }

    /// Refers to files that lie inside the output's folder by their new relative paths.
    fn refer(&mut self, from: &Path) -> Result<()> {
        for (location, offset, length) in self.tensors.keys() {
            let data = from.join(location);
            let relative = data.strip_prefix(&self.folder).ok().and_then(|p| p.to_str());
            let Some(relative) = relative else {
                return Err(Error::ExternalOutside { data, folder: self.folder.clone() });
            };
            let to = Storage::External { location: relative.to_owned(), offset: *offset, length: *length };
            self.places.move_external((location.clone(), *offset, *length), to);
        }
        Ok(())
    }

    /// Copies every data file.
    fn copy(&mut self) -> Result<()> {
        let mut names: IndexMap<String, String> = IndexMap::new();
        for ((location, offset, length), tensor) in self.tensors.clone() {
            self.check(&tensor, &location, offset, length)?;
            let name = match names.get(&location) {
                Some(name) => name.clone(),
                None => {
                    let name = self.new_file()?;
                    let part = Part::Whole { tensor, location: location.clone() };
                    if let Some(file) = self.files.last_mut() {
                        file.parts.push((0, part));
                    }
                    names.insert(location.clone(), name.clone());
                    name
                }
            };
            self.places.move_external((location, offset, length), Storage::External { location: name, offset, length });
        }
        Ok(())
    }

    /// Gathers all external tensors in one file.
    fn gather(&mut self) -> Result<()> {
        let name = self.new_file()?;
        let mut sizes: IndexMap<String, u64> = IndexMap::new();
        for ((location, offset, length), tensor) in self.tensors.clone() {
            let size = self.check(&tensor, &location, offset, length)?;
            sizes.insert(location.clone(), size);
            let part = Part::External { tensor, location: location.clone(), offset, length };
            let at = self.append(length, part);
            let to = Storage::External { location: name.clone(), offset: at, length };
            self.places.move_external((location, offset, length), to);
        }
        // a few bytes of model can name the same gigabytes over and over
        let (total, end) = (sizes.values().sum::<u64>(), self.files.last().map_or(0, |f| f.end));
        let slack = self.tensors.len() as u64 * PAGE;
        if end > total.saturating_mul(4).saturating_add(slack) {
            let what = format!("external data whose tensors overlap so much that {total} bytes become {end}");
            return Err(Error::Unsupported { what });
        }
        Ok(())
    }

    /// Moves the large payloads of the model file out of it.
    pub fn spill(&mut self) -> Result<()> {
        let mut ranges = IndexMap::new();
        each_tensor(self.model, &mut |t| {
            if let Storage::Source(range) = &t.storage {
                ranges.insert(range.start, range.clone());
            }
        });
        if ranges.is_empty() {
            return Ok(());
        }
        let name = self.new_file()?;
        for (start, range) in ranges {
            let length = range.end - range.start;
            let offset = self.append(length, Part::Source(range));
            self.places.move_inline(start, Storage::External { location: name.clone(), offset, length });
        }
        Ok(())
    }

    fn append(&mut self, length: u64, part: Part) -> u64 {
        let Some(file) = self.files.last_mut() else { return 0 };
        let align = if length >= PAGE_FROM { PAGE } else { LINE };
        let at = file.end.next_multiple_of(align);
        file.end = at.saturating_add(length);
        file.parts.push((at, part));
        at
    }

    /// Checks that a payload exists, and gives the size of its file.
    fn check(&self, tensor: &str, location: &str, offset: u64, length: u64) -> Result<u64> {
        let (path, file) = self.model.source.open_external(tensor, location)?;
        let fail = |source| Error::ExternalOpen { tensor: tensor.into(), path: path.clone(), source };
        let have = file.metadata().map_err(fail)?.len();
        let need = offset.saturating_add(length);
        if need > have {
            return Err(Error::ExternalShort { tensor: tensor.into(), path, have, need });
        }
        Ok(have)
    }

    /// Begins a data file named after the output; a file that the model reads is never chosen.
    fn new_file(&mut self) -> Result<String> {
        let refuse = |reason: &str| Error::edit(format!("`{}` {reason}", self.output.display()));
        let base = self.output.file_name().ok_or_else(|| refuse("has no file name"))?;
        let base = base.to_str().ok_or_else(|| refuse("is not UTF-8, which external data paths must be"))?;
        let read: Vec<PathBuf> = data_files(self.model).iter().filter_map(|p| p.canonicalize().ok()).collect();
        for number in 0..=self.files.len() + read.len() {
            let name = if number == 0 { format!("{base}.data") } else { format!("{base}.data.{number}") };
            let path = self.folder.join(&name);
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if !read.contains(&real) && !self.files.iter().any(|f| f.path == path) {
                self.files.push(DataFile { path, end: 0, parts: Vec::new() });
                return Ok(name);
            }
        }
        Err(refuse("leaves no free name for its data"))
    }

    /// Writes the data files under temporary names.
    pub fn write(&self, sync: bool) -> Result<Vec<(PathBuf, Pending)>> {
        let mut out = Vec::new();
        for file in &self.files {
            let mut pending = Pending::create(&file.path)?;
            for (at, part) in &file.parts {
                pending.pad_to(*at)?;
                match part {
                    Part::Source(range) => {
                        pending.range(&self.model.source, range.start as usize..range.end as usize)?;
                    }
                    Part::External { tensor, location, offset, length } => {
                        let (_, from) = self.model.source.open_external(tensor, location)?;
                        pending.external(&from, *offset, *length)?;
                    }
                    Part::Whole { tensor, location } => {
                        let (path, from) = self.model.source.open_external(tensor, location)?;
                        let fail = |source| Error::ExternalOpen { tensor: tensor.clone(), path, source };
                        let length = from.metadata().map_err(fail)?.len();
                        pending.external(&from, 0, length)?;
                    }
                }
            }
            pending.finish(sync)?;
            out.push((file.path.clone(), pending));
        }
        Ok(out)
    }
}
