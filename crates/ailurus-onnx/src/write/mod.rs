//! Writing models: unchanged parts are spliced from the source, files appear complete or not at all.

mod encode;
mod external;
mod file;
mod graph;
mod in_kernel;
mod places;
mod rope;
mod splice;
mod unnamed;

use crate::Model;
use crate::error::{Error, Result};
use external::Plan;
use file::Pending;
use places::Places;
use rope::Piece;
use splice::Splicer;
use std::path::{Path, PathBuf};

/// Largest message that protobuf readers accept.
const MESSAGE_LIMIT: u64 = i32::MAX as u64;

/// True when the model would be written as the bytes it was read from.
pub fn is_unchanged(model: &Model) -> Result<bool> {
    let places = Places::default();
    let rope = Splicer::new(model, &places).model()?;
    Ok(rope.is_source(&(0..model.source.data().len())))
}

/// What happens to external data files of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalData {
    /// The output refers to the files where they are. They must lie inside the output's folder.
    #[default]
    Keep,
    /// The files are copied beside the output as `<output>.data`, `<output>.data.1`, …
    Copy,
    /// The tensors are gathered in one file `<output>.data`, aligned for memory mapping.
    Single,
    /// The tensors move into the model file, which must stay under 2 GB.
    Inline,
}

/// How to write a model.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// What happens to external data.
    pub external_data: ExternalData,
    /// Allows the output to replace the file the model was loaded from.
    pub overwrite_source: bool,
    /// Largest model file; a bigger one has its large tensors moved to `<output>.data`. Never more than 2 GB.
    pub max_inline: u64,
    /// Waits until the data is on the disk before the file gets its name.
    pub sync: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { external_data: ExternalData::Keep, overwrite_source: false, max_inline: MESSAGE_LIMIT, sync: true }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteReport {
    /// Model file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How much of it came unchanged from the source.
    pub spliced: u64,
    /// External data files written, with sizes.
    pub data_files: Vec<(PathBuf, u64)>,
    /// True when tensors were moved out because the file would have exceeded the limit.
    pub spilled: bool,
}

/// What a file holds of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The model itself.
    Model,
    /// Data of its tensors.
    Data,
}

impl Model {
    /// Writes the model. Either all files are complete at the end or nothing changed.
    pub fn write(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<WriteReport> {
        let path = path.as_ref();
        self.refuse_source(path, options)?;
        let mut plan = Plan::new(self, path)?;
        plan.external(options.external_data)?;
        let mut rope = Splicer::new(self, &plan.places).model()?;
        let limit = options.max_inline.min(MESSAGE_LIMIT);
        let spilled = rope.len() > limit;
        if spilled {
            plan.spill()?;
            rope = Splicer::new(self, &plan.places).model()?;
        }
        if rope.len() > limit {
            return Err(Error::TooLarge { path: path.to_owned(), bytes: rope.len() });
        }
        let mut files = plan.write(options.sync)?;
        let mut data_files = Vec::new();
        for (path, file) in &files {
            data_files.push((path.clone(), file.written()));
        }
        let mut main = Pending::create(path)?;
        main.rope(&rope, &self.source)?;
        main.finish(options.sync)?;
        for (_, file) in &mut files {
            file.place()?;
        }
        main.place()?;
        files.into_iter().for_each(|(_, file)| file.keep());
        main.keep();
        let spliced = rope.pieces.iter().map(|p| if let Piece::Source(r) = p { r.len() as u64 } else { 0 }).sum();
        Ok(WriteReport { path: path.to_owned(), bytes: rope.len(), spliced, data_files, spilled })
    }

    /// The model file as bytes. External data stays where it is.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let places = Places::default();
        let rope = Splicer::new(self, &places).model()?;
        if rope.len() > MESSAGE_LIMIT {
            return Err(Error::TooLarge { path: PathBuf::from("<memory>"), bytes: rope.len() });
        }
        let mut out = Vec::with_capacity(rope.len() as usize);
        for piece in &rope.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Shared(bytes) => out.extend_from_slice(bytes),
                Piece::Source(range) => out.extend_from_slice(&self.source.data()[range.clone()]),
                Piece::External(e) => {
                    out.extend(self.source.read_external(&e.tensor, &e.location, e.offset, e.length)?);
                }
            }
        }
        Ok(out)
    }

    /// Refuses to write over the files that are being read.
    fn refuse_source(&self, path: &Path, options: &WriteOptions) -> Result<()> {
        let same = |replaceable| Err(Error::SameFile { path: path.to_owned(), replaceable });
        match self.reads(path) {
            Some(Reads::Model) if !options.overwrite_source => same(true),
            Some(Reads::Data) => same(false),
            _ => Ok(()),
        }
    }

    /// What of this model a file holds, if anything.
    fn reads(&self, path: &Path) -> Option<Reads> {
        let path = path.canonicalize().ok()?;
        let same = |other: &Path| other.canonicalize().is_ok_and(|other| other == path);
        // data first: a file that is both must never be replaced
        if external::data_files(self).iter().any(|data| same(data)) {
            return Some(Reads::Data);
        }
        self.source.path.as_deref().is_some_and(same).then_some(Reads::Model)
    }

    /// True when the model is read from this file: it is the model file, or holds data of its tensors.
    pub fn is_read_from(&self, path: impl AsRef<Path>) -> bool {
        self.reads(path.as_ref()).is_some()
    }

    /// Finds out whether a file can be there at all: a folder is missing, something else is in the way, or the model is
    /// read from it.
    ///
    /// # Errors
    /// What writing would fail with.
    pub fn check_output(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        self.refuse_source(path.as_ref(), options)?;
        file::check(path.as_ref())
    }

    /// Finds out what would keep [`Model::write`] from writing there, as far as that shows without writing.
    ///
    /// # Errors
    /// What writing would fail with.
    pub fn check_write(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        self.check_output(&path, options)?;
        Plan::new(self, path.as_ref())?.external(options.external_data)
    }
}
