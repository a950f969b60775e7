//! One graph: spliced in the order of its source, with what an edit added or changed in between.

use super::rope::Rope;
use super::splice::Splicer;
use crate::decode::decode_value_info;
use crate::error::Result;
use crate::layout::{Entry, What};
use crate::wire::Kind;
use crate::{Graph, NodeId, ValueId, ValueKind};
use std::collections::{HashMap, HashSet};

/// Writes one graph in the order of its source, with new parts behind the old ones of their kind.
pub struct GraphWriter<'a> {
    s: &'a Splicer<'a>,
    g: &'a Graph,
    out: Rope,
    entries: &'a [Entry],
    /// Everything before `g.order[next]` is written.
    next: usize,
    done: HashSet<NodeId>,
    /// Original nodes are in file order: new ones can go between them.
    ordered: bool,
    same_outputs: bool,
    written: HashSet<ValueId>,
    inputs: HashSet<ValueId>,
    outputs: HashSet<ValueId>,
}

impl<'a> GraphWriter<'a> {
    /// A writer for `g`.
    pub fn new(s: &'a Splicer<'a>, g: &'a Graph) -> Self {
        let entries = g.layout.as_ref().map_or(&[][..], |l| &l.entries);
        let filed: Vec<NodeId> = entries
            .iter()
            .filter_map(|e| if let What::Node(id) = e.what { Some(id) } else { None })
            .filter(|id| g.nodes[id.index()].is_some())
            .collect();
        let filed_set: HashSet<NodeId> = filed.iter().copied().collect();
        let ordered = g.order.iter().copied().filter(|id| filed_set.contains(id)).eq(filed);
        let outputs = entries.iter().filter_map(|e| if let What::Output(v) = e.what { Some(v) } else { None });
        let same_outputs = outputs.eq(g.outputs.iter().copied());
        let untouched = g.nodes.iter().flatten().all(|n| n.state.is_original());
        // a file whose nodes are in no valid order is only reordered when something else changes too
        let ordered = ordered || (untouched && g.order.len() == filed_set.len());
        Self {
            s,
            g,
            out: Rope::default(),
            entries,
            next: 0,
            done: HashSet::new(),
            ordered,
            same_outputs,
            written: HashSet::new(),
            inputs: g.inputs.iter().copied().collect(),
            outputs: g.outputs.iter().copied().collect(),
        }
    }

    /// The graph message.
    pub fn write(mut self) -> Result<Rope> {
        let last = |number: u8| self.entries.iter().rposition(|e| kind_of(&e.what) == number);
        let ends: Vec<Option<usize>> = (0..=5).map(last).collect();
        let entries = self.entries;
        for (at, entry) in entries.iter().enumerate() {
            self.entry(entry)?;
            for number in 1..=5 {
                if ends[usize::from(number)] == Some(at) {
                    self.rest(number)?;
                }
            }
        }
        if self.g.layout.is_none() {
            self.out.text(2, &self.g.name);
        }
        for number in 1..=5 {
            if ends[usize::from(number)].is_none() {
                self.rest(number)?;
            }
        }
        Ok(self.out)
    }

    fn entry(&mut self, entry: &'a Entry) -> Result<()> {
        let (span, body) = (entry.span.clone(), entry.body.clone());
        match entry.what {
            What::Node(id) => self.filed_node(id, entry)?,
            What::Initializer(v) => match self.g.initializers.get(&v) {
                None => {}
                Some(tensor) => {
                    self.written.insert(v);
                    if self.g.value(v).edited {
                        let message = self.s.tensor(tensor, Some(body))?;
                        self.out.message(5, message);
                    } else {
                        self.s.item(5, Kind::Tensor, span, body, &mut self.out)?;
                    }
                }
            },
            What::Sparse(v) => {
                if self.g.initializers.contains_key(&v) {
                    self.written.insert(v);
                    self.s.item(15, Kind::SparseTensor, span, body, &mut self.out)?;
                }
            }
            What::Input(v) => {
                if self.inputs.contains(&v) {
                    self.info(11, v, Some(entry))?;
                }
            }
            What::Output(v) => {
                if self.same_outputs {
                    self.info(12, v, Some(entry))?;
                }
            }
            What::ValueInfo(Some(v)) => {
                let value = self.g.value(v);
                let public = || self.inputs.contains(&v) || self.outputs.contains(&v);
                if !value.edited {
                    self.out.source(span);
                } else if value.kind != ValueKind::Undefined && value.ty.is_some() && !public() {
                    self.info(13, v, Some(entry))?;
                }
                self.written.insert(v);
            }
            What::ValueInfo(None) => {
                // the name was nobody's; it must not come to describe a new value
                if self.g.find(&decode_value_info(self.s.data, body)?.0).is_none() {
                    self.out.source(span);
                }
            }
            What::Annotation(Some(v)) if self.g.value(v).kind == ValueKind::Undefined => {}
            _ => self.out.source(span),
        }
        Ok(())
    }

