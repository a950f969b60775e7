//! Adding, changing and removing nodes.

use super::{GraphEdit, nested};
use crate::decode::describe;
use crate::error::{Error, Result};
use crate::graph::NodeState;
use crate::{Attribute, Node, NodeId, TensorType, Use, ValueId, ValueKind};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashSet;

/// A node to add.
#[derive(Clone, Debug, Default)]
pub struct NodeSpec {
    /// Name; may be empty.
    pub name: String,
    /// Operator.
    pub op_type: String,
    /// Operator domain; `""` is the ONNX standard.
    pub domain: String,
    /// Inputs; `None` for an omitted optional one.
    pub inputs: Vec<Option<ValueId>>,
    /// Names of the outputs (`""` for an omitted one) and their types, when known.
    pub outputs: Vec<(String, Option<TensorType>)>,
    /// Attributes.
    pub attributes: IndexMap<String, Attribute>,
}

impl NodeSpec {
    /// A node of a standard operator with these inputs.
    pub fn new(op_type: impl Into<String>, inputs: impl IntoIterator<Item = ValueId>) -> Self {
        Self { op_type: op_type.into(), inputs: inputs.into_iter().map(Some).collect(), ..Self::default() }
    }
    /// Sets the name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
    /// Sets the domain.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }
    /// Appends an input; `None` for an omitted one.
    pub fn input(mut self, value: impl Into<Option<ValueId>>) -> Self {
        self.inputs.push(value.into());
        self
    }
    /// Appends an output.
    pub fn output(mut self, name: impl Into<String>, ty: impl Into<Option<TensorType>>) -> Self {
        self.outputs.push((name.into(), ty.into()));
        self
    }
    /// Sets an attribute.
    pub fn attribute(mut self, name: impl Into<String>, value: Attribute) -> Self {
        self.attributes.insert(name.into(), value);
        self
    }
}

impl GraphEdit {
    /// Adds a node. Its place in the order is found by [`GraphEdit::finish`].
    pub fn add_node(&mut self, spec: NodeSpec) -> Result<NodeId> {
        let shown = describe(&spec.name, &spec.op_type);
        if spec.op_type.is_empty() {
            return Err(Error::edit(format!("{shown} needs an operator")));
        }
        for &value in spec.inputs.iter().flatten() {
            self.alive(value)?;
        }
        let mut own = HashSet::new();
        for (name, _) in spec.outputs.iter().filter(|(n, _)| !n.is_empty()) {
            self.free(name, &shown)?;
            if !own.insert(name) {
                let (first, second) = (shown.clone(), "the same node".into());
                return Err(Error::Duplicate { name: name.clone(), first, second });
            }
        }
        let captures = self.captures_of(spec.attributes.values(), &shown)?;
        let locals = self.local_names(spec.attributes.values(), &shown)?;
        self.inner.extend(locals);

        let id = NodeId(self.graph().nodes.len() as u32);
        let mut outputs = Vec::with_capacity(spec.outputs.len());
        for (slot, (name, ty)) in spec.outputs.into_iter().enumerate() {
            outputs.push(if name.is_empty() {
                None
            } else {
                self.taken.insert(name.clone());
                let value = self.graph_mut().intern(&name);
                let entry = &mut self.graph_mut().values[value.index()];
                (entry.ty, entry.kind, entry.edited) = (ty, ValueKind::Output { node: id, slot }, true);
                Some(value)
            });
        }
        for &capture in &captures {
            self.add_use(capture, Use::Capture { node: id });
        }
        let domain = if spec.domain == "ai.onnx" { String::new() } else { spec.domain };
        self.taken.insert(spec.name.clone());
        self.graph_mut().nodes.push(Some(Node {
            name: spec.name,
            op_type: spec.op_type,
            domain,
            inputs: Vec::new(),
            outputs,
            attributes: spec.attributes,
            captures,
            overload: String::new(),
            state: NodeState::default(),
        }));
        self.graph_mut().order.push(id);
        self.wire(id, spec.inputs);
        Ok(id)
    }

    /// Adds a node and returns its first output.
    pub fn add(&mut self, spec: NodeSpec) -> Result<ValueId> {
        if spec.outputs.first().is_none_or(|(name, _)| name.is_empty()) {
            return Err(Error::edit(format!("{} has no output to return", describe(&spec.name, &spec.op_type))));
        }
        let id = self.add_node(spec)?;
        self.graph().node(id).output(0).ok_or_else(|| Error::edit("a node without output"))
    }

    /// Output values of a node, without omitted ones.
    pub fn outputs(&self, node: NodeId) -> Vec<ValueId> {
        self.graph().node(node).outputs.iter().flatten().copied().collect()
    }

    /// Connects one input; a slot past the end is filled up with omitted inputs.
    pub fn set_input(&mut self, node: NodeId, slot: usize, value: Option<ValueId>) -> Result<()> {
        self.live_node(node)?;
        let mut inputs = self.graph().node(node).inputs.clone();
        if slot >= inputs.len() {
            inputs.resize(slot.saturating_add(1).min(1 << 16), None);
        }
        let Some(entry) = inputs.get_mut(slot) else {
            return Err(Error::edit(format!("no operator has an input {slot}")));
        };
        *entry = value;
        self.set_inputs(node, inputs)
    }

    /// Replaces all inputs. Omitted inputs at the end are dropped: some runtimes crash on empty names.
    pub fn set_inputs(&mut self, node: NodeId, inputs: Vec<Option<ValueId>>) -> Result<()> {
        self.live_node(node)?;
        for &value in inputs.iter().flatten() {
            self.alive(value)?;
        }
        let old = self.graph().node(node).inputs.clone();
        for (slot, value) in old.into_iter().enumerate() {
            if let Some(value) = value {
                self.drop_use(value, Use::Input { node, slot });
            }
        }
        self.wire(node, inputs);
        Ok(())
    }

