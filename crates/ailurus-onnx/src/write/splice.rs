//! The output as a sequence of pieces: everything unchanged since loading is a range of the source.

use super::encode::{opset, pair};
use super::graph::GraphWriter;
use super::places::Places;
use super::rope::Rope;
use crate::error::{Error, Result};
use crate::layout::{Entry, What};
use crate::wire::{self, Fields, Kind};
use crate::{Graph, Model, Node, OpsetImport, ValueId};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Builds the output of one model.
pub struct Splicer<'a> {
    /// The model.
    pub model: &'a Model,
    /// Bytes of its source.
    pub data: &'a [u8],
    /// Where payloads go that do not stay.
    pub places: &'a Places,
}

impl<'a> Splicer<'a> {
    /// A writer for `model`.
    pub fn new(model: &'a Model, places: &'a Places) -> Self {
        Self { model, data: model.source.data(), places }
    }

    /// The whole file.
    pub fn model(&self) -> Result<Rope> {
        let (now, was) = (&self.model.header, &self.model.layout.header);
        let entries = &self.model.layout.fields.entries;
        let mut out = Rope::default();
        let last = |test: &dyn Fn(&What) -> bool| entries.iter().rposition(|e| test(&e.what));
        let last_opset = last(&|w| matches!(w, What::Opset(_)));
        let last_metadata = last(&|w| matches!(w, What::Metadata(_)));
        let last_function = last(&|w| matches!(w, What::Function(_)));
        let functions: HashSet<usize> =
            self.model.functions.iter().filter_map(|f| Some(f.origin.as_ref()?.start)).collect();
        let opsets: HashMap<&str, &OpsetImport> =
            now.opset_imports.iter().rev().map(|o| (o.domain.as_str(), o)).collect();
        let has = |what: What| entries.iter().any(|e| e.what == what);

        if !has(What::IrVersion) && now.ir_version != was.ir_version {
            out.int(1, now.ir_version);
        }
        if !has(What::ProducerName) {
            out.text_if(2, &now.producer_name);
        }
        if !has(What::ProducerVersion) {
            out.text_if(3, &now.producer_version);
        }
        for (at, entry) in entries.iter().enumerate() {
            match &entry.what {
                What::IrVersion if now.ir_version != was.ir_version => out.int(1, now.ir_version),
                What::ProducerName if now.producer_name != was.producer_name => out.text(2, &now.producer_name),
                What::ProducerVersion if now.producer_version != was.producer_version => {
                    out.text(3, &now.producer_version);
                }
                What::Graph => self.main_graph(entry, &mut out)?,
                What::Opset(i) => {
                    let old = &was.opset_imports[*i];
                    match opsets.get(old.domain.as_str()) {
                        Some(new) if *new == old => out.source(entry.span.clone()),
                        Some(new) => out.message(8, opset(new)),
                        None => {}
                    }
                }
                What::Metadata(key) => match now.metadata.get(key) {
                    Some(value) if was.metadata.get(key) == Some(value) => out.source(entry.span.clone()),
                    Some(value) => out.message(14, pair(key, value)),
                    None => {}
                },
                What::Function(_) if functions.contains(&entry.body.start) => {
                    self.item(25, Kind::Function, entry.span.clone(), entry.body.clone(), &mut out)?;
                }
                What::Function(_) => {}
                What::Training => self.item(20, Kind::Training, entry.span.clone(), entry.body.clone(), &mut out)?,
                _ => out.source(entry.span.clone()),
            }
            if Some(at) == last_opset {
                self.new_opsets(&mut out);
            }
            if Some(at) == last_metadata {
                self.new_metadata(&mut out);
            }
            if Some(at) == last_function {
                self.new_functions(&mut out)?;
            }
        }
        if !has(What::Graph) {
            out.message(7, self.graph(&self.model.graph)?);
        }
        if last_opset.is_none() {
            self.new_opsets(&mut out);
        }
        if last_metadata.is_none() {
            self.new_metadata(&mut out);
        }
        if last_function.is_none() {
            self.new_functions(&mut out)?;
        }
        Ok(out)
    }

