//! Execution order: keeps the order of the file, and puts what an edit added right before it is needed.

use crate::decode::describe;
use crate::error::{Error, Result};
use crate::{Graph, NodeId, Use, ValueKind};

impl Graph {
    /// Recomputes the order. Nodes for which `anchored` holds keep their relative order unless a dependency forbids
    /// it; every other node goes right before the first node that needs it, or to the end.
    pub(crate) fn sort(&mut self, anchored: impl Fn(NodeId) -> bool) -> Result<()> {
        let mut state = vec![State::New; self.nodes.len()];
        let mut out = Vec::with_capacity(self.order.len());
        let (first, rest): (Vec<_>, Vec<_>) = self.order.iter().copied().partition(|&id| anchored(id));
        for root in first.into_iter().chain(rest) {
            self.place(root, &mut state, &mut out)?;
        }
        if out.windows(2).any(|w| w[0] > w[1]) || self.order != out {
            self.order = out;
            self.sort_uses();
        }
        Ok(())
    }

    fn place(&self, root: NodeId, state: &mut [State], out: &mut Vec<NodeId>) -> Result<()> {
        // explicit stack: chains of nodes may be longer than the call stack
        let mut stack = vec![(root, None::<Vec<NodeId>>)];
        while let Some((id, pending)) = stack.last_mut() {
            let id = *id;
            let pending = match pending {
                Some(pending) => pending,
                None if state[id.index()] == State::Placed => {
                    stack.pop();
                    continue;
                }
                None => {
                    state[id.index()] = State::Open;
                    let mut needs = self.needs(id);
                    needs.reverse();
                    pending.insert(needs)
                }
            };
            match pending.pop() {
                None => {
                    state[id.index()] = State::Placed;
                    out.push(id);
                    stack.pop();
                }
                Some(next) => match state[next.index()] {
                    State::Placed => {}
                    State::New => stack.push((next, None)),
                    State::Open => {
                        let node = self.node(next);
                        return Err(Error::Cycle { node: describe(&node.name, &node.op_type) });
                    }
                },
            }
        }
        Ok(())
    }

    fn needs(&self, id: NodeId) -> Vec<NodeId> {
        let node = self.node(id);
        let read = node.inputs.iter().flatten().chain(&node.captures);
        read.filter_map(|&v| match self.value(v).kind {
            ValueKind::Output { node, .. } => Some(node),
            _ => None,
        })
        .collect()
    }

    /// Puts the uses of every value in node order, graph outputs last.
    pub(crate) fn sort_uses(&mut self) {
        let mut position = vec![usize::MAX; self.nodes.len()];
        for (at, id) in self.order.iter().enumerate() {
            position[id.index()] = at;
        }
        for value in &mut self.values {
            value.uses.sort_by_key(|u| match *u {
                Use::Input { node, slot } => (position[node.index()], slot),
                Use::Capture { node } => (position[node.index()], usize::MAX),
                Use::GraphOutput { index } => (usize::MAX, index),
            });
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Placed,
}
