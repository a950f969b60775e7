//! Model-local functions.

use super::GraphEdit;
use crate::decode::{Builder, RawNode};
use crate::error::{Error, Result};
use crate::{Attribute, Function, OpsetImport};
use indexmap::IndexMap;

/// A model-local function to add, as plain data.
#[derive(Clone, Debug, Default)]
pub struct FunctionSpec {
    /// Operator name.
    pub name: String,
    /// Operator domain.
    pub domain: String,
    /// Names of the formal inputs.
    pub inputs: Vec<String>,
    /// Names of the formal outputs.
    pub outputs: Vec<String>,
    /// Names of attributes without default.
    pub attributes: Vec<String>,
    /// Operator sets the body uses.
    pub opset_imports: Vec<OpsetImport>,
    /// Documentation.
    pub doc: String,
    /// Body, in execution order.
    pub nodes: Vec<FunctionNode>,
}

/// A node of a function body. Names are local to the function.
#[derive(Clone, Debug, Default)]
pub struct FunctionNode {
    /// Name; may be empty.
    pub name: String,
    /// Operator.
    pub op_type: String,
    /// Operator domain.
    pub domain: String,
    /// Input names; `""` for an omitted optional one.
    pub inputs: Vec<String>,
    /// Output names.
    pub outputs: Vec<String>,
    /// Attributes.
    pub attributes: IndexMap<String, Attribute>,
}

impl GraphEdit {
    /// Adds a model-local function. Its domain is imported (version 1) unless the model does so already.
    pub fn add_function(&mut self, spec: FunctionSpec) -> Result<()> {
        if self.model.functions.iter().any(|f| f.name == spec.name && f.domain == spec.domain && f.overload.is_empty())
        {
            return Err(Error::edit(format!("function {}::{} exists already", spec.domain, spec.name)));
        }
        let mut body = Builder::default();
        body.graph.name = spec.name.clone();
        for name in &spec.inputs {
            body.input(name)?;
        }
        for node in spec.nodes {
            body.new_node(RawNode {
                name: node.name,
                op_type: node.op_type,
                domain: if node.domain == "ai.onnx" { String::new() } else { node.domain },
                overload: String::new(),
                inputs: node.inputs,
                outputs: node.outputs,
                attributes: node.attributes,
                range: None,
            });
        }
        body.outputs = spec.outputs.clone();
        let body = body.finish(None, true)?;
        if !self.model.header.opset_imports.iter().any(|o| o.domain == spec.domain) {
            self.import_opset(&spec.domain, 1);
        }
        self.model.functions.push(Function {
            name: spec.name,
            domain: spec.domain,
            inputs: spec.inputs,
            outputs: spec.outputs,
            attributes: spec.attributes,
            opset_imports: spec.opset_imports,
            attribute_defaults: IndexMap::new(),
            overload: String::new(),
            doc: spec.doc,
            body,
            origin: None,
        });
        Ok(())
    }

    /// Removes all functions of a domain and keeps the nodes that call them (for runtimes that know the operators).
    pub fn drop_functions(&mut self, domain: &str) {
        self.model.functions.retain(|f| f.domain != domain);
    }
}