    fn main_graph(&self, entry: &Entry, out: &mut Rope) -> Result<()> {
        let graph = self.graph(&self.model.graph)?;
        if graph.is_source(&entry.body) {
            out.source(entry.span.clone());
        } else {
            out.message(7, graph);
        }
        Ok(())
    }

    fn new_opsets(&self, out: &mut Rope) {
        let was: HashSet<&str> = self.model.layout.header.opset_imports.iter().map(|o| o.domain.as_str()).collect();
        for import in &self.model.header.opset_imports {
            if !was.contains(import.domain.as_str()) {
                out.message(8, opset(import));
            }
        }
    }

    fn new_metadata(&self, out: &mut Rope) {
        let was = &self.model.layout.header.metadata;
        for (key, value) in self.model.header.metadata.iter().filter(|(key, _)| !was.contains_key(*key)) {
            out.message(14, pair(key, value));
        }
    }

    fn new_functions(&self, out: &mut Rope) -> Result<()> {
        for f in self.model.functions.iter().filter(|f| f.origin.is_none()) {
            let mut message = Rope::default();
            message.text(1, &f.name);
            f.inputs.iter().for_each(|name| message.text(4, name));
            f.outputs.iter().for_each(|name| message.text(5, name));
            f.attributes.iter().for_each(|name| message.text(6, name));
            for (_, node) in f.body.nodes() {
                message.message(7, self.node_of(&f.body, node)?);
            }
            message.text_if(8, &f.doc);
            f.opset_imports.iter().for_each(|o| message.message(9, opset(o)));
            message.text(10, &f.domain);
            out.message(25, message);
        }
        Ok(())
    }

    /// A node with its names.
    pub fn node_of(&self, graph: &Graph, node: &Node) -> Result<Rope> {
        let name = |v: &Option<ValueId>| v.map_or("", |v| graph.name_of(v));
        let inputs: Vec<&str> = node.inputs.iter().map(name).collect();
        let outputs: Vec<&str> = node.outputs.iter().map(name).collect();
        self.node(node, &inputs, &outputs)
    }

    /// An unchanged field: copied as it is, unless a payload inside moves to another file.
    pub fn item(&self, number: u32, kind: Kind, span: Range<usize>, body: Range<usize>, out: &mut Rope) -> Result<()> {
        match self.moved(kind, body)? {
            None => out.source(span),
            Some(message) => out.message(number, message),
        }
        Ok(())
    }

    /// The message with payloads moved; `None` when nothing in it moves.
    fn moved(&self, kind: Kind, body: Range<usize>) -> Result<Option<Rope>> {
        if self.places.is_empty() {
            return Ok(None);
        }
        if kind == Kind::Tensor {
            return self.moved_tensor(body);
        }
        let (mut out, mut changed) = (Rope::default(), false);
        for field in Fields::new(self.data, body) {
            let field = field?;
            let inner = wire::child(kind, field.number).zip(field.body());
            let message = match inner {
                Some((inner, body)) if holds_tensors(inner) => self.moved(inner, body)?,
                _ => None,
            };
            match message {
                None => out.source(field.span),
                Some(message) => {
                    changed = true;
                    out.message(field.number, message);
                }
            }
        }
        Ok(changed.then_some(out))
    }

    /// A graph or subgraph.
    pub fn graph(&self, graph: &Graph) -> Result<Rope> {
        GraphWriter::new(self, graph).write()
    }
}

/// Refuses what would be written wrong: a tensor of the source that refers to a file which is to move, unmoved.
pub fn unplaced(location: &str) -> Error {
    Error::Unsupported { what: format!("moving external data `{location}` of a tensor inside an unknown structure") }
}

fn holds_tensors(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, Graph | Node | Attribute | Tensor | SparseTensor | Function | Training)
}
