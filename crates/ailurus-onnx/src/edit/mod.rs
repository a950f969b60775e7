//! [`GraphEdit`]: the only way to change a model.

mod functions;
mod inline;
mod interface;
mod nested;
mod nodes;
mod prune;
mod values;

pub use functions::{FunctionNode, FunctionSpec};
pub use nodes::NodeSpec;

use crate::decode::describe;
use crate::error::{Error, Result};
use crate::{Attribute, Graph, Model, NodeId, OpsetImport, Use, ValueId, ValueKind};
use std::collections::HashSet;

/// A model being changed. Every operation checks its arguments and changes nothing when it fails; [`GraphEdit::finish`]
/// checks the result as a whole.
///
/// Nodes may be added in any order: `finish` puts each new node right before the first node that needs it. Nodes that
/// were there keep their relative order, and their bytes unless they were changed.
#[derive(Debug)]
pub struct GraphEdit {
    model: Model,
    /// Every name in use anywhere in the main graph and its subgraphs, and every name handed out.
    taken: HashSet<String>,
    /// Names defined inside subgraphs, with the node that holds them.
    inner: HashSet<String>,
    /// Nodes below this index were there when the edit began.
    anchored: usize,
}

impl GraphEdit {
    /// Starts editing.
    pub fn new(model: Model) -> Self {
        let anchored = model.graph.node_capacity();
        let mut edit = Self { model, taken: HashSet::new(), inner: HashSet::new(), anchored };
        let g = &edit.model.graph;
        edit.taken.extend(g.by_name.keys().cloned());
        for node in g.order.iter().map(|&id| g.node(id)) {
            edit.taken.insert(node.name.clone());
            for inner in node.attributes.values().flat_map(Attribute::graphs) {
                nested::local_names(inner, &mut edit.inner);
            }
        }
        edit.taken.extend(edit.inner.iter().cloned());
        edit
    }

    /// The model as it is now. New nodes are at the end of the order until [`GraphEdit::finish`].
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The main graph as it is now.
    pub fn graph(&self) -> &Graph {
        &self.model.graph
    }

    /// A name that nothing uses: `base`, or `base` with a number. It is reserved from now on.
    pub fn fresh_name(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut number = 1;
        while name.is_empty() || self.taken.contains(&name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.taken.insert(name.clone());
        name
    }

    /// Declares that the model uses version `version` of `domain`, replacing an earlier declaration.
    pub fn import_opset(&mut self, domain: &str, version: i64) {
        let domain = if domain == "ai.onnx" { "" } else { domain };
        let imports = &mut self.model.header.opset_imports;
        match imports.iter_mut().find(|o| o.domain == domain) {
            Some(import) => import.version = version,
            None => imports.push(OpsetImport { domain: domain.into(), version }),
        }
    }

    /// Sets a metadata property of the model.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        self.model.header.metadata.insert(key.into(), value.into());
    }

    /// Removes a metadata property of the model.
    pub fn remove_metadata(&mut self, key: &str) {
        self.model.header.metadata.shift_remove(key);
    }

    /// Names the tool that writes the file.
    pub fn set_producer(&mut self, name: &str, version: &str) {
        self.model.header.producer_name = name.into();
        self.model.header.producer_version = version.into();
    }

    /// Checks the result and puts the nodes in execution order. Fails on use of undefined names and on cycles.
    pub fn finish(mut self) -> Result<Model> {
        let g = &self.model.graph;
        for (_, node) in g.nodes() {
            for &value in node.inputs.iter().flatten().chain(&node.captures) {
                if g.value(value).kind == ValueKind::Undefined {
                    let reader = describe(&node.name, &node.op_type);
                    return Err(Error::Undefined { name: g.name_of(value).into(), reader });
                }
            }
        }
        for &value in g.outputs() {
            if g.value(value).kind == ValueKind::Undefined {
                return Err(Error::Undefined { name: g.name_of(value).into(), reader: "the output list".into() });
            }
        }
        let anchored = self.anchored;
        self.model.graph.sort(|id| id.index() < anchored)?;
        self.model.graph.sort_uses();
        Ok(self.model)
    }

    fn graph_mut(&mut self) -> &mut Graph {
        &mut self.model.graph
    }

    /// Fails unless the value exists and is defined.
    fn alive(&self, value: ValueId) -> Result<()> {
        match self.graph().values.get(value.index()).map(|v| v.kind) {
            None => Err(Error::edit(format!("value {} is not of this graph", value.0))),
            Some(ValueKind::Undefined) => {
                Err(Error::edit(format!("value `{}` was removed", self.graph().name_of(value))))
            }
            Some(_) => Ok(()),
        }
    }

    /// Fails unless the node exists.
    fn live_node(&self, node: NodeId) -> Result<()> {
        match self.graph().nodes.get(node.index()) {
            Some(Some(_)) => Ok(()),
            Some(None) => Err(Error::edit(format!("node {} was removed", node.0))),
            None => Err(Error::edit(format!("node {} is not of this graph", node.0))),
        }
    }

    /// Fails unless `name` may be given to a new value.
    fn free(&self, name: &str, whose: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::edit(format!("{whose} needs a name")));
        }
        if self.graph().find(name).is_some() {
            let (first, second) = (self.definition(name), whose.to_owned());
            return Err(Error::Duplicate { name: name.into(), first, second });
        }
        if self.inner.contains(name) {
            return Err(Error::Shadowed { name: name.into(), node: self.holder_of(name) });
        }
        Ok(())
    }

    fn definition(&self, name: &str) -> String {
        let g = self.graph();
        match g.find(name).map(|v| g.value(v).kind) {
            Some(ValueKind::Input) => "an input of the graph".into(),
            Some(ValueKind::Initializer) => "an initializer".into(),
            Some(ValueKind::Output { node, .. }) => {
                let node = g.node(node);
                describe(&node.name, &node.op_type)
            }
            _ => "a removed value".into(),
        }
    }

    /// The node whose subgraph defines `name`.
    fn holder_of(&self, name: &str) -> String {
        let holds = |n: &&crate::Node| {
            let mut names = HashSet::new();
            n.attributes.values().flat_map(Attribute::graphs).for_each(|g| nested::local_names(g, &mut names));
            names.contains(name)
        };
        let found = self.graph().nodes().map(|(_, n)| n).find(holds);
        found.map_or_else(|| "some node".into(), |n| describe(&n.name, &n.op_type))
    }

    fn add_use(&mut self, value: ValueId, used: Use) {
        self.graph_mut().values[value.index()].uses.push(used);
    }

    fn drop_use(&mut self, value: ValueId, used: Use) {
        self.graph_mut().values[value.index()].uses.retain(|u| *u != used);
    }
}
