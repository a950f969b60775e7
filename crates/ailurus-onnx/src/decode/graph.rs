//! Graphs: names become values, nodes become indexed.

use super::node::{RawNode, decode_node, text};
use super::{leaf, tensor::decode_tensor, thin, types::tensor_type};
use crate::error::{Error, Result};
use crate::graph::{NodeState, ValueKind};
use crate::layout::{Entry, Layout, What};
use crate::wire::{Field, Fields};
use crate::{Attribute, DataType, Graph, Node, NodeId, Storage, Tensor, TensorType, Use, ValueId};
use indexmap::IndexSet;
use onnx_protobuf::{SparseTensorProto, TensorAnnotation, ValueInfoProto};
use std::{collections::HashSet, ops::Range, sync::Arc};

/// Decodes the `GraphProto` at `range`. Names that nothing defines are errors in a `top` graph and captures in a
/// subgraph.
pub fn decode_graph(data: &[u8], range: Range<usize>, top: bool) -> Result<Graph> {
    let mut b = Builder::default();
    for field in Fields::new(data, range.clone()) {
        let field = field?;
        let Some(body) = field.body() else {
            b.push(&field, What::Other);
            continue;
        };
        match field.number {
            1 => b.raw_node(&field, decode_node(data, body)?),
            2 => {
                b.graph.name = text(data, body)?;
                b.push(&field, What::Other);
            }
            5 => {
                let tensor = decode_tensor(data, body)?;
                let id = b.initializer(tensor)?;
                b.push(&field, What::Initializer(id));
            }
            15 => {
                let id = b.initializer(decode_sparse(data, body)?)?;
                b.push(&field, What::Sparse(id));
            }
            11 => {
                let (name, ty) = decode_value_info(data, body)?;
                let id = b.input(&name)?;
                b.graph.values[id.index()].ty = ty;
                b.push(&field, What::Input(id));
            }
            12 | 13 => {
                let (name, ty) = decode_value_info(data, body)?;
                b.infos.push((b.entries.len(), name, ty, field.number == 12));
                b.push(&field, What::Other);
            }
            14 => {
                let proto: TensorAnnotation = leaf(data, body)?;
                b.annotations.push((b.entries.len(), proto.tensor_name));
                b.push(&field, What::Other);
            }
            _ => b.push(&field, What::Other),
        }
    }
    b.finish(Some(range), top)
}

/// Name and type in a `ValueInfoProto`.
pub fn decode_value_info(data: &[u8], range: Range<usize>) -> Result<(String, Option<TensorType>)> {
    let proto: ValueInfoProto = leaf(data, range)?;
    let ty = proto.type_.as_ref().and_then(tensor_type);
    Ok((proto.name, ty))
}

fn decode_sparse(data: &[u8], range: Range<usize>) -> Result<Tensor> {
    let proto: SparseTensorProto = thin(data, range.clone(), &[1, 2])?;
    let mut tensor =
        Tensor { name: String::new(), dtype: DataType::Undefined, dims: proto.dims, storage: Storage::Absent };
    for field in Fields::new(data, range) {
        let field = field?;
        if let (1, Some(body)) = (field.number, field.body()) {
            let values = decode_tensor(data, body)?;
            (tensor.name, tensor.dtype) = (values.name, values.dtype);
        }
    }
    Ok(tensor)
}

/// Collects the parts of a graph in file order, then resolves names.
#[derive(Default)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    raw: Vec<RawNode>,
    seen: HashSet<ValueId>,
    /// Fields so far.
    pub entries: Vec<Entry>,
    /// `value_info` and outputs: entry, name, type, is output.
    pub infos: Vec<(usize, String, Option<TensorType>, bool)>,
    annotations: Vec<(usize, String)>,
    /// Outputs given by name alone (functions).
    pub outputs: Vec<String>,
}

impl Builder {
    /// Records a field.
    pub fn push(&mut self, field: &Field, what: What) {
        let body = field.body().unwrap_or(field.span.end..field.span.end);
        self.entries.push(Entry { span: field.span.clone(), body, what });
    }

    /// Records a node.
    pub fn raw_node(&mut self, field: &Field, node: RawNode) {
        let id = NodeId(self.raw.len() as u32);
        self.raw.push(node);
        self.push(field, What::Node(id));
    }

    /// Adds a node that is in no file.
    pub fn new_node(&mut self, node: RawNode) {
        self.raw.push(node);
    }

    /// Defines a graph input.
    pub fn input(&mut self, name: &str) -> Result<ValueId> {
        let id = self.graph.intern(name);
        if !self.seen.insert(id) {
            return Err(duplicate(name, "an input of the graph", "another input"));
        }
        if self.graph.value(id).kind == ValueKind::Undefined {
            self.graph.values[id.index()].kind = ValueKind::Input;
        }
        self.graph.inputs.push(id);
        Ok(id)
    }

