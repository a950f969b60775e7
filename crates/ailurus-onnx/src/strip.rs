//! A model without its weights: what the graph does, and nothing of what it learned or of where it was made.
//!
//! Works on the wire format with a list of the fields that stay. What is not on the list does not get into the result,
//! whatever it is: documentation, stack traces, training information, fields of newer versions.

use crate::decode::{decode_tensor, payload_len, property};
use crate::error::Result;
use crate::source::Source;
use crate::wire::{Fields, Kind, Value, child, put_bytes, put_int};
use crate::write::is_unchanged;
use crate::{DataType, Model, Storage, Tensor};
use std::{borrow::Cow, ops::Range};

/// Longest text attribute that stays: modes and equations are short.
const LONGEST_TEXT: usize = 256;

/// What stays of a model beside its structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strip {
    /// Tensors of integers or booleans of up to so many elements keep them: shapes are computed with those.
    pub integers: usize,
    /// Tensors of floats of up to so many elements keep them.
    pub floats: usize,
    /// Metadata properties of the model that stay.
    pub metadata: Vec<String>,
    /// Metadata properties of nodes that stay.
    pub node_metadata: Vec<String>,
}

impl Model {
    /// The same graph without the elements of its tensors ([`Storage::Absent`]), also inside subgraphs and functions.
    ///
    /// Names, types, shapes, attributes and operator sets stay. Small tensors stay as `strip` says. Long lists of numbers
    /// in attributes become zeros; long texts, paths and lists of texts become empty. External data is only read where a
    /// small tensor lies in it.
    pub fn without_weights(&self, strip: &Strip) -> Result<Model> {
        let edited = match is_unchanged(self)? {
            true => None,
            false => Some(Source::from_bytes(self.to_bytes()?, self.source.folder.clone())),
        };
        let source = edited.as_ref().unwrap_or(&self.source);
        let stripper = Stripper { strip, source, data: source.data() };
        let mut out = Vec::new();
        stripper.message(Kind::Model, 0..stripper.data.len(), &mut out)?;
        Model::from_bytes(out)
    }
}

struct Stripper<'a> {
    strip: &'a Strip,
    source: &'a Source,
    data: &'a [u8],
}

/// True for plain fields that stay.
fn stays(kind: Kind, number: u32) -> bool {
    use Kind::*;
    match kind {
        Model => number == 1,
        Node => matches!(number, 1..=4 | 7 | 8),
        // a float, an integer, the kind, and the name of an attribute of the function around
        Attribute => matches!(number, 1..=3 | 20 | 21),
        SparseTensor => number == 3,
        ValueInfo | TypeTensor | Map => number == 1,
        Dim | Leaf => matches!(number, 1 | 2),
        Function => matches!(number, 1 | 4..=6 | 10 | 13),
        Graph | Tensor | Type | TypeNested | Shape | Annotation | Training => false,
    }
}

/// Kind of a message that stays, stripped.
fn enters(kind: Kind, number: u32) -> Option<Kind> {
    use Kind::*;
    let inner = child(kind, number)?;
    match inner {
        Training | Annotation => None,
        // of the pairs, only operator sets: metadata is picked by key
        Leaf => matches!((kind, number), (Model, 8) | (Function, 9)).then_some(Leaf),
        other => Some(other),
    }
}

