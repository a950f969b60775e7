//! Tensors: large payloads stay where they are, small ones come to memory in `raw_data` form.

use super::thin;
use crate::error::{Error, Result};
use crate::source::check_location;
use crate::wire::{self, Fields, Value};
use crate::{DataType, Storage, Tensor};
use onnx_protobuf::{StringStringEntryProto, TensorProto, tensor_proto::DataLocation};
use std::ops::Range;

/// Payloads longer than this stay in the file.
const KEEP_IN_FILE: usize = 4096;

/// Bytes of `count` elements, also for types narrower than a byte; `None` when unknown.
pub fn payload_len(dtype: DataType, count: usize) -> Option<usize> {
    match dtype {
        // 8-bit floats
        DataType::Other(17..=20 | 24) => Some(count),
        // 4-bit integers and floats, packed
        DataType::Other(21..=23) => Some(count.div_ceil(2)),
        // 2-bit integers, packed
        DataType::Other(25 | 26) => Some(count.div_ceil(4)),
        // complex
        DataType::Other(14) => count.checked_mul(8),
        DataType::Other(15) => count.checked_mul(16),
        other => count.checked_mul(other.size()?),
    }
}

/// Decodes the `TensorProto` at `range`.
pub fn decode_tensor(data: &[u8], range: Range<usize>) -> Result<Tensor> {
    let proto: TensorProto = thin(data, range.clone(), &[4, 5, 7, 9, 10, 11])?;
    let dtype = DataType::from_onnx(proto.data_type);
    let mut tensor = Tensor { name: proto.name, dtype, dims: proto.dims, storage: Storage::Absent };
    if proto.segment.is_some() {
        return Err(Error::Unsupported { what: format!("tensor `{}` stored in segments", tensor.name) });
    }
    tensor.storage = if proto.data_location.enum_value() == Ok(DataLocation::EXTERNAL) {
        external(&tensor, &proto.external_data)?
    } else if dtype == DataType::String && (tensor.is_empty() || !proto.string_data.is_empty()) {
        Storage::Strings(proto.string_data.into())
    } else {
        match payload(data, range, dtype)? {
            Some(storage) => storage,
            None if tensor.is_empty() => Storage::Memory([].into()),
            None => Storage::Absent,
        }
    };
    Ok(tensor)
}

fn external(tensor: &Tensor, entries: &[StringStringEntryProto]) -> Result<Storage> {
    let get = |key: &str| entries.iter().rev().find(|e| e.key == key).map(|e| e.value.as_str());
    let number = |key: &str| match get(key) {
        None => Ok(None),
        Some(text) => text.trim().parse::<u64>().map(Some).map_err(|_| {
            Error::payload(&tensor.name, format!("`{key}` of its external data is `{text}`, not a number"))
        }),
    };
    let location = get("location").unwrap_or_default().to_owned();
    check_location(&tensor.name, &location)?;
    let offset = number("offset")?.unwrap_or(0);
    let declared = payload_len(tensor.dtype, tensor.len()).map(|n| n as u64);
    let length = match number("length")? {
        Some(length) => length,
        None => declared.ok_or_else(|| Error::payload(&tensor.name, "external data of unknown length"))?,
    };
    offset
        .checked_add(length)
        .ok_or_else(|| Error::payload(&tensor.name, "offset and length of its external data are out of range"))?;
    Ok(Storage::External { location, offset, length })
}

/// Finds the payload in whichever field it is stored.
fn payload(data: &[u8], range: Range<usize>, dtype: DataType) -> Result<Option<Storage>> {
    let (mut raw, mut typed, mut seen) = (None, Vec::new(), false);
    let mut packed: Vec<Range<usize>> = Vec::new();
    for field in Fields::new(data, range) {
        let field = field?;
        match field.number {
            9 => raw = field.body().or(raw),
            // float_data and double_data are little-endian on the wire: packed, they are raw_data already
            4 | 10 => {
                seen = true;
                match field.value {
                    Value::Len(body) => {
                        packed.push(body.clone());
                        typed.push(Chunk::Bytes(body));
                    }
                    Value::Fixed32(v) => typed.push(Chunk::Fixed32(v)),
                    Value::Fixed64(v) => typed.push(Chunk::Fixed64(v)),
                    Value::Varint(_) => {}
                }
            }
            5 | 7 | 11 => {
                seen = true;
                match field.value {
                    Value::Len(body) => typed.push(Chunk::Varints(body)),
                    Value::Varint(v) => typed.push(Chunk::Varint(v)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if let Some(body) = raw {
        return Ok(Some(keep(data, body)));
    }
    if typed.len() == 1 && packed.len() == 1 {
        return Ok(Some(keep(data, packed.remove(0))));
    }
    if !seen {
        return Ok(None);
    }
    // narrow and exotic types hold one byte per int32_data entry
    let width = dtype.size().unwrap_or(1);
    let mut out = Vec::new();
    for chunk in typed {
        match chunk {
            Chunk::Bytes(body) => out.extend_from_slice(&data[body]),
            Chunk::Fixed32(v) => out.extend_from_slice(&v.to_le_bytes()),
            Chunk::Fixed64(v) => out.extend_from_slice(&v.to_le_bytes()),
            Chunk::Varint(v) => out.extend_from_slice(&v.to_le_bytes()[..width]),
            Chunk::Varints(body) => {
                let mut pos = body.start;
                while pos < body.end {
                    let v = wire::varint(&data[..body.end], &mut pos)?;
                    out.extend_from_slice(&v.to_le_bytes()[..width]);
                }
            }
        }
    }
    Ok(Some(Storage::Memory(out.into())))
}

enum Chunk {
    Bytes(Range<usize>),
    Varints(Range<usize>),
    Fixed32(u32),
    Fixed64(u64),
    Varint(u64),
}

fn keep(data: &[u8], body: Range<usize>) -> Storage {
    if body.len() > KEEP_IN_FILE {
        Storage::Source(body.start as u64..body.end as u64)
    } else {
        Storage::Memory(data[body].into())
    }
}
