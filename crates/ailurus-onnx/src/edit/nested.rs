//! Renaming what subgraphs read from the graph around them.

use crate::{Attribute, Graph, Node, Use, ValueId, ValueKind};
use std::collections::HashSet;

/// Collects the names a subgraph defines, at any depth.
pub fn local_names(graph: &Graph, names: &mut HashSet<String>) {
    names.extend(graph.values.iter().filter(|v| v.kind != ValueKind::Captured).map(|v| v.name.clone()));
    for node in graph.nodes.iter().flatten() {
        node.attributes.values().flat_map(Attribute::graphs).for_each(|g| local_names(g, names));
    }
}

/// Makes the subgraphs of a node read `new` where they read `old`.
pub fn rename_captures(node: &mut Node, old: &str, new: &str) {
    for (name, attribute) in &mut node.attributes {
        let mut changed = false;
        for graph in graphs_mut(attribute) {
            changed |= rename_in_graph(graph, old, new);
        }
        if changed {
            node.state.attributes.insert(name.clone());
        }
    }
}

/// The subgraphs of an attribute, to be changed.
pub fn graphs_mut(attribute: &mut Attribute) -> &mut [Graph] {
    match attribute {
        Attribute::Graph(g) => std::slice::from_mut(g),
        Attribute::Graphs(g) => g,
        _ => &mut [],
    }
}

fn rename_in_graph(graph: &mut Graph, old: &str, new: &str) -> bool {
    let Some(from) = graph.find(old).filter(|&v| graph.value(v).kind == ValueKind::Captured) else { return false };
    let uses = graph.value(from).uses.clone();
    let to = match graph.find(new) {
        None => {
            rename_value(graph, from, new);
            from
        }
        // the subgraph reads both names: their uses become one
        Some(to) => {
            graph.by_name.remove(old);
            let value = &mut graph.values[from.index()];
            (value.kind, value.edited) = (ValueKind::Undefined, true);
            let moved = std::mem::take(&mut value.uses);
            graph.values[to.index()].uses.extend(moved);
            to
        }
    };
    for used in uses {
        redirect(graph, used, from, to, old, new);
    }
    graph.sort_uses();
    true
}

/// Gives a value another name, without touching those who spell it.
pub fn rename_value(graph: &mut Graph, id: ValueId, new: &str) {
    let value = &mut graph.values[id.index()];
    let old = std::mem::replace(&mut value.name, new.to_owned());
    value.edited = true;
    if graph.by_name.get(&old) == Some(&id) {
        graph.by_name.remove(&old);
    }
    graph.by_name.insert(new.to_owned(), id);
    if let Some(tensor) = graph.initializers.get_mut(&id) {
        tensor.name = new.to_owned();
    }
}

fn redirect(graph: &mut Graph, used: Use, from: ValueId, to: ValueId, old: &str, new: &str) {
    match used {
        Use::Input { node, slot } => {
            if let Some(node) = &mut graph.nodes[node.index()] {
                node.inputs[slot] = Some(to);
                node.state.wires = true;
            }
        }
        Use::Capture { node } => {
            if let Some(node) = &mut graph.nodes[node.index()] {
                rename_captures(node, old, new);
                node.captures.retain(|&v| v != from);
                if !node.captures.contains(&to) {
                    node.captures.push(to);
                }
            }
        }
        Use::GraphOutput { index } => {
            graph.outputs[index] = to;
            graph.values[to.index()].edited = true;
        }
    }
}
