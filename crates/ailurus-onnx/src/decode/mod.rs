//! From bytes to plain values. Structure is read from the wire; leaves go through `onnx-protobuf`.

mod function;
mod graph;
mod model;
mod node;
mod tensor;
mod types;

pub use graph::{Builder, decode_value_info, describe};
pub use model::decode_model;
pub use node::{RawNode, pair as property};
pub use tensor::{decode_tensor, payload_len};

use crate::error::{Error, Result};
use crate::wire::Fields;
use protobuf::Message;
use std::ops::Range;

/// Decodes a leaf message. The file went through [`crate::wire::check`] before.
fn leaf<M: Message>(data: &[u8], range: Range<usize>) -> Result<M> {
    let start = range.start;
    let bytes = data.get(range).ok_or_else(|| Error::malformed(start, "range outside the file"))?;
    M::parse_from_bytes(bytes).map_err(|e| Error::malformed(start, e.to_string()))
}

/// Decodes a message without the fields in `skip`, which are read from the wire or stay in the file.
fn thin<M: Message>(data: &[u8], range: Range<usize>, skip: &[u32]) -> Result<M> {
    let start = range.start;
    let mut bytes = Vec::new();
    for field in Fields::new(data, range) {
        let field = field?;
        if !skip.contains(&field.number) {
            bytes.extend_from_slice(&data[field.span]);
        }
    }
    M::parse_from_bytes(&bytes).map_err(|e| Error::malformed(start, e.to_string()))
}
