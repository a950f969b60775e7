//! Constants, types, and who reads what.

use super::{GraphEdit, nested};
use crate::error::{Error, Result};
use crate::{Tensor, TensorType, Use, ValueId, ValueKind};
use std::collections::HashSet;

impl GraphEdit {
    /// Adds a constant under the tensor's own name.
    ///
    /// A tensor with [`crate::Storage::Source`] or [`crate::Storage::External`] must come from this model.
    pub fn add_initializer(&mut self, tensor: Tensor) -> Result<ValueId> {
        self.free(&tensor.name, "a new initializer")?;
        self.taken.insert(tensor.name.clone());
        let value = self.graph_mut().intern(&tensor.name);
        let entry = &mut self.graph_mut().values[value.index()];
        (entry.kind, entry.edited) = (ValueKind::Initializer, true);
        self.graph_mut().initializers.insert(value, tensor);
        Ok(value)
    }

    /// Replaces the tensor of an initializer; its name stays. Everyone who reads it sees the new one.
    pub fn set_initializer(&mut self, value: ValueId, mut tensor: Tensor) -> Result<()> {
        self.alive(value)?;
        if self.graph().value(value).kind != ValueKind::Initializer {
            return Err(Error::edit(format!("`{}` is no initializer", self.graph().name_of(value))));
        }
        tensor.name = self.graph().name_of(value).to_owned();
        self.graph_mut().initializers.insert(value, tensor);
        self.graph_mut().values[value.index()].edited = true;
        Ok(())
    }

    /// Makes those uses of `old` that `filter` admits read `new`, and returns how many they were.
    ///
    /// A graph output that is admitted keeps its public name: see [`GraphEdit::take_output_name`].
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId, mut filter: impl FnMut(Use) -> bool) -> Result<usize> {
        self.alive(old)?;
        self.alive(new)?;
        if old == new {
            return Ok(0);
        }
        let uses: Vec<Use> = self.graph().uses(old).iter().copied().filter(|&u| filter(u)).collect();
        for used in &uses {
            if let Use::Capture { node } = *used {
                self.may_capture(node, new)?;
            }
        }
        // all at once: a value may have very many uses
        let inputs: HashSet<Use> = uses.iter().copied().filter(|u| matches!(u, Use::Input { .. })).collect();
        self.graph_mut().values[old.index()].uses.retain(|u| !inputs.contains(u));
        for &used in &uses {
            match used {
                Use::Input { node, slot } => {
                    self.add_use(new, used);
                    let node = self.node_mut(node);
                    node.inputs[slot] = Some(new);
                    node.state.wires = true;
                }
                Use::Capture { node } => {
                    let (old, new) = (self.graph().name_of(old).to_owned(), self.graph().name_of(new).to_owned());
                    nested::rename_captures(self.node_mut(node), &old, &new);
                    self.recapture(node)?;
                }
                Use::GraphOutput { index } => {
                    self.take_output_name(index, new)?;
                }
            }
        }
        Ok(uses.len())
    }

    /// Fails when a subgraph of `node` defines the name of `value` itself.
    fn may_capture(&self, node: crate::NodeId, value: ValueId) -> Result<()> {
        let name = self.graph().name_of(value);
        let mut names = HashSet::new();
        let attributes = self.graph().node(node).attributes.values();
        attributes.flat_map(crate::Attribute::graphs).for_each(|g| nested::local_names(g, &mut names));
        if names.contains(name) {
            return Err(Error::Shadowed { name: name.into(), node: self.shown(node) });
        }
        Ok(())
    }

    /// Renames a value everywhere, also inside subgraphs.
    pub fn rename_value(&mut self, value: ValueId, name: &str) -> Result<()> {
        self.alive(value)?;
        let old = self.graph().name_of(value).to_owned();
        if old == name {
            return Ok(());
        }
        self.free(name, "the renamed value")?;
        self.taken.insert(name.to_owned());
        let g = self.graph_mut();
        nested::rename_value(g, value, name);
        let entry = &g.values[value.index()];
        let producer = if let ValueKind::Output { node, .. } = entry.kind { Some(node) } else { None };
        for used in entry.uses.clone() {
            match used {
                Use::Input { node, .. } => self.node_mut(node).state.wires = true,
                Use::Capture { node } => nested::rename_captures(self.node_mut(node), &old, name),
                Use::GraphOutput { .. } => {}
            }
        }
        if let Some(node) = producer {
            self.node_mut(node).state.wires = true;
        }
        Ok(())
    }

    /// Declares the type of a value.
    pub fn set_type(&mut self, value: ValueId, ty: TensorType) -> Result<()> {
        self.alive(value)?;
        let entry = &mut self.graph_mut().values[value.index()];
        if entry.ty.as_ref() != Some(&ty) {
            (entry.ty, entry.edited) = (Some(ty), true);
        }
        Ok(())
    }

    /// Forgets the declared type of a value.
    pub fn clear_type(&mut self, value: ValueId) -> Result<()> {
        self.alive(value)?;
        let entry = &mut self.graph_mut().values[value.index()];
        if entry.ty.take().is_some() {
            entry.edited = true;
        }
        Ok(())
    }
}
