//! A loaded model.

use crate::decode::decode_model;
use crate::error::Result;
use crate::layout::ModelLayout;
use crate::source::Source;
use crate::{Attribute, Graph};
use indexmap::IndexMap;
use std::{ops::Range, path::Path, sync::Arc};

/// One entry of `opset_import`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsetImport {
    /// Operator domain; `""` is the ONNX standard.
    pub domain: String,
    /// Version.
    pub version: i64,
}

/// What a model says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Attributes with a default, and that default.
    pub attribute_defaults: IndexMap<String, Attribute>,
    /// Overload; empty nearly always.
    pub overload: String,
    /// Documentation.
    pub doc: String,
    /// Body, as a graph whose inputs and outputs are the formal ones.
    pub body: Graph,
    /// The message in the source file; `None` for a function made by an edit.
    pub(crate) origin: Option<Range<usize>>,
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
    pub(crate) source: Arc<Source>,
    pub(crate) layout: Arc<ModelLayout>,
}

impl Model {
    /// Maps a model file and reads its structure; payloads of more than a few KB stay in the file.
    ///
    /// External data files are not opened before a payload is asked for or written.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        decode_model(Source::open(path.as_ref())?)
    }

    /// Reads a model held in memory. External data is out of reach.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        decode_model(Source::from_bytes(bytes.into(), None))
    }

    /// An empty model, to be filled through [`crate::GraphEdit`].
    pub fn new(graph_name: &str, ir_version: i64, opset: i64) -> Self {
        let opset_imports = vec![OpsetImport { domain: String::new(), version: opset }];
        Self {
            header: Header { ir_version, opset_imports, ..Header::default() },
            graph: Graph { name: graph_name.into(), ..Graph::default() },
            functions: Vec::new(),
            source: Arc::new(Source::from_bytes(Vec::new(), None)),
            layout: Arc::default(),
        }
    }

    /// File the model was loaded from.
    pub fn source_path(&self) -> Option<&Path> {
        self.source.path.as_deref()
    }

    /// Size of the model file (or of the bytes) it was loaded from, without external data.
    pub fn source_len(&self) -> u64 {
        self.source.data().len() as u64
    }

    /// Version of the standard operator set (1 when the file names none).
    pub fn opset(&self) -> i64 {
        self.header.opset_imports.iter().find(|o| o.domain.is_empty()).map_or(1, |o| o.version)
    }
}