impl Stripper<'_> {
    fn message(&self, kind: Kind, range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        if kind == Kind::Graph {
            put_bytes(out, 2, b"graph");
        }
        let constant = kind == Kind::Node && self.is_constant(range.clone())?;
        for field in Fields::new(self.data, range) {
            let field = field?;
            let Some(body) = field.body() else {
                if stays(kind, field.number) {
                    out.extend_from_slice(&self.data[field.span]);
                }
                continue;
            };
            match (kind, field.number) {
                (Kind::Model, 14) => self.pair(&self.strip.metadata, 14, body, out)?,
                (Kind::Node, 9) => self.pair(&self.strip.node_metadata, 9, body, out)?,
                (Kind::Model, 2 | 3) if !is_path(&self.data[body.clone()]) => {
                    out.extend_from_slice(&self.data[field.span]);
                }
                (Kind::Node, 5) | (Kind::Function, 11) => {
                    let mut inner = Vec::new();
                    self.attribute(constant, body, &mut inner)?;
                    put_bytes(out, field.number, &inner);
                }
                (kind, number) if stays(kind, number) => out.extend_from_slice(&self.data[field.span]),
                (kind, number) => {
                    let Some(inner) = enters(kind, number) else { continue };
                    let mut message = Vec::new();
                    match inner {
                        Kind::Tensor => self.tensor(&decode_tensor(self.data, body)?, &mut message),
                        inner => self.message(inner, body, &mut message)?,
                    }
                    put_bytes(out, number, &message);
                }
            }
        }
        Ok(())
    }

    /// A key-value pair, if it is wanted.
    fn pair(&self, wanted: &[String], number: u32, body: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let (key, value) = property(self.data, body)?;
        if wanted.contains(&key) {
            let mut pair = Vec::new();
            put_bytes(&mut pair, 1, key.as_bytes());
            put_bytes(&mut pair, 2, value.as_bytes());
            put_bytes(out, number, &pair);
        }
        Ok(())
    }

    fn is_constant(&self, node: Range<usize>) -> Result<bool> {
        let mut found = false;
        for field in Fields::new(self.data, node) {
            let field = field?;
            found |= field.number == 4 && field.body().is_some_and(|b| &self.data[b] == b"Constant");
        }
        Ok(found)
    }

    fn attribute(&self, constant: bool, range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let (mut floats, mut integers) = (0usize, 0usize);
        for field in Fields::new(self.data, range.clone()) {
            let field = field?;
            match (field.number, &field.value) {
                (7, Value::Len(body)) => floats += body.len() / 4,
                (7, _) => floats += 1,
                (8, Value::Len(body)) => integers += self.data[body.clone()].iter().filter(|b| **b < 0x80).count(),
                (8, _) => integers += 1,
                _ => {}
            }
        }
        let long = |count: usize, most: usize, dtype| (count > most).then_some((count, dtype));
        let list = long(floats, self.strip.floats, DataType::F32);
        let list = list.or(long(integers, self.strip.integers, DataType::I64));
        if let (true, Some((count, dtype))) = (constant, list) {
            self.absent_constant(count, dtype, out);
            return Ok(());
        }
        for field in Fields::new(self.data, range) {
            let field = field?;
            let whole = field.span.clone();
            match (field.number, field.body()) {
                (7 | 8, _) if list.is_some() => {}
                (7 | 8, _) => out.extend_from_slice(&self.data[whole]),
                (4, Some(text)) => {
                    let text = &self.data[text];
                    let plain = !constant && text.len() <= LONGEST_TEXT && !is_path(text);
                    put_bytes(out, 4, if plain { text } else { b"" });
                }
                (9, Some(_)) => put_bytes(out, 9, b""),
                (number, None) if stays(Kind::Attribute, number) => out.extend_from_slice(&self.data[whole]),
                (1 | 21, Some(_)) => out.extend_from_slice(&self.data[whole]),
                (number, Some(body)) => {
                    let Some(inner) = enters(Kind::Attribute, number) else { continue };
                    let mut message = Vec::new();
                    match inner {
                        Kind::Tensor => self.tensor(&decode_tensor(self.data, body)?, &mut message),
                        inner => self.message(inner, body, &mut message)?,
                    }
                    put_bytes(out, number, &message);
                }
                (_, None) => {}
            }
        }
        match list {
            Some((count, DataType::F32)) => put_bytes(out, 7, &vec![0; 4 * count]),
            Some((count, _)) => put_bytes(out, 8, &vec![0; count]),
            None => {}
        }
        Ok(())
    }

    /// `value` of a `Constant` whose list of numbers does not stay.
    fn absent_constant(&self, count: usize, dtype: DataType, out: &mut Vec<u8>) {
        let mut tensor = Vec::new();
        put_int(&mut tensor, 1, count as u64);
        put_int(&mut tensor, 2, dtype.to_onnx() as u64);
        put_bytes(out, 1, b"value");
        put_bytes(out, 5, &tensor);
        put_int(out, 20, 4);
    }

    fn tensor(&self, tensor: &Tensor, out: &mut Vec<u8>) {
        for &dim in &tensor.dims {
            put_int(out, 1, dim as u64);
        }
        put_int(out, 2, tensor.dtype.to_onnx() as u64);
        if !tensor.name.is_empty() {
            put_bytes(out, 8, tensor.name.as_bytes());
        }
        if let Some(bytes) = self.small(tensor) {
            put_bytes(out, 9, &bytes);
        }
    }

    /// Elements that stay, in `raw_data` form.
    fn small(&self, tensor: &Tensor) -> Option<Cow<'_, [u8]>> {
        use DataType::*;
        let most = match tensor.dtype {
            F32 | F16 | F64 | Bf16 => self.strip.floats,
            Bool | U8 | I8 | U16 | I16 | U32 | I32 | U64 | I64 => self.strip.integers,
            Undefined | String | Other(_) => return None,
        };
        let count = tensor.len();
        if count == 0 || count > most {
            return None;
        }
        let wanted = payload_len(tensor.dtype, count)?;
        let bytes = match &tensor.storage {
            Storage::Memory(bytes) => Cow::Owned(bytes.to_vec()),
            Storage::Source(range) => Cow::Borrowed(self.source.slice(range)?),
            // a file that is missing is missing for the analysis, too
            Storage::External { location, offset, length } if *length == wanted as u64 => {
                Cow::Owned(self.source.read_external(&tensor.name, location, *offset, *length).ok()?)
            }
            Storage::External { .. } | Storage::Strings(_) | Storage::Absent => return None,
        };
        (bytes.len() == wanted).then_some(bytes)
    }
}

/// True for texts that could say where something lies on the maker's disk.
fn is_path(text: &[u8]) -> bool {
    text.iter().any(|b| matches!(b, b'/' | b'\\'))
}
