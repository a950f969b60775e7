//! The indexed graph: values and nodes as plain data, with producers, consumers and captures.

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::{Attribute, DataType, Tensor};
use indexmap::{IndexMap, IndexSet};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

/// Identifies a value (edge) of one [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

/// Identifies a node of one [`Graph`]; stable under edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl ValueId {
    /// Position in dense side tables of length [`Graph::value_count`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// Position in dense side tables of length [`Graph::node_capacity`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// known size
    Value(i64),
    /// named symbolic size
    Param(String),
    /// nothing known
    Unknown,
}

/// Declared type of a value (graph input, output or `value_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DataType,
    /// Shape; `None` when even the rank is unknown.
    pub shape: Option<Vec<Dim>>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// input of the graph (an initializer with the same name makes it optional: then it is `Initializer`)
    Input,
    /// constant stored with the graph
    Initializer,
    /// output `slot` of a node
    Output {
        /// producing node
        node: NodeId,
        /// output position
        slot: usize,
    },
    /// name defined in an enclosing graph (subgraphs only)
    Captured,
    /// name that nothing defines (never in a graph that loaded without error)
    Undefined,
}

/// One consumption of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
    /// input `slot` of a node
    Input {
        /// consuming node
        node: NodeId,
        /// input position
        slot: usize,
    },
    /// captured by a subgraph of a node
    Capture {
        /// node that holds the subgraph
        node: NodeId,
    },
    /// output of the graph
    GraphOutput {
        /// position in [`Graph::outputs`]
        index: usize,
    },
}

/// An edge of the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name in the file.
    pub name: String,
    /// Declared type, if the file has one.
    pub ty: Option<TensorType>,
    /// Where it comes from.
    pub kind: ValueKind,
    /// Who reads it, in node order.
    pub uses: Vec<Use>,
    /// Name or type differ from the source file.
    pub(crate) edited: bool,
}

/// An operator application.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the file; may be empty.
    pub name: String,
    /// Operator, for example `MatMul`.
    pub op_type: String,
    /// Operator domain; `""` and `ai.onnx` are the same and stored as `""`.
    pub domain: String,
    /// Inputs; `None` for an omitted optional one.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs; `None` for an omitted optional one.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes in file order.
    pub attributes: IndexMap<String, Attribute>,
    /// Values of this graph that subgraphs of the node read by name.
    pub captures: Vec<ValueId>,
    /// Overload of a model-local function that the node calls; empty nearly always.
    pub overload: String,
    pub(crate) state: NodeState,
}

/// How a node relates to the source file.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeState {
    /// The node's message in the source file; `None` for a node made by an edit.
    pub(crate) origin: Option<Range<usize>>,
    /// Inputs or outputs differ from the source, or one of their names does.
    pub(crate) wires: bool,
    /// Operator or domain differ from the source.
    pub(crate) op: bool,
    /// Attributes that differ from the source (changed, new or removed).
    pub(crate) attributes: BTreeSet<String>,
}

impl NodeState {
    /// True when the bytes in the source still are the node.
    pub(crate) fn is_original(&self) -> bool {
        self.origin.is_some() && !self.wires && !self.op && self.attributes.is_empty()
    }
}

impl Node {
    /// Input `slot`, if present.
    pub fn input(&self, slot: usize) -> Option<ValueId> {
        self.inputs.get(slot).copied().flatten()
    }
    /// Output `slot`, if present.
    pub fn output(&self, slot: usize) -> Option<ValueId> {
        self.outputs.get(slot).copied().flatten()
    }
    /// Integer attribute, or the default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attributes.get(name).and_then(Attribute::as_int).unwrap_or(default)
    }
    /// Integer list attribute.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attributes.get(name).and_then(Attribute::as_ints)
    }
    /// Float attribute, or the default.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attributes.get(name).and_then(Attribute::as_float).unwrap_or(default)
    }
    /// String attribute.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Attribute::as_str)
    }
    /// `domain::op_type`, or just the operator for the default domain.
    pub fn qualified_op(&self) -> String {
        if self.domain.is_empty() { self.op_type.clone() } else { format!("{}::{}", self.domain, self.op_type) }
    }
}

/// A graph or subgraph with its indices.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name in the file.
    pub name: String,
    pub(crate) values: Vec<Value>,
    pub(crate) by_name: HashMap<String, ValueId>,
    pub(crate) nodes: Vec<Option<Node>>,
    /// Execution order.
    pub(crate) order: Vec<NodeId>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) initializers: IndexMap<ValueId, Tensor>,
    /// Where the parts lie in the source file; `None` for a graph made from nothing.
    pub(crate) layout: Option<Arc<Layout>>,
}

