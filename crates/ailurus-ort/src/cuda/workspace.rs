//! Device memory that a node works on, one piece per stream.
//!
//! What a node has allocated for a stream it keeps for the next call on that stream. The work of a call goes on after the
//! call has returned, so memory given back at once could be handed to another stream while it is still written to; on its
//! own stream it is used in order.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::ort::{Allocator, Call, Input};

/// The pieces of a node.
#[derive(Default)]
pub(super) struct Workspaces(Mutex<Pieces>);

#[derive(Default)]
struct Pieces {
    /// Where all of them come from; that of the first call.
    allocator: Option<Allocator>,
    current: Vec<Piece>,
    /// Pieces that became too small. Work on them may still go on.
    outgrown: Vec<*mut c_void>,
}

/// Memory for one stream.
struct Piece {
    stream: *mut c_void,
    memory: *mut c_void,
    bytes: usize,
}

// SAFETY: the pointers are only handed on; the allocator may be used from any thread, and is here by one at a time.
unsafe impl Send for Pieces {}

impl Workspaces {
    /// Calls `work` with memory of at least this size on the device that `near` lies on. While it runs no other call of
    /// this node enqueues anything, so that two that share a stream do not mix.
    pub(super) fn with<T>(
        &self,
        call: &Call<'_>,
        near: &Input<'_>,
        stream: *mut c_void,
        bytes: usize,
        work: impl FnOnce(*mut c_void, usize) -> Result<T>,
    ) -> Result<T> {
        // A panic leaves at worst a piece that is not remembered.
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (memory, bytes) = pieces.find(call, near, stream, bytes)?;
        work(memory, bytes)
    }
}

impl Pieces {
    fn find(
        &mut self,
        call: &Call<'_>,
        near: &Input<'_>,
        stream: *mut c_void,
        bytes: usize,
    ) -> Result<(*mut c_void, usize)> {
        if bytes == 0 {
            return Ok((ptr::null_mut(), 0));
        }
        let known = self.current.iter().position(|piece| piece.stream == stream);
        if let Some(piece) = known.map(|at| &self.current[at]).filter(|piece| piece.bytes >= bytes) {
            return Ok((piece.memory, piece.bytes));
        }
        let allocator = match &mut self.allocator {
            Some(allocator) => allocator,
            none => none.insert(call.allocator_of(near)?),
        };
        // At least twice what was outgrown, so that sizes that creep up do not leave a trail.
        let bytes = bytes.max(known.map_or(0, |at| 2 * self.current[at].bytes));
        let memory = allocator.allocate(bytes)?;
        let piece = Piece { stream, memory, bytes };
        match known {
            Some(at) => {
                let old = std::mem::replace(&mut self.current[at], piece);
                self.outgrown.push(old.memory);
            }
            None => self.current.push(piece),
        }
        Ok((memory, bytes))
    }
}

impl Drop for Pieces {
    /// ONNX Runtime drops a node when its session goes, and no work is left by then.
    fn drop(&mut self) {
        if let Some(allocator) = &self.allocator {
            let current = self.current.iter().map(|piece| piece.memory);
            current.chain(self.outgrown.iter().copied()).for_each(|memory| allocator.free(memory));
        }
    }
}
