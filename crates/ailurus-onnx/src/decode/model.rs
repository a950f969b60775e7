//! The model message.

use super::function::decode_function;
use super::graph::decode_graph;
use super::leaf;
use super::node::{pair, plain_domain, text};
use crate::error::{Error, Result};
use crate::layout::{Entry, Layout, ModelLayout, What};
use crate::source::Source;
use crate::wire::{self, Fields, Kind};
use crate::{Header, Model, OpsetImport};
use std::{ops::Range, sync::Arc};

/// Decodes a whole file.
pub fn decode_model(source: Source) -> Result<Model> {
    let data = source.data();
    let all = 0..data.len();
    let refuse = |reason: String| Error::NotOnnx { path: source.path.clone(), reason };
    if let Some(reason) = foreign(data) {
        return Err(refuse(reason.into()));
    }
    wire::check(data, all.clone(), Kind::Model)?;
    let (mut header, mut functions, mut graph) = (Header::default(), Vec::new(), None);
    let mut fields = Layout { range: all.clone(), entries: Vec::new() };
    for field in Fields::new(data, all) {
        let field = field?;
        let body = field.body();
        let what = match (field.number, body.clone()) {
            (1, None) => {
                header.ir_version = field.varint().unwrap_or_default() as i64;
                What::IrVersion
            }
            (2, Some(body)) => {
                header.producer_name = text(data, body)?;
                What::ProducerName
            }
            (3, Some(body)) => {
                header.producer_version = text(data, body)?;
                What::ProducerVersion
            }
            (7, Some(body)) => {
                if graph.replace(body).is_some() {
                    return Err(Error::malformed(field.span.start, "the model holds two graphs"));
                }
                What::Graph
            }
            (8, Some(body)) => {
                header.opset_imports.push(opset(data, body)?);
                What::Opset(header.opset_imports.len() - 1)
            }
            (14, Some(body)) => {
                let (key, value) = pair(data, body)?;
                header.metadata.insert(key.clone(), value);
                What::Metadata(key)
            }
            (25, Some(body)) => {
                functions.push(decode_function(data, body)?);
                What::Function(functions.len() - 1)
            }
            (20, Some(_)) => What::Training,
            _ => What::Other,
        };
        let body = body.unwrap_or(field.span.end..field.span.end);
        fields.entries.push(Entry { span: field.span, body, what });
    }
    let graph = graph.ok_or_else(|| refuse("it holds no graph".into()))?;
    let graph = decode_graph(data, graph, true)?;
    let layout = ModelLayout { fields, header: header.clone() };
    Ok(Model { header, graph, functions, source: Arc::new(source), layout: Arc::new(layout) })
}

/// Decodes an opset import.
pub fn opset(data: &[u8], range: Range<usize>) -> Result<OpsetImport> {
    let proto: onnx_protobuf::OperatorSetIdProto = leaf(data, range)?;
    Ok(OpsetImport { domain: plain_domain(proto.domain), version: proto.version })
}

/// Recognises what people pass by mistake.
fn foreign(data: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 9] = [
        (b"version https://git-lfs", "it is a Git LFS pointer; run `git lfs pull` to get the model itself"),
        (b"PK\x03\x04", "it is a zip archive (a PyTorch checkpoint?); export the model to ONNX first"),
        (b"\x89PNG", "it is a PNG image"),
        (b"\xff\xd8\xff", "it is a JPEG image"),
        (b"<!DOCTYPE", "it is a web page; the download went wrong"),
        (b"<html", "it is a web page; the download went wrong"),
        (b"{", "it is JSON text"),
        (b"ORTM", "it is in ONNX Runtime's own format; use the .onnx file it was made from"),
        (b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    ];
    if data.is_empty() {
        return Some("it is empty");
    }
    if data.get(4..8) == Some(b"ORTM") {
        return Some("it is in ONNX Runtime's own format; use the .onnx file it was made from");
    }
    known.iter().find(|(magic, _)| data.starts_with(magic)).map(|(_, reason)| *reason)
}
