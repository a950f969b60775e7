//! Inputs and outputs of the graph.

use super::{GraphEdit, NodeSpec};
use crate::error::{Error, Result};
use crate::{TensorType, Use, ValueId, ValueKind};

impl GraphEdit {
    /// Adds an input to the graph.
    pub fn add_graph_input(&mut self, name: &str, ty: TensorType) -> Result<ValueId> {
        self.free(name, "a new input")?;
        self.taken.insert(name.to_owned());
        let value = self.graph_mut().intern(name);
        let entry = &mut self.graph_mut().values[value.index()];
        (entry.kind, entry.ty, entry.edited) = (ValueKind::Input, Some(ty), true);
        self.graph_mut().inputs.push(value);
        Ok(value)
    }

    /// Cuts the graph: the value becomes an input under its own name. The node that made it goes when nothing else
    /// needs it, otherwise it writes to a fresh name.
    pub fn make_input(&mut self, value: ValueId) -> Result<()> {
        self.alive(value)?;
        let name = self.graph().name_of(value).to_owned();
        match self.graph().value(value).kind {
            ValueKind::Input => return Ok(()),
            ValueKind::Output { node, slot } => {
                let others = self.outputs(node).into_iter().filter(|&v| v != value);
                let needed = others.into_iter().any(|v| !self.graph().uses(v).is_empty());
                if needed {
                    let fresh = self.fresh_name(&format!("{name}/cut"));
                    let spare = self.graph_mut().intern(&fresh);
                    let entry = &mut self.graph_mut().values[spare.index()];
                    (entry.kind, entry.edited) = (ValueKind::Output { node, slot }, true);
                    let node = self.node_mut(node);
                    node.outputs[slot] = Some(spare);
                    node.state.wires = true;
                } else {
                    self.node_mut(node).outputs[slot] = None;
                    self.unlink(node);
                    self.graph_mut().order.retain(|&id| id != node);
                }
            }
            ValueKind::Initializer => {
                self.graph_mut().initializers.shift_remove(&value);
            }
            ValueKind::Captured | ValueKind::Undefined => {
                return Err(Error::edit(format!("`{name}` is not defined by the main graph")));
            }
        }
        let g = self.graph_mut();
        let entry = &mut g.values[value.index()];
        (entry.kind, entry.edited) = (ValueKind::Input, true);
        if !g.inputs.contains(&value) {
            g.inputs.push(value);
        }
        Ok(())
    }

    /// Returns a value from the graph, in addition to what it returns already.
    pub fn add_graph_output(&mut self, value: ValueId) -> Result<()> {
        let mut outputs = self.graph().outputs.clone();
        if !outputs.contains(&value) {
            outputs.push(value);
        }
        self.set_graph_outputs(outputs)
    }

    /// Replaces the list of graph outputs.
    pub fn set_graph_outputs(&mut self, outputs: Vec<ValueId>) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        for &value in &outputs {
            self.alive(value)?;
            if !seen.insert(value) {
                let name = self.graph().name_of(value);
                return Err(Error::edit(format!("`{name}` is listed twice as output")));
            }
        }
        let old = std::mem::take(&mut self.graph_mut().outputs);
        for (index, &value) in old.iter().enumerate() {
            self.drop_use(value, Use::GraphOutput { index });
            if !seen.contains(&value) {
                // its declared type lives on as `value_info`
                self.graph_mut().values[value.index()].edited = true;
            }
        }
        for &value in &outputs {
            self.graph_mut().add_output(value);
        }
        Ok(())
    }

    /// Makes `new` the output at `index` under the public name and declared type of that output. The value that had the
    /// name gets a fresh one. Where `new` cannot be renamed (an input, an initializer, another output), a copy of it is returned.
    /// Gives the value that is the output now.
    pub fn take_output_name(&mut self, index: usize, new: ValueId) -> Result<ValueId> {
        self.alive(new)?;
        let Some(&old) = self.graph().outputs.get(index) else {
            return Err(Error::edit(format!("the graph has no output {index}")));
        };
        if old == new {
            return Ok(new);
        }
        let public = self.graph().name_of(old).to_owned();
        if !matches!(self.graph().value(old).kind, ValueKind::Output { .. }) {
            return Err(Error::edit(format!("output `{public}` is an input or initializer, whose name is fixed")));
        }
        if self.graph().outputs.iter().filter(|&&v| v == old).count() > 1 {
            return Err(Error::edit(format!("the graph returns `{public}` twice")));
        }
        let free =
            matches!(self.graph().value(new).kind, ValueKind::Output { .. }) && !self.graph().outputs.contains(&new);
        let carrier = if free {
            new
        } else {
            let name = self.fresh_name(&format!("{public}/copy"));
            let ty = self.graph().value(new).ty.clone();
            self.add(NodeSpec::new("Identity", [new]).name(name.clone()).output(name, ty))?
        };
        let spare = self.fresh_name(&format!("{public}/before"));
        self.rename_value(old, &spare)?;
        self.rename_value(carrier, &public)?;
        let g = self.graph_mut();
        if let Some(declared) = g.value(old).ty.clone() {
            g.values[carrier.index()].ty = Some(declared);
        }
        g.outputs[index] = carrier;
        self.drop_use(old, Use::GraphOutput { index });
        self.add_use(carrier, Use::GraphOutput { index });
        Ok(carrier)
    }
}
