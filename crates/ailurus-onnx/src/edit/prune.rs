//! Dropping what no output needs.

use super::GraphEdit;
use crate::{NodeId, Use, ValueId, ValueKind};
use std::collections::HashSet;

impl GraphEdit {
    /// Removes nodes and initializers that no graph output needs, and returns how many nodes went. Inputs stay: they
    /// are part of the interface (see [`GraphEdit::prune_inputs`]).
    pub fn prune(&mut self) -> usize {
        let g = self.graph();
        let mut needed_values = vec![false; g.value_count()];
        let mut needed_nodes = vec![false; g.node_capacity()];
        let mut open: Vec<ValueId> = g.outputs.clone();
        while let Some(value) = open.pop() {
            if std::mem::replace(&mut needed_values[value.index()], true) {
                continue;
            }
            if let ValueKind::Output { node, .. } = g.value(value).kind
                && !std::mem::replace(&mut needed_nodes[node.index()], true)
            {
                let node = g.node(node);
                open.extend(node.inputs.iter().flatten().chain(&node.captures));
            }
        }
        let dead: Vec<NodeId> = g.order.iter().copied().filter(|id| !needed_nodes[id.index()]).collect();
        let unused: Vec<ValueId> = g.initializers.keys().copied().filter(|v| !needed_values[v.index()]).collect();
        self.drop_nodes(&dead);
        let unused: HashSet<ValueId> = unused.into_iter().collect();
        let g = self.graph_mut();
        g.initializers.retain(|v, _| !unused.contains(v));
        // as an input without its default it would have to be fed
        g.inputs.retain(|v| !unused.contains(v));
        let mut unused: Vec<ValueId> = unused.into_iter().collect();
        unused.sort();
        unused.into_iter().for_each(|v| self.bury(v));
        dead.len()
    }

    /// Removes many nodes in one pass over the graph: values may have very many uses.
    fn drop_nodes(&mut self, dead: &[NodeId]) {
        for &id in dead {
            let Some(node) = self.graph_mut().nodes[id.index()].take() else { continue };
            node.outputs.iter().flatten().for_each(|&v| self.bury(v));
        }
        let g = self.graph_mut();
        g.order.retain(|id| g.nodes[id.index()].is_some());
        for value in &mut g.values {
            value.uses.retain(|u| match u {
                Use::Input { node, .. } | Use::Capture { node } => g.nodes[node.index()].is_some(),
                Use::GraphOutput { .. } => true,
            });
        }
    }

    /// Removes graph inputs that nothing reads, for models cut out of larger ones.
    pub fn prune_inputs(&mut self) {
        let g = self.graph();
        let unused: HashSet<ValueId> = g.inputs().filter(|&v| g.uses(v).is_empty()).collect();
        self.graph_mut().inputs.retain(|v| !unused.contains(v));
        let mut unused: Vec<ValueId> = unused.into_iter().collect();
        unused.sort();
        unused.into_iter().for_each(|v| self.bury(v));
    }
}
