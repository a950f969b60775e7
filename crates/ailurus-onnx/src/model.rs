//! A loaded model.

use crate::Graph;
use indexmap::IndexMap;

/// One entry of `opset_import`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsetImport {
    /// Operator domain; `""` is the ONNX standard.
    pub domain: String,
    /// Version.
    pub version: i64,
}

/// What a model says about itself.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// IR version.
    pub ir_version: i64,
    /// Operator sets.
    pub opset_imports: Vec<OpsetImport>,
    /// Tool that wrote the file.
    pub producer_name: String,
    /// Its version.
    pub producer_version: String,
    /// `metadata_props`.
    pub metadata: IndexMap<String, String>,
}

/// A model-local function.
#[derive(Clone, Debug)]
pub struct Function {
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
    /// Body, as a graph whose inputs and outputs are the formal ones.
    pub body: Graph,
}

/// A model: header, main graph, functions, and the file that still holds its payloads.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the model says about itself.
    pub header: Header,
    /// Main graph.
    pub graph: Graph,
    /// Model-local functions.
    pub functions: Vec<Function>,
}

impl Model {
    /// Version of the standard operator set (1 when the file names none).
    pub fn opset(&self) -> i64 {
        self.header.opset_imports.iter().find(|o| o.domain.is_empty()).map_or(1, |o| o.version)
    }
}

