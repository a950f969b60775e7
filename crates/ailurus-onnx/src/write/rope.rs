//! Output under construction: pieces made here, and pieces that are copied from the source.

use crate::wire::{put_int, put_varint};
use std::{ops::Range, sync::Arc};

/// A piece of the output.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Bytes made here.
    Bytes(Vec<u8>),
    /// Bytes of a tensor made here.
    Shared(Arc<[u8]>),
    /// A range of the source.
    Source(Range<usize>),
    /// A range of an external data file.
    External(External),
}

/// A range of an external data file of the source.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    /// Tensor, for messages.
    pub tensor: String,
    /// File, relative to the model's folder.
    pub location: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// A sequence of pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rope {
    /// The pieces.
    pub pieces: Vec<Piece>,
    len: u64,
}

impl Rope {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Appends a range of the source.
    pub fn source(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.len += range.len() as u64;
        match self.pieces.last_mut() {
            Some(Piece::Source(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Source(range)),
        }
    }

    /// Appends bytes through a function that writes them.
    pub fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.pieces.last(), Some(Piece::Bytes(_))) {
            self.pieces.push(Piece::Bytes(Vec::new()));
        }
        if let Some(Piece::Bytes(bytes)) = self.pieces.last_mut() {
            let before = bytes.len();
            write(bytes);
            self.len += (bytes.len() - before) as u64;
        }
    }

    /// Appends a varint field.
    pub fn int(&mut self, number: u32, value: i64) {
        self.put(|b| put_int(b, number, value as u64));
    }

    /// Appends a string field.
    pub fn text(&mut self, number: u32, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    /// Appends a byte string field.
    pub fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.put(|b| crate::wire::put_bytes(b, number, bytes));
    }

    /// Appends a string field unless the string is empty.
    pub fn text_if(&mut self, number: u32, text: &str) {
        if !text.is_empty() {
            self.text(number, text);
        }
    }

    /// Appends a byte string field without copying the bytes.
    pub fn shared(&mut self, number: u32, bytes: &Arc<[u8]>) {
        self.header(number, bytes.len() as u64);
        self.len += bytes.len() as u64;
        self.pieces.push(Piece::Shared(bytes.clone()));
    }

    /// Appends a byte string field whose content is a range of the source.
    pub fn source_field(&mut self, number: u32, range: Range<usize>) {
        self.header(number, range.len() as u64);
        self.source(range);
    }

    /// Appends a byte string field whose content is a range of an external data file.
    pub fn external_field(&mut self, number: u32, external: External) {
        self.header(number, external.length);
        self.len += external.length;
        self.pieces.push(Piece::External(external));
    }

    /// Appends a message field.
    pub fn message(&mut self, number: u32, message: Rope) {
        self.header(number, message.len);
        self.append(message);
    }

    /// Appends another rope.
    pub fn append(&mut self, other: Rope) {
        for piece in other.pieces {
            match piece {
                Piece::Source(range) => self.source(range),
                Piece::Bytes(bytes) => self.put(|b| b.extend_from_slice(&bytes)),
                Piece::Shared(bytes) => {
                    self.len += bytes.len() as u64;
                    self.pieces.push(Piece::Shared(bytes));
                }
                Piece::External(external) => {
                    self.len += external.length;
                    self.pieces.push(Piece::External(external));
                }
            }
        }
    }

    /// True when this is nothing but that range of the source.
    pub fn is_source(&self, range: &Range<usize>) -> bool {
        match self.pieces.as_slice() {
            [] => range.is_empty(),
            [Piece::Source(only)] => only == range,
            _ => false,
        }
    }

    fn header(&mut self, number: u32, len: u64) {
        self.put(|b| {
            put_varint(b, u64::from(number) << 3 | 2);
            put_varint(b, len);
        });
    }
}
