//! The output as a sequence of pieces: everything unchanged since loading is a range of the source.

use super::encode::{opset, pair};
use super::places::Places;
use super::rope::Rope;
use crate::decode::{decode_tensor, decode_value_info};
use crate::error::{Error, Result};
use crate::layout::{Entry, What};
use crate::wire::{self, Fields, Kind};
use crate::{Function, Graph, Model, Node, NodeId, Storage, ValueId, ValueKind};
use std::collections::HashSet;
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
                    match now.opset_imports.iter().find(|o| o.domain == old.domain) {
                        Some(new) if new == old => out.source(entry.span.clone()),
                        Some(new) => out.message(8, opset(new)),
                        None => {}
                    }
                }
                What::Metadata(key) => match now.metadata.get(key) {
                    Some(value) if was.metadata.get(key) == Some(value) => out.source(entry.span.clone()),
                    Some(value) => out.message(14, pair(key, value)),
                    None => {}
                },
                What::Function(_) if self.functions(|f| f.origin.as_ref() == Some(&entry.body)).next().is_some() => {
                    self.item(25, Kind::Function, entry.span.clone(), entry.body.clone(), &mut out)?;
                }
                What::Function(_) => {}
                _ => self.item(20, Kind::Leaf, entry.span.clone(), entry.body.clone(), &mut out)?,
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
        let was = &self.model.layout.header.opset_imports;
        for import in &self.model.header.opset_imports {
            if !was.iter().any(|o| o.domain == import.domain) {
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

    fn functions(&self, test: impl Fn(&Function) -> bool) -> impl Iterator<Item = &'a Function> {
        self.model.functions.iter().filter(move |f| test(f))
    }

    fn new_functions(&self, out: &mut Rope) -> Result<()> {
        for f in self.functions(|f| f.origin.is_none()) {
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
            let tensor = decode_tensor(self.data, body.clone())?;
            return match self.places.find(&tensor.storage)? {
                Some(Storage::External { location, offset, length }) => {
                    self.moved_tensor(body, &location, offset, length).map(Some)
                }
                _ => Ok(None),
            };
        }
        let (mut out, mut changed) = (Rope::default(), false);
        for field in Fields::new(self.data, body) {
            let field = field?;
            let inner = wire::child(kind, field.number).zip(field.body());
            let message = match inner {
                Some((inner, body)) if inner != Kind::Leaf => self.moved(inner, body)?,
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

/// Writes one graph in the order of its source, with new parts behind the old ones of their kind.
struct GraphWriter<'a> {
    s: &'a Splicer<'a>,
    g: &'a Graph,
    out: Rope,
    entries: &'a [Entry],
    /// Everything before `g.order[next]` is written.
    next: usize,
    done: HashSet<NodeId>,
    /// Original nodes are in file order: new ones can go between them.
    ordered: bool,
    same_outputs: bool,
    written: HashSet<ValueId>,
}

impl<'a> GraphWriter<'a> {
    fn new(s: &'a Splicer<'a>, g: &'a Graph) -> Self {
        let entries = g.layout.as_ref().map_or(&[][..], |l| &l.entries);
        let filed: Vec<NodeId> = entries
            .iter()
            .filter_map(|e| if let What::Node(id) = e.what { Some(id) } else { None })
            .filter(|id| g.nodes[id.index()].is_some())
            .collect();
        let filed_set: HashSet<NodeId> = filed.iter().copied().collect();
        let ordered = g.order.iter().copied().filter(|id| filed_set.contains(id)).eq(filed);
        let outputs = entries.iter().filter_map(|e| if let What::Output(v) = e.what { Some(v) } else { None });
        let same_outputs = outputs.eq(g.outputs.iter().copied());
        let untouched = g.nodes.iter().flatten().all(|n| n.state.is_original());
        // a file whose nodes are in no valid order is only reordered when something else changes too
        let ordered = ordered || (untouched && g.order.len() == filed_set.len());
        Self {
            s,
            g,
            out: Rope::default(),
            entries,
            next: 0,
            done: HashSet::new(),
            ordered,
            same_outputs,
            written: HashSet::new(),
        }
    }

    fn write(mut self) -> Result<Rope> {
        let last = |number: u8| self.entries.iter().rposition(|e| kind_of(&e.what) == number);
        let ends: Vec<Option<usize>> = (0..=5).map(last).collect();
        let entries = self.entries;
        for (at, entry) in entries.iter().enumerate() {
            self.entry(entry)?;
            for number in 1..=5 {
                if ends[usize::from(number)] == Some(at) {
                    self.rest(number)?;
                }
            }
        }
        if self.g.layout.is_none() {
            self.out.text(2, &self.g.name);
        }
        for number in 1..=5 {
            if ends[usize::from(number)].is_none() {
                self.rest(number)?;
            }
        }
        Ok(self.out)
    }

    fn entry(&mut self, entry: &'a Entry) -> Result<()> {
        let (span, body) = (entry.span.clone(), entry.body.clone());
        match entry.what {
            What::Node(id) => self.filed_node(id, entry)?,
            What::Initializer(v) => match self.g.initializers.get(&v) {
                None => {}
                Some(tensor) => {
                    self.written.insert(v);
                    if self.g.value(v).edited {
                        let message = self.s.tensor(tensor, Some(body))?;
                        self.out.message(5, message);
                    } else {
                        self.s.item(5, Kind::Tensor, span, body, &mut self.out)?;
                    }
                }
            },
            What::Sparse(v) => {
                if self.g.initializers.contains_key(&v) {
                    self.written.insert(v);
                    self.s.item(15, Kind::SparseTensor, span, body, &mut self.out)?;
                }
            }
            What::Input(v) => {
                if self.g.inputs.contains(&v) {
                    self.info(11, v, Some(entry))?;
                }
            }
            What::Output(v) => {
                if self.same_outputs {
                    self.info(12, v, Some(entry))?;
                }
            }
            What::ValueInfo(Some(v)) => {
                let value = self.g.value(v);
                let public = || self.g.inputs.contains(&v) || self.g.outputs.contains(&v);
                if !value.edited {
                    self.out.source(span);
                } else if value.kind != ValueKind::Undefined && value.ty.is_some() && !public() {
                    self.info(13, v, Some(entry))?;
                }
                self.written.insert(v);
            }
            What::ValueInfo(None) => {
                // the name was nobody's; it must not come to describe a new value
                if self.g.find(&decode_value_info(self.s.data, body)?.0).is_none() {
                    self.out.source(span);
                }
            }
            What::Annotation(Some(v)) if self.g.value(v).kind == ValueKind::Undefined => {}
            _ => self.out.source(span),
        }
        Ok(())
    }

    fn filed_node(&mut self, id: NodeId, entry: &'a Entry) -> Result<()> {
        let Some(node) = &self.g.nodes[id.index()] else { return Ok(()) };
        if !self.ordered {
            return self.rest(1);
        }
        // nodes that an edit put in front of this one
        while let Some(&next) = self.g.order.get(self.next) {
            if next == id || (!self.done.contains(&next) && self.is_filed(next)) {
                break;
            }
            self.loose_node(next)?;
        }
        if node.state.is_original() {
            self.s.item(1, Kind::Node, entry.span.clone(), entry.body.clone(), &mut self.out)?;
        } else {
            let message = self.s.node_of(self.g, node)?;
            self.out.message(1, message);
        }
        self.done.insert(id);
        Ok(())
    }

    /// True for nodes that have an entry of their own in this graph.
    fn is_filed(&self, id: NodeId) -> bool {
        let range = self.g.layout.as_ref().map(|l| &l.range);
        let origin = self.g.node(id).state.origin.as_ref();
        range.zip(origin).is_some_and(|(range, origin)| range.contains(&origin.start))
    }

    /// Writes the next node of the order, unless it is written.
    fn loose_node(&mut self, id: NodeId) -> Result<()> {
        self.next += 1;
        if self.done.insert(id) {
            let message = self.s.node_of(self.g, self.g.node(id))?;
            self.out.message(1, message);
        }
        Ok(())
    }

    /// Writes what is left of one kind: 1 nodes, 2 initializers, 3 inputs, 4 outputs, 5 types.
    fn rest(&mut self, number: u8) -> Result<()> {
        match number {
            1 => {
                while let Some(&id) = self.g.order.get(self.next) {
                    self.loose_node(id)?;
                }
            }
            2 => {
                for (_, tensor) in self.g.initializers.iter().filter(|(v, _)| !self.written.contains(*v)) {
                    let message = self.s.tensor(tensor, None)?;
                    self.out.message(5, message);
                }
            }
            3 => {
                let filed: HashSet<ValueId> = self
                    .entries
                    .iter()
                    .filter_map(|e| if let What::Input(v) = e.what { Some(v) } else { None })
                    .collect();
                for &v in self.g.inputs.iter().filter(|v| !filed.contains(v)) {
                    self.info(11, v, None)?;
                }
            }
            4 => {
                if !self.same_outputs {
                    for &v in &self.g.outputs {
                        let entry = self.entries.iter().find(|e| e.what == What::Output(v));
                        self.info(12, v, entry)?;
                    }
                }
            }
            _ => {
                let public: HashSet<ValueId> = self.g.inputs.iter().chain(&self.g.outputs).copied().collect();
                for v in self.g.value_ids() {
                    let value = self.g.value(v);
                    let made = matches!(value.kind, ValueKind::Output { .. });
                    if value.edited && made && value.ty.is_some() && !self.written.contains(&v) && !public.contains(&v)
                    {
                        self.info(13, v, None)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn info(&mut self, number: u32, v: ValueId, entry: Option<&Entry>) -> Result<()> {
        let value = self.g.value(v);
        match entry {
            Some(entry) if !value.edited => self.out.source(entry.span.clone()),
            _ => {
                let message = self.s.value_info(&value.name, value.ty.as_ref(), entry.map(|e| e.body.clone()))?;
                self.out.message(number, message);
            }
        }
        Ok(())
    }
}

/// Groups entries by what new parts go behind them.
fn kind_of(what: &What) -> u8 {
    match what {
        What::Node(_) => 1,
        What::Initializer(_) | What::Sparse(_) => 2,
        What::Input(_) => 3,
        What::Output(_) => 4,
        What::ValueInfo(_) => 5,
        _ => 0,
    }
}

/// Refuses what would be written wrong: a tensor of the source that refers to a file which is to move, unmoved.
pub fn unplaced(location: &str) -> Error {
    Error::Unsupported { what: format!("moving external data `{location}` of a tensor inside an unknown structure") }
}
