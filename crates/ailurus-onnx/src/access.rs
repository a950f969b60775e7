//! Reading what stays in the source: elements of tensors, metadata of nodes.

use crate::decode::{payload_len, property};
use crate::error::{Error, Result};
use crate::layout::What;
use crate::wire::Fields;
use crate::{Attribute, DataType, Model, Node, Storage, Tensor, ValueId};
use half::{bf16, f16};
use std::{borrow::Cow, collections::HashSet};

impl Model {
    /// Payload of a tensor of this model: little-endian, row-major, as `raw_data`.
    pub fn bytes<'a>(&'a self, tensor: &'a Tensor) -> Result<Cow<'a, [u8]>> {
        let name = tensor.name.as_str();
        let bytes = match &tensor.storage {
            Storage::Memory(bytes) => Cow::Borrowed(&bytes[..]),
            Storage::Source(range) => {
                let bytes = self.source.slice(range);
                Cow::Borrowed(bytes.ok_or_else(|| Error::payload(name, "its payload belongs to another model"))?)
            }
            Storage::External { location, offset, length } => {
                Cow::Owned(self.source.read_external(name, location, *offset, *length)?)
            }
            Storage::Strings(_) => return Err(Error::payload(name, "it holds strings, not numbers")),
            Storage::Absent => return Err(Error::payload(name, "the file holds no elements for it")),
        };
        if tensor.dims.iter().any(|&d| d < 0) {
            return Err(Error::payload(name, format!("its shape {:?} is invalid", tensor.dims)));
        }
        match payload_len(tensor.dtype, tensor.len()) {
            Some(want) if want != bytes.len() => {
                let text = format!("shape {:?} needs {want} bytes, but {} are stored", tensor.dims, bytes.len());
                Err(Error::payload(name, text))
            }
            _ => Ok(bytes),
        }
    }

    /// Elements of an integer or boolean tensor.
    pub fn i64s(&self, tensor: &Tensor) -> Result<Vec<i64>> {
        let bytes = self.bytes(tensor)?;
        integers(tensor.dtype, &bytes).ok_or_else(|| wrong_type(tensor, "integers"))
    }

    /// Elements of a tensor of floats or integers, as 32-bit floats.
    pub fn f32s(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let b = self.bytes(tensor)?;
        Ok(match tensor.dtype {
            DataType::F32 => each(&b, f32::from_le_bytes),
            DataType::F16 => each(&b, |x| f16::from_le_bytes(x).to_f32()),
            DataType::Bf16 => each(&b, |x| bf16::from_le_bytes(x).to_f32()),
            DataType::F64 => each(&b, |x| f64::from_le_bytes(x) as f32),
            DataType::U64 => each(&b, |x| u64::from_le_bytes(x) as f32),
            other => integers(other, &b)
                .ok_or_else(|| wrong_type(tensor, "numbers"))?
                .into_iter()
                .map(|v| v as f32)
                .collect(),
        })
    }
}

impl Model {
    /// A metadata property of a node of this model, read from the source; nodes made by an edit have none.
    pub fn node_metadata(&self, node: &Node, key: &str) -> Option<String> {
        let origin = node.state.origin.clone()?;
        let data = self.source.data();
        let bodies = Fields::new(data, origin).map_while(Result::ok).filter(|f| f.number == 9);
        bodies.filter_map(|f| property(data, f.body()?).ok()).find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// A tensor of the main graph whose elements are in no file: the model can be read and changed, but not run.
    pub fn missing_payload(&self) -> Option<&str> {
        let g = &self.graph;
        let entries = g.layout.as_ref().map_or(&[][..], |l| &l.entries);
        // sparse tensors are only carried: their elements are there, in another form
        let sparse: HashSet<ValueId> =
            entries.iter().filter_map(|e| if let What::Sparse(v) = e.what { Some(v) } else { None }).collect();
        let absent = |t: &Tensor| t.storage == Storage::Absent && !t.is_empty();
        let stored = g.initializers().find(|(v, t)| !sparse.contains(v) && absent(t)).map(|(v, _)| g.name_of(v));
        let attribute = |(_, a): (&String, &Attribute)| a.as_tensor().is_some_and(absent);
        let made = || g.nodes().find(|(_, n)| n.attributes.iter().any(attribute));
        stored.or_else(|| made().and_then(|(_, n)| n.output(0)).map(|v| g.name_of(v)))
    }
}

fn integers(dtype: DataType, b: &[u8]) -> Option<Vec<i64>> {
    Some(match dtype {
        DataType::I64 => each(b, i64::from_le_bytes),
        DataType::I32 => each(b, |x| i32::from_le_bytes(x).into()),
        DataType::I16 => each(b, |x| i16::from_le_bytes(x).into()),
        DataType::I8 => each(b, |x| i8::from_le_bytes(x).into()),
        DataType::U64 => each(b, |x| u64::from_le_bytes(x) as i64),
        DataType::U32 => each(b, |x| u32::from_le_bytes(x).into()),
        DataType::U16 => each(b, |x| u16::from_le_bytes(x).into()),
        DataType::U8 => each(b, |x| u8::from_le_bytes(x).into()),
        DataType::Bool => each(b, |x: [u8; 1]| (x[0] != 0).into()),
        _ => return None,
    })
}

fn each<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&chunk| convert(chunk)).collect()
}

fn wrong_type(tensor: &Tensor, wanted: &str) -> Error {
    Error::payload(&tensor.name, format!("{wanted} were expected, but its type is {:?}", tensor.dtype))
}
