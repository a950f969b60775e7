//! Expanding calls of model-local functions.

use super::GraphEdit;
use super::nested::{graphs_mut, rename_value};
use crate::decode::describe;
use crate::error::{Error, Result};
use crate::graph::NodeState;
use crate::{Attribute, Function, Graph, Node, NodeId, Use, ValueId, ValueKind};
use indexmap::IndexMap;
use std::collections::HashMap;

/// Calls inside calls deeper than this are taken for a recursion.
const DEPTH_LIMIT: usize = 32;

impl GraphEdit {
    /// Replaces every call of a function of `domain` in the main graph by the function's body and removes the
    /// functions. Names inside are prefixed with the name of the call. Returns the number of calls expanded.
    pub fn inline_functions(&mut self, domain: &str) -> Result<usize> {
        let functions: Vec<Function> = self.model.functions.iter().filter(|f| f.domain == domain).cloned().collect();
        let find = |node: &Node| {
            functions
                .iter()
                .position(|f| node.domain == f.domain && node.op_type == f.name && node.overload == f.overload)
        };
        self.check_inlinable(domain, &find)?;
        let mut open: Vec<(NodeId, usize)> = self.graph().nodes().rev().map(|(id, _)| (id, 0)).collect();
        let mut count = 0;
        while let Some((id, depth)) = open.pop() {
            let Some(function) = find(self.graph().node(id)).map(|i| &functions[i]) else { continue };
            if depth >= DEPTH_LIMIT {
                return Err(Error::edit(format!("function {domain}::{} calls itself", function.name)));
            }
            open.extend(self.expand(id, function)?.into_iter().rev().map(|id| (id, depth + 1)));
            count += 1;
        }
        self.model.functions.retain(|f| f.domain != domain);
        if !self.graph().nodes().any(|(_, n)| n.domain == domain) {
            self.model.header.opset_imports.retain(|o| o.domain != domain);
        }
        Ok(count)
    }

    /// Refuses what the expansion could not do right, before anything changes.
    fn check_inlinable(&self, domain: &str, find: &impl Fn(&Node) -> Option<usize>) -> Result<()> {
        for (_, node) in self.graph().nodes() {
            for inner in node.attributes.values().flat_map(Attribute::graphs) {
                if any_node(inner, &|n| find(n).is_some()) {
                    let what = format!(
                        "a call of a function of `{domain}` inside a subgraph of {}",
                        describe(&node.name, &node.op_type)
                    );
                    return Err(Error::Unsupported { what });
                }
            }
        }
        for function in &self.model.functions {
            let inside = any_node(&function.body, &|n| find(n).is_some());
            if function.domain != domain && inside {
                let what = format!("a call of `{domain}` inside function {}::{}", function.domain, function.name);
                return Err(Error::Unsupported { what });
            }
            if function.domain != domain {
                continue;
            }
            for import in &function.opset_imports {
                let outer = self.model.header.opset_imports.iter().find(|o| o.domain == import.domain);
                if let Some(outer) = outer.filter(|o| o.version != import.version) {
                    let what = format!(
                        "inlining {domain}::{}, which is written for opset {} of `{}`, into a model of opset {}",
                        function.name, import.version, import.domain, outer.version
                    );
                    return Err(Error::Unsupported { what });
                }
            }
        }
        Ok(())
    }

    fn expand(&mut self, call: NodeId, function: &Function) -> Result<Vec<NodeId>> {
        let caller = self.graph().node(call).clone();
        let prefix = if caller.name.is_empty() { function.name.clone() } else { caller.name.clone() };
        for import in &function.opset_imports {
            if !self.model.header.opset_imports.iter().any(|o| o.domain == import.domain) {
                self.import_opset(&import.domain, import.version);
            }
        }
        let body = &function.body;
        // where each value of the body lives in the main graph; `None` for an omitted input
        let mut map: HashMap<ValueId, Option<ValueId>> = HashMap::new();
        for (slot, &formal) in body.inputs.iter().enumerate() {
            map.insert(formal, caller.input(slot));
        }
        // the call goes first, so that its outputs are free to be produced by the body
        let results: Vec<Option<ValueId>> = caller.outputs.clone();
        let kept: Vec<_> = results.iter().flatten().map(|&v| (v, self.graph().value(v).clone())).collect();
        self.unlink(call);
        self.graph_mut().order.retain(|&id| id != call);
        for (value, mut old) in kept {
            // a call that reads its own output is a circle, which `finish` reports
            old.uses.retain(|u| !matches!(u, Use::Input { node, .. } | Use::Capture { node } if *node == call));
            self.graph_mut().by_name.insert(old.name.clone(), value);
            self.graph_mut().values[value.index()] = old;
        }
        for (slot, &formal) in body.outputs.iter().enumerate() {
            let Some(result) = results.get(slot).copied().flatten() else { continue };
            if let Some(source) = map.get(&formal).copied() {
                // an output that is an input, or another output: hand it on
                let source = source.ok_or_else(|| Error::edit(format!("{prefix} returns an omitted input")))?;
                let name = self.fresh_name(&format!("{prefix}/Identity"));
                let id = self.push_node(identity(name, source, result));
                self.graph_mut().values[result.index()].kind = ValueKind::Output { node: id, slot: 0 };
            } else {
                map.insert(formal, Some(result));
            }
        }
        let mut added = Vec::new();
        for (_, node) in body.nodes() {
            added.push(self.copy_node(node, body, &caller, function, &prefix, &mut map)?);
        }
        Ok(added)
    }