    fn filed_node(&mut self, id: NodeId, entry: &'a Entry) -> Result<()> {
        let Some(node) = &self.g.nodes[id.index()] else { return Ok(()) };
        if !self.ordered {
            return self.rest(1);
        }
        // nodes that an edit put in front of this one
        while let Some(&next) = self.g.order.get(self.next) {
            if next == id || (!self.done.contains(&next) && self.is_filed(next)) {
                break;
            }
            self.loose_node(next)?;
        }
        if node.state.is_original() {
            self.s.item(1, Kind::Node, entry.span.clone(), entry.body.clone(), &mut self.out)?;
        } else {
            let message = self.s.node_of(self.g, node)?;
            self.out.message(1, message);
        }
        self.done.insert(id);
        Ok(())
    }

    /// True for nodes that have an entry of their own in this graph.
    fn is_filed(&self, id: NodeId) -> bool {
        let range = self.g.layout.as_ref().map(|l| &l.range);
        let origin = self.g.node(id).state.origin.as_ref();
        range.zip(origin).is_some_and(|(range, origin)| range.contains(&origin.start))
    }

    /// Writes the next node of the order, unless it is written.
    fn loose_node(&mut self, id: NodeId) -> Result<()> {
        self.next += 1;
        if self.done.insert(id) {
            let message = self.s.node_of(self.g, self.g.node(id))?;
            self.out.message(1, message);
        }
        Ok(())
    }

    /// Writes what is left of one kind: 1 nodes, 2 initializers, 3 inputs, 4 outputs, 5 types.
    fn rest(&mut self, number: u8) -> Result<()> {
        match number {
            1 => {
                while let Some(&id) = self.g.order.get(self.next) {
                    self.loose_node(id)?;
                }
            }
            2 => {
                for (_, tensor) in self.g.initializers.iter().filter(|(v, _)| !self.written.contains(*v)) {
                    let message = self.s.tensor(tensor, None)?;
                    self.out.message(5, message);
                }
            }
            3 => {
                let filed: HashSet<ValueId> = self
                    .entries
                    .iter()
                    .filter_map(|e| if let What::Input(v) = e.what { Some(v) } else { None })
                    .collect();
                for &v in self.g.inputs.iter().filter(|v| !filed.contains(v)) {
                    self.info(11, v, None)?;
                }
            }
            4 if self.same_outputs => {}
            4 => {
                // an output that took over a public name also takes over what else was said about it
                let mut filed: HashMap<String, &Entry> = HashMap::new();
                for entry in self.entries.iter().filter(|e| matches!(e.what, What::Output(_))) {
                    filed.insert(decode_value_info(self.s.data, entry.body.clone())?.0, entry);
                }
                for &v in &self.g.outputs {
                    self.info(12, v, filed.get(self.g.name_of(v)).copied())?;
                }
            }
            _ => {
                let public = |v: ValueId| self.inputs.contains(&v) || self.outputs.contains(&v);
                let new = |&v: &ValueId| {
                    let value = self.g.value(v);
                    let made = matches!(value.kind, ValueKind::Output { .. });
                    value.edited && made && value.ty.is_some() && !self.written.contains(&v) && !public(v)
                };
                let new: Vec<ValueId> = self.g.value_ids().filter(new).collect();
                for v in new {
                    self.info(13, v, None)?;
                }
            }
        }
        Ok(())
    }

    fn info(&mut self, number: u32, v: ValueId, entry: Option<&Entry>) -> Result<()> {
        let value = self.g.value(v);
        match entry {
            Some(entry) if !value.edited => self.out.source(entry.span.clone()),
            _ => {
                let message = self.s.value_info(&value.name, value.ty.as_ref(), entry.map(|e| e.body.clone()))?;
                self.out.message(number, message);
            }
        }
        Ok(())
    }
}

/// Groups entries by what new parts go behind them.
fn kind_of(what: &What) -> u8 {
    match what {
        What::Node(_) => 1,
        What::Initializer(_) | What::Sparse(_) => 2,
        What::Input(_) => 3,
        What::Output(_) => 4,
        What::ValueInfo(_) => 5,
        _ => 0,
    }
}