    fn wire(&mut self, id: NodeId, mut inputs: Vec<Option<ValueId>>) {
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        for (slot, value) in inputs.iter().enumerate() {
            if let Some(value) = *value {
                self.add_use(value, Use::Input { node: id, slot });
            }
        }
        let node = self.node_mut(id);
        node.inputs = inputs;
        node.state.wires = true;
    }

    /// Sets an attribute, new or not.
    pub fn set_attribute(&mut self, node: NodeId, name: &str, value: Attribute) -> Result<()> {
        self.live_node(node)?;
        let shown = self.shown(node);
        self.captures_of(std::iter::once(&value), &shown)?;
        let locals = self.local_names(std::iter::once(&value), &shown)?;
        self.inner.extend(locals);
        let entry = self.node_mut(node);
        entry.attributes.insert(name.into(), value);
        entry.state.attributes.insert(name.into());
        self.recapture(node)
    }

    /// Removes an attribute, if present.
    pub fn remove_attribute(&mut self, node: NodeId, name: &str) -> Result<()> {
        self.live_node(node)?;
        let entry = self.node_mut(node);
        if entry.attributes.shift_remove(name).is_some() {
            entry.state.attributes.insert(name.into());
        }
        self.recapture(node)
    }

    /// Changes the operator.
    pub fn set_op(&mut self, node: NodeId, op_type: &str, domain: &str) -> Result<()> {
        self.live_node(node)?;
        let entry = self.node_mut(node);
        entry.op_type = op_type.into();
        entry.domain = if domain == "ai.onnx" { String::new() } else { domain.into() };
        entry.state.op = true;
        Ok(())
    }

    /// Removes a node whose outputs nobody reads.
    pub fn remove_node(&mut self, node: NodeId) -> Result<()> {
        self.live_node(node)?;
        for value in self.outputs(node) {
            let user = match self.graph().uses(value).first() {
                None => continue,
                Some(Use::GraphOutput { .. }) => "the graph returns it".to_owned(),
                Some(Use::Input { node, .. } | Use::Capture { node }) => format!("{} reads it", self.shown(*node)),
            };
            let name = self.graph().name_of(value);
            return Err(Error::edit(format!("{} cannot go: output `{name}` is in use, {user}", self.shown(node))));
        }
        self.unlink(node);
        self.graph_mut().order.retain(|&id| id != node);
        Ok(())
    }

    /// Takes a node out of everything but the order.
    pub(super) fn unlink(&mut self, id: NodeId) {
        let Some(node) = self.graph_mut().nodes[id.index()].take() else { return };
        for (slot, value) in node.inputs.iter().enumerate() {
            if let Some(value) = *value {
                self.drop_use(value, Use::Input { node: id, slot });
            }
        }
        for &value in &node.captures {
            self.drop_use(value, Use::Capture { node: id });
        }
        for &value in node.outputs.iter().flatten() {
            self.bury(value);
        }
    }

    /// Takes a value out of the graph.
    pub(super) fn bury(&mut self, value: ValueId) {
        let g = self.graph_mut();
        let entry = &mut g.values[value.index()];
        (entry.kind, entry.ty) = (ValueKind::Undefined, None);
        entry.uses.clear();
        let name = entry.name.clone();
        if g.by_name.get(&name) == Some(&value) {
            g.by_name.remove(&name);
        }
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.graph_mut().nodes[id.index()].as_mut().expect("callers check that the node lives")
    }

    pub(super) fn shown(&self, id: NodeId) -> String {
        let node = self.graph().node(id);
        describe(&node.name, &node.op_type)
    }

    /// Values that subgraphs among `attributes` read by name.
    fn captures_of<'a>(&self, attributes: impl Iterator<Item = &'a Attribute>, shown: &str) -> Result<Vec<ValueId>> {
        let mut captures = IndexSet::new();
        for name in attributes.flat_map(Attribute::graphs).flat_map(|g| g.captured_names()) {
            let value = self.graph().find(name);
            captures.insert(value.ok_or_else(|| Error::Undefined { name: name.into(), reader: shown.into() })?);
        }
        Ok(captures.into_iter().collect())
    }

    /// Names that subgraphs among `attributes` define; none of them may be a name of the graph.
    fn local_names<'a>(&self, attributes: impl Iterator<Item = &'a Attribute>, shown: &str) -> Result<HashSet<String>> {
        let mut names = HashSet::new();
        attributes.flat_map(Attribute::graphs).for_each(|g| nested::local_names(g, &mut names));
        let mut clash: Vec<_> = names.iter().filter(|n| self.graph().find(n).is_some()).collect();
        clash.sort();
        match clash.first() {
            Some(name) => Err(Error::Shadowed { name: (*name).clone(), node: shown.into() }),
            None => Ok(names),
        }
    }

    /// Computes the captures of a node anew.
    pub(super) fn recapture(&mut self, id: NodeId) -> Result<()> {
        let node = self.graph().node(id);
        let captures = self.captures_of(node.attributes.values(), &self.shown(id))?;
        let old = std::mem::replace(&mut self.node_mut(id).captures, captures.clone());
        for value in old {
            self.drop_use(value, Use::Capture { node: id });
        }
        for value in captures {
            self.add_use(value, Use::Capture { node: id });
        }
        Ok(())
    }
}
