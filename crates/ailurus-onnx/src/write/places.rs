//! Where payloads go that do not stay where they are.

use super::rope::External;
use super::splice::unplaced;
use crate::error::Result;
use crate::{Attribute, Graph, Model, Storage, Tensor};
use std::collections::HashMap;

/// New places of payloads, by their old ones.
#[derive(Debug, Default)]
pub struct Places {
    external: HashMap<(String, u64, u64), Storage>,
    inline: HashMap<u64, Storage>,
    /// External data moves as a whole: a tensor without new place is an error.
    complete: bool,
    /// External data moves into the model file.
    embed: bool,
}

impl Places {
    /// True when everything stays.
    pub fn is_empty(&self) -> bool {
        !self.complete && !self.embed && self.inline.is_empty()
    }

    /// Moves an external payload.
    pub fn move_external(&mut self, key: (String, u64, u64), to: Storage) {
        self.complete = true;
        self.external.insert(key, to);
    }

    /// Moves all external payloads into the model file.
    pub fn embed(&mut self) {
        self.embed = true;
    }

    /// The payload to put into the model file for an external one, if it is to move there.
    pub fn embedded(&self, tensor: &Tensor) -> Option<External> {
        match &tensor.storage {
            Storage::External { location, offset, length } if self.embed => {
                let (tensor, location) = (tensor.name.clone(), location.clone());
                Some(External { tensor, location, offset: *offset, length: *length })
            }
            _ => None,
        }
    }

    /// Moves a payload of the model file out of it.
    pub fn move_inline(&mut self, start: u64, to: Storage) {
        self.inline.insert(start, to);
    }

    /// New place of a payload; `None` when it stays.
    pub fn find(&self, storage: &Storage) -> Result<Option<Storage>> {
        match storage {
            Storage::External { location, offset, length } if self.complete => {
                let found = self.external.get(&(location.clone(), *offset, *length)).cloned();
                found.map(Some).ok_or_else(|| unplaced(location))
            }
            Storage::Source(range) => Ok(self.inline.get(&range.start).cloned()),
            _ => Ok(None),
        }
    }
}

/// Calls `visit` for every tensor of a model, also inside subgraphs and functions.
pub fn each_tensor<'a>(model: &'a Model, visit: &mut impl FnMut(&'a Tensor)) {
    in_graph(&model.graph, visit);
    for function in &model.functions {
        in_graph(&function.body, visit);
        function.attribute_defaults.values().for_each(|a| in_attribute(a, visit));
    }
}

fn in_graph<'a>(graph: &'a Graph, visit: &mut impl FnMut(&'a Tensor)) {
    graph.initializers.values().for_each(&mut *visit);
    for node in graph.nodes.iter().flatten() {
        node.attributes.values().for_each(|a| in_attribute(a, visit));
    }
}

fn in_attribute<'a>(attribute: &'a Attribute, visit: &mut impl FnMut(&'a Tensor)) {
    match attribute {
        Attribute::Tensor(tensor) => visit(tensor),
        Attribute::Tensors(tensors) => tensors.iter().for_each(visit),
        other => other.graphs().iter().for_each(|g| in_graph(g, visit)),
    }
}