    fn copy_node(
        &mut self,
        node: &Node,
        body: &Graph,
        caller: &Node,
        function: &Function,
        prefix: &str,
        map: &mut HashMap<ValueId, Option<ValueId>>,
    ) -> Result<NodeId> {
        let mut copy = node.clone();
        copy.name =
            self.fresh_name(&format!("{prefix}/{}", if node.name.is_empty() { &node.op_type } else { &node.name }));
        copy.attributes = resolve_attributes(&node.attributes, caller, function);
        copy.state.attributes.extend(node.attributes.keys().cloned());
        (copy.state.wires, copy.state.op) = (true, true);
        copy.inputs = node.inputs.iter().map(|v| v.and_then(|v| map.get(&v).copied().flatten())).collect();
        copy.captures = Vec::new();
        let names: HashMap<String, String> = node
            .captures
            .iter()
            .filter_map(|v| Some((body.name_of(*v).to_owned(), self.graph().name_of((*map.get(v)?)?).to_owned())))
            .collect();
        for graph in copy.attributes.values_mut().flat_map(graphs_mut) {
            self.adopt(graph, &names, prefix, caller, function);
        }
        let outputs = std::mem::take(&mut copy.outputs);
        let id = self.push_node(copy);
        for (slot, output) in outputs.into_iter().enumerate() {
            let value = match output {
                None => None,
                Some(inner) => {
                    let value = match map.get(&inner).copied().flatten() {
                        Some(value) => value,
                        None => {
                            let name = self.fresh_name(&format!("{prefix}/{}", body.name_of(inner)));
                            let value = self.graph_mut().intern(&name);
                            self.graph_mut().values[value.index()].ty = body.value(inner).ty.clone();
                            map.insert(inner, Some(value));
                            value
                        }
                    };
                    let entry = &mut self.graph_mut().values[value.index()];
                    (entry.kind, entry.edited) = (ValueKind::Output { node: id, slot }, true);
                    Some(value)
                }
            };
            self.node_mut(id).outputs.push(value);
        }
        self.recapture(id)?;
        Ok(id)
    }

    fn push_node(&mut self, mut node: Node) -> NodeId {
        while node.inputs.last() == Some(&None) {
            node.inputs.pop();
        }
        let id = NodeId(self.graph().nodes.len() as u32);
        for (slot, value) in node.inputs.iter().enumerate() {
            if let Some(value) = *value {
                self.add_use(value, Use::Input { node: id, slot });
            }
        }
        self.graph_mut().nodes.push(Some(node));
        self.graph_mut().order.push(id);
        id
    }

    /// Renames everything in a subgraph of a function body so that it fits the main graph.
    fn adopt(
        &mut self,
        graph: &mut Graph,
        names: &HashMap<String, String>,
        prefix: &str,
        caller: &Node,
        function: &Function,
    ) {
        let mut names = names.clone();
        for index in 0..graph.values.len() {
            let value = &graph.values[index];
            let name = match value.kind {
                ValueKind::Undefined => continue,
                ValueKind::Captured => names.get(&value.name).cloned().unwrap_or_else(|| value.name.clone()),
                _ => {
                    let name = self.fresh_name(&format!("{prefix}/{}", value.name));
                    self.inner.insert(name.clone());
                    names.insert(value.name.clone(), name.clone());
                    name
                }
            };
            rename_value(graph, ValueId(index as u32), &name);
        }
        for node in graph.nodes.iter_mut().flatten() {
            node.state.wires = true;
            node.state.attributes.extend(node.attributes.keys().cloned());
            node.attributes = resolve_attributes(&node.attributes, caller, function);
            for inner in node.attributes.values_mut().flat_map(graphs_mut) {
                self.adopt(inner, &names, prefix, caller, function);
            }
        }
    }
}

fn identity(name: String, source: ValueId, result: ValueId) -> Node {
    Node {
        name,
        op_type: "Identity".into(),
        domain: String::new(),
        inputs: vec![Some(source)],
        outputs: vec![Some(result)],
        attributes: IndexMap::new(),
        captures: Vec::new(),
        overload: String::new(),
        state: NodeState::default(),
    }
}

/// Replaces references to attributes of the function by what the call says.
fn resolve_attributes(
    attributes: &IndexMap<String, Attribute>,
    caller: &Node,
    function: &Function,
) -> IndexMap<String, Attribute> {
    let resolve = |(name, value): (&String, &Attribute)| {
        let value = match value {
            Attribute::Ref(wanted) => {
                caller.attributes.get(wanted).or_else(|| function.attribute_defaults.get(wanted))?.clone()
            }
            other => other.clone(),
        };
        Some((name.clone(), value))
    };
    attributes.iter().filter_map(resolve).collect()
}

fn any_node(graph: &Graph, test: &impl Fn(&Node) -> bool) -> bool {
    graph
        .nodes
        .iter()
        .flatten()
        .any(|node| test(node) || node.attributes.values().flat_map(Attribute::graphs).any(|g| any_node(g, test)))
}
