//! From a name that the user typed to a block. The analysis itself never looks at names.

use super::{count, nearest, range};
use ailurus_analyze::{Analysis, Code, Refusal};
use ailurus_onnx::{NodeId, Use, ValueId};
use std::collections::BTreeSet;

/// Where PyTorch's newer exporter keeps the modules that a node comes from.
pub(crate) const SCOPES: &str = "pkg.torch.onnx.name_scopes";

/// Which names the blocks hold.
pub(super) struct Names<'a, 'm> {
    pub(super) a: &'a Analysis<'m>,
    /// Blocks that each node lies in, by [`NodeId::index`]: none or one, except in unusual graphs.
    blocks: Vec<Vec<usize>>,
}

/// What a name means.
pub(super) enum Meaning {
    /// A cut behind this many blocks.
    Cut(usize),
    /// Several blocks.
    Several(BTreeSet<usize>),
    /// Something outside the blocks.
    Outside,
    /// Nothing.
    Unknown,
}

/// Finds the block that a name means.
pub(super) fn resolve(a: &Analysis, name: &str) -> Result<usize, Refusal> {
    let names = Names::new(a);
    let refuse = |reason: String, more: Option<String>| {
        let next = format!("{}{}", more.unwrap_or_default(), range(a.blocks()));
        Err(Refusal::new(Code::AIL0202, reason, next))
    };
    match names.meaning(name) {
        Meaning::Cut(layer) => Ok(layer),
        Meaning::Several(found) => {
            let list: Vec<String> = found.iter().map(usize::to_string).collect();
            let more = "name a module, node or tensor that lies in a single block, or ";
            refuse(format!("`{name}` is found in several blocks: {}", list.join(", ")), Some(more.into()))
        }
        Meaning::Outside => refuse(
            format!("`{name}` lies in none of this model's {}", count(a.blocks())),
            nearest::suggest(&names, name),
        ),
        Meaning::Unknown => refuse(
            format!("no tensor, node or module of this model is called `{name}`"),
            nearest::suggest(&names, name),
        ),
    }
}

impl<'a, 'm> Names<'a, 'm> {
    fn new(a: &'a Analysis<'m>) -> Self {
        let g = &a.interp.model.graph;
        let mut blocks = vec![Vec::new(); g.node_capacity()];
        for k in 1..=a.blocks() {
            let set = a.trunk.block(g, k);
            for (id, _) in g.nodes().filter(|(id, _)| set.contains(*id)) {
                blocks[id.index()].push(k);
            }
        }
        Self { a, blocks }
    }

    /// Blocks of a node.
    pub(super) fn of(&self, node: NodeId) -> &[usize] {
        &self.blocks[node.index()]
    }

    /// What a name means: first as that of a tensor, then of a node, then of a module.
    pub(super) fn meaning(&self, name: &str) -> Meaning {
        let g = &self.a.interp.model.graph;
        let mut exists = false;
        if let Some(v) = g.find(name) {
            exists = true;
            if let Some(at) = self.a.trunk.streams.iter().position(|&s| s == v) {
                return Meaning::Cut(at);
            }
            let found = self.of_value(v);
            if !found.is_empty() {
                return Meaning::of(found);
            }
        }
        let named: Vec<NodeId> = g.nodes().filter(|(_, n)| n.name == name).map(|(id, _)| id).collect();
        let scope = || g.nodes().map(|(id, _)| id).filter(|&id| self.in_scope(id, name)).collect();
        for nodes in [named, scope()] {
            exists |= !nodes.is_empty();
            let found: BTreeSet<usize> = nodes.iter().flat_map(|&id| self.of(id)).copied().collect();
            if !found.is_empty() {
                return Meaning::of(found);
            }
        }
        if exists { Meaning::Outside } else { Meaning::Unknown }
    }

    /// Blocks of the node that makes a value; for weights and other constants, of the nodes that read it.
    fn of_value(&self, v: ValueId) -> BTreeSet<usize> {
        let g = &self.a.interp.model.graph;
        let made = g.producer(v).map(|(id, _)| self.of(id)).unwrap_or_default();
        let constant = !self.a.interp.get(v).is_some_and(|x| x.activation);
        if !made.is_empty() || !constant {
            return made.iter().copied().collect();
        }
        let readers = g.uses(v).iter().filter_map(|u| match *u {
            Use::Input { node, .. } | Use::Capture { node } => Some(node),
            Use::GraphOutput { .. } => None,
        });
        readers.flat_map(|id| self.of(id)).copied().collect()
    }

    /// True when a node lies in the module of this name.
    fn in_scope(&self, id: NodeId, name: &str) -> bool {
        let wanted = components(name);
        let holds = |path: &str| !wanted.is_empty() && components(path).windows(wanted.len()).any(|w| w == wanted);
        self.paths(id).iter().any(|path| holds(path))
    }

    /// Paths of modules that a node names: its own name, and those that the exporter noted.
    pub(super) fn paths(&self, id: NodeId) -> Vec<String> {
        let model = self.a.interp.model;
        let node = model.graph.node(id);
        let mut out = vec![node.name.clone()];
        if let Some(text) = model.node_metadata(node, SCOPES) {
            out.extend(list(&text));
        }
        out
    }
}

impl Meaning {
    fn of(found: BTreeSet<usize>) -> Self {
        match found.first() {
            Some(&only) if found.len() == 1 => Self::Cut(only),
            _ => Self::Several(found),
        }
    }
}

/// `/encoder/layer.7` and `encoder.layer.7` as `encoder`, `layer`, `7`.
fn components(path: &str) -> Vec<&str> {
    path.split(['.', '/']).filter(|c| !c.is_empty()).collect()
}

/// The texts in a Python list such as `['', 'blocks.0']`.
fn list(text: &str) -> impl Iterator<Item = String> {
    text.split(['\'', '"']).skip(1).step_by(2).filter(|t| !t.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_components() {
        assert_eq!(components("/blocks/blocks.7/Add_1"), ["blocks", "blocks", "7", "Add_1"]);
        assert_eq!(components("encoder.layer.7"), ["encoder", "layer", "7"]);
        assert!(components("/.").is_empty());
    }

    #[test]
    fn python_lists() {
        let all = |t| list(t).collect::<Vec<_>>();
        assert_eq!(all("['', 'm.blocks', 'm.blocks.0', 'linear_1']"), ["m.blocks", "m.blocks.0", "linear_1"]);
        assert_eq!(all("[]"), Vec::<String>::new());
        assert_eq!(all("no list"), Vec::<String>::new());
    }
}