impl Graph {
    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.index()].as_ref().expect("node ids are only handed out for live nodes")
    }
    /// The value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }
    /// Name of a value.
    pub fn name_of(&self, id: ValueId) -> &str {
        &self.value(id).name
    }
    /// Value with this name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.by_name.get(name).copied()
    }
    /// Nodes in execution order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> + DoubleEndedIterator {
        self.order.iter().map(|&id| (id, self.node(id)))
    }
    /// Graph inputs, without those that are initializers.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> {
        self.inputs.iter().copied().filter(|v| !self.initializers.contains_key(v))
    }
    /// Graph outputs.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }
    /// Initializers in file order.
    pub fn initializers(&self) -> impl Iterator<Item = (ValueId, &Tensor)> {
        self.initializers.iter().map(|(&v, t)| (v, t))
    }
    /// Producing node and output slot.
    pub fn producer(&self, value: ValueId) -> Option<(NodeId, usize)> {
        match self.value(value).kind {
            ValueKind::Output { node, slot } => Some((node, slot)),
            _ => None,
        }
    }
    /// Uses of a value.
    pub fn uses(&self, value: ValueId) -> &[Use] {
        &self.value(value).uses
    }
    /// Uses of a value by the graph's outputs and by nodes that are not `inside`.
    pub fn uses_outside(&self, value: ValueId, inside: impl Fn(NodeId) -> bool) -> impl Iterator<Item = Use> {
        self.uses(value).iter().copied().filter(move |u| match *u {
            Use::Input { node, .. } | Use::Capture { node } => !inside(node),
            Use::GraphOutput { .. } => true,
        })
    }
    /// Nodes that read a value (as input or capture), each once, in order.
    pub fn consumers(&self, value: ValueId) -> Vec<NodeId> {
        let reader = |u: &Use| match *u {
            Use::Input { node, .. } | Use::Capture { node } => Some(node),
            Use::GraphOutput { .. } => None,
        };
        let distinct: IndexSet<NodeId> = self.uses(value).iter().filter_map(reader).collect();
        distinct.into_iter().collect()
    }
    /// Stored tensor of a constant value: an initializer, or the `value` of a `Constant` node.
    /// For the other forms of `Constant` see [`Graph::constant`].
    pub fn initializer(&self, value: ValueId) -> Option<&Tensor> {
        self.initializers.get(&value).or_else(|| {
            let (node, _) = self.producer(value)?;
            let node = self.node(node);
            if node.op_type != "Constant" || !node.domain.is_empty() {
                return None;
            }
            node.attributes.get("value")?.as_tensor()
        })
    }
    /// The constant a value stands for: an initializer, or a `Constant` node in any of its dense forms.
    pub fn constant(&self, value: ValueId) -> Option<Cow<'_, Tensor>> {
        if let Some(tensor) = self.initializer(value) {
            return Some(Cow::Borrowed(tensor));
        }
        let (node, _) = self.producer(value)?;
        let node = self.node(node);
        if node.op_type != "Constant" || !node.domain.is_empty() {
            return None;
        }
        let name = self.name_of(value);
        let (key, attribute) = node.attributes.first()?;
        let tensor = match (key.as_str(), attribute) {
            ("value_int", Attribute::Int(v)) => Tensor::from_i64(name, &[], &[*v]),
            ("value_ints", Attribute::Ints(v)) => Tensor::from_i64(name, &[v.len() as i64], v),
            ("value_float", Attribute::Float(v)) => Tensor::from_f32(name, &[], &[*v]),
            ("value_floats", Attribute::Floats(v)) => Tensor::from_f32(name, &[v.len() as i64], v),
            ("value_string", Attribute::Str(v)) => Tensor::from_strings(name, &[], vec![v.clone()]),
            ("value_strings", Attribute::Strs(v)) => Tensor::from_strings(name, &[v.len() as i64], v.clone()),
            _ => return None,
        };
        Some(Cow::Owned(tensor))
    }
    /// Number of values ever created: length for dense side tables.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }
    /// Number of node ids ever created: length for dense side tables.
    pub fn node_capacity(&self) -> usize {
        self.nodes.len()
    }
    /// All value ids.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// Value with this name, made on the spot if there is none.
    pub(crate) fn intern(&mut self, name: &str) -> ValueId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = ValueId(self.values.len() as u32);
        let kind = ValueKind::Undefined;
        self.values.push(Value { name: name.into(), ty: None, kind, uses: Vec::new(), edited: false });
        self.by_name.insert(name.into(), id);
        id
    }

    /// Value that `name` refers to when `reader` reads it: in a subgraph an unknown name is a capture.
    pub(crate) fn reference(&mut self, name: &str, top: bool, reader: impl FnOnce() -> String) -> Result<ValueId> {
        if let Some(id) = self.find(name) {
            return Ok(id);
        }
        if top {
            return Err(Error::Undefined { name: name.into(), reader: reader() });
        }
        let id = self.intern(name);
        self.values[id.index()].kind = ValueKind::Captured;
        Ok(id)
    }

    pub(crate) fn add_output(&mut self, id: ValueId) {
        let index = self.outputs.len();
        self.values[id.index()].uses.push(Use::GraphOutput { index });
        self.outputs.push(id);
    }

    /// Names this graph reads from an enclosing one, in order of appearance.
    pub(crate) fn captured_names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter(|v| v.kind == ValueKind::Captured).map(|v| v.name.as_str())
    }
}
