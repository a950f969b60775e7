//! Reachability over the data edges of a graph.

use ailurus_onnx::{Graph, NodeId, ValueId};

/// A dense set of nodes.
#[derive(Clone, Debug)]
pub struct NodeSet(Vec<bool>);

impl NodeSet {
    /// No nodes.
    pub fn empty(g: &Graph) -> Self {
        Self(vec![false; g.node_capacity()])
    }

    /// True when the node is in the set.
    pub fn contains(&self, n: NodeId) -> bool {
        self.0.get(n.index()).copied().unwrap_or(false)
    }

    /// Adds a node; true when it is new.
    pub fn insert(&mut self, n: NodeId) -> bool {
        !std::mem::replace(&mut self.0[n.index()], true)
    }

    /// Takes a node out.
    pub fn remove(&mut self, n: NodeId) {
        self.0[n.index()] = false;
    }

    /// Nodes of both sets.
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| *a && *b).collect())
    }
}

/// Nodes that the values depend on, their producers included.
pub fn ancestors(g: &Graph, of: impl IntoIterator<Item = ValueId>) -> NodeSet {
    let mut set = NodeSet::empty(g);
    let mut open: Vec<ValueId> = of.into_iter().collect();
    while let Some(v) = open.pop() {
        if let Some((n, _)) = g.producer(v)
            && set.insert(n)
        {
            let node = g.node(n);
            open.extend(node.inputs.iter().flatten().chain(&node.captures).copied());
        }
    }
    set
}

/// Nodes that depend on the values.
pub fn descendants(g: &Graph, of: impl IntoIterator<Item = ValueId>) -> NodeSet {
    let mut set = NodeSet::empty(g);
    let mut open: Vec<ValueId> = of.into_iter().collect();
    while let Some(v) = open.pop() {
        for n in g.consumers(v) {
            if set.insert(n) {
                open.extend(g.node(n).outputs.iter().flatten().copied());
            }
        }
    }
    set
}