    fn initializer(&mut self, tensor: Tensor) -> Result<ValueId> {
        let id = self.graph.intern(&tensor.name);
        self.graph.values[id.index()].kind = ValueKind::Initializer;
        let name = tensor.name.clone();
        if self.graph.initializers.insert(id, tensor).is_some() {
            return Err(duplicate(&name, "an initializer", "another initializer"));
        }
        Ok(id)
    }

    /// Resolves names and computes the execution order.
    pub fn finish(mut self, range: Option<Range<usize>>, top: bool) -> Result<Graph> {
        for (index, raw) in self.raw.iter().enumerate() {
            define_outputs(&mut self.graph, raw, NodeId(index as u32))?;
        }
        let nodes = std::mem::take(&mut self.raw);
        for (index, raw) in nodes.into_iter().enumerate() {
            self.add_node(raw, NodeId(index as u32), top)?;
        }
        for name in std::mem::take(&mut self.outputs) {
            let reader = format!("the output list of function `{}`", self.graph.name);
            let id = self.graph.reference(&name, top, || reader)?;
            self.graph.add_output(id);
        }
        for (entry, name, ty, output) in std::mem::take(&mut self.infos) {
            let what = if output {
                let reader = format!("the output list of graph `{}`", self.graph.name);
                let id = self.graph.reference(&name, top, || reader)?;
                self.graph.add_output(id);
                // a declared type of an output wins over `value_info`, whichever comes first
                let slot = &mut self.graph.values[id.index()].ty;
                *slot = ty.or(slot.take());
                What::Output(id)
            } else {
                let id = self.graph.find(&name);
                if let Some(id) = id {
                    let slot = &mut self.graph.values[id.index()].ty;
                    *slot = slot.take().or(ty);
                }
                What::ValueInfo(id)
            };
            self.entries[entry].what = what;
        }
        for (entry, name) in std::mem::take(&mut self.annotations) {
            self.entries[entry].what = What::Annotation(self.graph.find(&name));
        }
        let entries = self.entries;
        self.graph.layout = range.map(|range| Arc::new(Layout { range, entries }));
        self.graph.sort(|_| true)?;
        Ok(self.graph)
    }

    fn add_node(&mut self, raw: RawNode, id: NodeId, top: bool) -> Result<()> {
        let g = &mut self.graph;
        let shown = || describe(&raw.name, &raw.op_type);
        let mut inputs = Vec::with_capacity(raw.inputs.len());
        for (slot, name) in raw.inputs.iter().enumerate() {
            let value = if name.is_empty() { None } else { Some(g.reference(name, top, shown)?) };
            if let Some(value) = value {
                g.values[value.index()].uses.push(Use::Input { node: id, slot });
            }
            inputs.push(value);
        }
        let mut captures = IndexSet::new();
        for inner in raw.attributes.values().flat_map(Attribute::graphs) {
            for name in inner.captured_names() {
                let value = g.reference(name, top, shown)?;
                if captures.insert(value) {
                    g.values[value.index()].uses.push(Use::Capture { node: id });
                }
            }
        }
        let outputs = raw.outputs.iter().map(|n| if n.is_empty() { None } else { g.find(n) }).collect();
        g.nodes.push(Some(Node {
            name: raw.name,
            op_type: raw.op_type,
            domain: raw.domain,
            inputs,
            outputs,
            attributes: raw.attributes,
            captures: captures.into_iter().collect(),
            overload: raw.overload,
            state: NodeState { origin: raw.range, ..NodeState::default() },
        }));
        g.order.push(id);
        Ok(())
    }
}

fn define_outputs(g: &mut Graph, raw: &RawNode, node: NodeId) -> Result<()> {
    for (slot, name) in raw.outputs.iter().enumerate().filter(|(_, n)| !n.is_empty()) {
        let id = g.intern(name);
        let first = match g.value(id).kind {
            ValueKind::Undefined | ValueKind::Captured => None,
            ValueKind::Input => Some("an input of the graph".to_owned()),
            ValueKind::Initializer => Some("an initializer".to_owned()),
            ValueKind::Output { node, .. } => Some(format!("output of an earlier node (number {})", node.0)),
        };
        if let Some(first) = first {
            return Err(duplicate(name, &first, &describe(&raw.name, &raw.op_type)));
        }
        g.values[id.index()].kind = ValueKind::Output { node, slot };
    }
    Ok(())
}

fn duplicate(name: &str, first: &str, second: &str) -> Error {
    Error::Duplicate { name: name.into(), first: first.into(), second: second.into() }
}

/// A node in an error message.
pub fn describe(name: &str, op_type: &str) -> String {
    if name.is_empty() { format!("a node {op_type} without name") } else { format!("node `{name}` ({op_type})") }
}
