//! Running on through what follows the encoder: token-wise heads, and decoders that append tokens of their own.

use super::Simulator;
use ailurus_analyze::walk::descendants;
use ailurus_onnx::{NodeId, ValueId};

impl Simulator<'_, '_> {
    /// Adds every node behind the encoder that can run on clusters as well.
    pub(super) fn beyond(&mut self) {
        let behind = descendants(self.g, [self.cut]);
        let open: Vec<NodeId> = self.g.nodes().map(|(id, _)| id).filter(|id| behind.contains(*id)).collect();
        for id in open {
            if self.set.contains(id) || self.banned.contains(id) || !self.has_all_inputs(id, &behind) {
                continue;
            }
            let (operands, gathers) = (self.out.operands.len(), self.out.gathers.len());
            self.set.insert(id);
            if self.node(id).is_ok() {
                self.out.region.push(id);
                continue;
            }
            // It needs the grid: what it reads is unfolded in front of it.
            self.set.remove(id);
            self.out.operands.truncate(operands);
            self.out.gathers.truncate(gathers);
            for v in self.g.node(id).outputs.iter().flatten() {
                self.out.values.remove(v);
                self.tables.remove(v);
                self.uniform.remove(v);
            }
        }
    }

    /// True when everything that a node reads from behind the cut is in the region, and something is.
    fn has_all_inputs(&self, id: NodeId, behind: &ailurus_analyze::walk::NodeSet) -> bool {
        let node = self.g.node(id);
        if !node.captures.is_empty() {
            return false;
        }
        let late = |v: ValueId| v == self.cut || self.g.producer(v).is_some_and(|(n, _)| behind.contains(n));
        let mut inputs = node.inputs.iter().flatten().copied().filter(|&v| late(v)).peekable();
        inputs.peek().is_some() && inputs.all(|v| self.out.values.contains_key(&v))
    }
}
