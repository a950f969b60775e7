//! The protobuf wire format, read with bounds checks and written by hand.
//!
//! Only the layer below messages: fields with their byte ranges. [`check`] walks a whole file once along the ONNX
//! schema, so that later code never meets groups, deep nesting or lengths out of range.

use crate::error::{Error, Result};
use std::ops::Range;

/// Deepest nesting of messages accepted.
pub const DEPTH_LIMIT: usize = 100;

/// Most nodes accepted in a file; the largest real models have some hundred thousand.
const NODE_LIMIT: u32 = 1 << 20;
/// Most messages accepted in a file.
const MESSAGE_LIMIT: u32 = 1 << 24;
/// Most fields accepted in a file.
const FIELD_LIMIT: u32 = 1 << 26;

/// Value of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 5.
    Fixed32(u32),
    /// Wire type 2: the payload.
    Len(Range<usize>),
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Field number.
    pub number: u32,
    /// Tag and value.
    pub span: Range<usize>,
    /// Value.
    pub value: Value,
}

impl Field {
    /// Payload of a length-delimited field.
    pub fn body(&self) -> Option<Range<usize>> {
        if let Value::Len(range) = &self.value { Some(range.clone()) } else { None }
    }
    /// Value of a varint field.
    pub fn varint(&self) -> Option<u64> {
        if let Value::Varint(v) = self.value { Some(v) } else { None }
    }
}

/// Iterator over the fields of a message; stops after the first error.
pub struct Fields<'a> {
    data: &'a [u8],
    pos: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// Fields of the message at `range` of `data`.
    pub fn new(data: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(data.len());
        Self { data, pos: range.start.min(end), end }
    }

    fn read(&mut self) -> Result<Field> {
        let start = self.pos;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|n| (1..1 << 29).contains(n))
            .ok_or_else(|| Error::malformed(start, "invalid field number"))?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            2 => {
                let len = self.varint()?;
                let left = self.end - self.pos;
                let len = usize::try_from(len)
                    .ok()
                    .filter(|&l| l <= left)
                    .ok_or_else(|| Error::malformed(start, format!("a field of {len} bytes where {left} are left")))?;
                let range = self.pos..self.pos + len;
                self.pos += len;
                Value::Len(range)
            }
            3 | 4 => return Err(Error::malformed(start, "protobuf groups are not part of ONNX")),
            other => return Err(Error::malformed(start, format!("unknown wire type {other}"))),
        };
        Ok(Field { number, span: start..self.pos, value })
    }

    fn varint(&mut self) -> Result<u64> {
        varint(&self.data[..self.end], &mut self.pos)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.data[..self.end]
            .get(self.pos..self.pos + N)
            .and_then(|b| b.try_into().ok())
            .ok_or_else(|| Error::malformed(self.pos, "cut short inside a number"))?;
        self.pos += N;
        Ok(bytes)
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.pos >= self.end {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.pos = self.end;
        }
        Some(field)
    }
}

/// Reads a varint at `*pos`.
pub fn varint(data: &[u8], pos: &mut usize) -> Result<u64> {
    let start = *pos;
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *data.get(*pos).ok_or_else(|| Error::malformed(start, "cut short inside a number"))?;
        *pos += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Error::malformed(start, "a number of more than ten bytes"))
}

/// The messages of ONNX that matter for walking a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TypeTensor,
    TypeNested,
    Map,
    Shape,
    Dim,
    Function,
    Annotation,
    Training,
    Leaf,
}

/// Kind of the message in field `number` of a message of `kind`; `None` for scalars, strings and unknown fields.
pub fn child(kind: Kind, number: u32) -> Option<Kind> {
    use Kind::*;
    Some(match (kind, number) {
        (Model, 7) => Graph,
        (Model, 8 | 14) => Leaf,
        (Model, 20) => Training,
        (Model, 25) => Function,
        (Graph, 1) | (Function, 7) => Node,
        (Graph, 5) => Tensor,
        (Graph, 11..=13) | (Function, 12) => ValueInfo,
        (Graph, 14) => Annotation,
        (Graph, 15) => SparseTensor,
        (Graph, 16) | (Node, 9) | (ValueInfo, 4) | (Tensor, 3 | 13 | 16) | (Annotation, 2) => Leaf,
        (Node, 5) | (Function, 11) => Attribute,
        (Function, 9 | 14) | (Training, 3 | 4) => Leaf,
        (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Tensor,
        (Attribute, 6 | 11) | (Training, 1 | 2) => Graph,
        (Attribute, 22 | 23) => SparseTensor,
        (Attribute, 14 | 15) | (ValueInfo, 2) | (TypeNested, 1) | (Map, 2) => Type,
        (Type, 1 | 8) => TypeTensor,
        (Type, 4 | 9) => TypeNested,
        (Type, 5) => Map,
        (TypeTensor, 2) => Shape,
        (Shape, 1) => Dim,
        _ => return None,
    })
}

/// Walks a message and everything known inside it; fails on anything that could hurt a decoder: broken fields, groups,
/// deep nesting, and numbers of parts that would need far more memory than the file has bytes.
pub fn check(data: &[u8], range: Range<usize>, kind: Kind) -> Result<()> {
    let mut counts = Counts { nodes: NODE_LIMIT, messages: MESSAGE_LIMIT, fields: FIELD_LIMIT };
    check_at(data, range, kind, 0, &mut counts)
}

/// What is left of the limits.
struct Counts {
    nodes: u32,
    messages: u32,
    fields: u32,
}

fn check_at(data: &[u8], range: Range<usize>, kind: Kind, depth: usize, left: &mut Counts) -> Result<()> {
    if depth > DEPTH_LIMIT {
        return Err(Error::TooDeep { offset: range.start, limit: DEPTH_LIMIT });
    }
    take(&mut left.messages, MESSAGE_LIMIT, "messages")?;
    if kind == Kind::Node {
        take(&mut left.nodes, NODE_LIMIT, "nodes")?;
    }
    for field in Fields::new(data, range) {
        let field = field?;
        take(&mut left.fields, FIELD_LIMIT, "fields")?;
        if let (Some(body), Some(inner)) = (field.body(), child(kind, field.number)) {
            check_at(data, body, inner, depth + 1, left)?;
        }
    }
    Ok(())
}

fn take(left: &mut u32, limit: u32, what: &str) -> Result<()> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| Error::Unsupported { what: format!("a file of more than {limit} {what}") })?;
    Ok(())
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint field.
pub fn put_int(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a 32-bit field.
pub fn put_f32(out: &mut Vec<u8>, number: u32, value: f32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX, i64::MIN as u64] {
            let mut bytes = vec![];
            put_varint(&mut bytes, value);
            let mut pos = 0;
            assert_eq!(varint(&bytes, &mut pos).unwrap(), value);
            assert_eq!(pos, bytes.len());
        }
    }

    #[test]
    fn bad_numbers_are_refused() {
        assert!(varint(&[0x80; 4], &mut 0).is_err());
        assert!(varint(&[0x80; 11], &mut 0).is_err());
    }

    #[test]
    fn groups_and_long_lengths_are_refused() {
        for bytes in [&[0x0b][..], &[0x0c], &[0x0a, 5, 1], &[0x07], &[0x00, 0x00], &[0x09, 1, 2], &[0x0d, 1]] {
            assert!(Fields::new(bytes, 0..bytes.len()).any(|f| f.is_err()), "{bytes:?}");
        }
    }
}
