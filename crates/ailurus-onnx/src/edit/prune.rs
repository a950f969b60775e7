//! Dropping what no output needs.

use super::GraphEdit;
use crate::{NodeId, ValueId, ValueKind};

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
        // last first, so that every node is unlinked before those it reads from
        for &id in dead.iter().rev() {
            self.unlink(id);
        }
        self.graph_mut().order.retain(|id| needed_nodes[id.index()]);
        let g = self.graph_mut();
        g.initializers.retain(|v, _| needed_values[v.index()]);
        for value in unused {
            // as an input without its default it would have to be fed
            self.graph_mut().inputs.retain(|&v| v != value);
            self.bury(value);
        }
        dead.len()
    }

    /// Removes graph inputs that nothing reads, for models cut out of larger ones.
    pub fn prune_inputs(&mut self) {
        let g = self.graph();
        let unused: Vec<ValueId> = g.inputs().filter(|&v| g.uses(v).is_empty()).collect();
        self.graph_mut().inputs.retain(|v| !unused.contains(v));
        for value in unused {
            self.bury(value);
        }
    }
}
