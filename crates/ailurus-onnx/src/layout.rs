//! Where the parts of a model lie in its source, in file order: what the writer splices from.

use crate::{Header, NodeId, ValueId};
use std::ops::Range;

/// A field of a message in the source.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Tag, length and payload.
    pub span: Range<usize>,
    /// Payload of a length-delimited field (empty otherwise).
    pub body: Range<usize>,
    /// What it is.
    pub what: What,
}

/// Meaning of an [`Entry`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// node of a graph or function
    Node(NodeId),
    /// dense initializer
    Initializer(ValueId),
    /// sparse initializer
    Sparse(ValueId),
    /// graph input, by position in the file
    Input(ValueId),
    /// graph output
    Output(ValueId),
    /// `value_info`; `None` when its name is no value of the graph
    ValueInfo(Option<ValueId>),
    /// quantization annotation
    Annotation(Option<ValueId>),
    /// main graph of the model
    Graph,
    /// model-local function, by position in the file
    Function(usize),
    /// opset import, by position in the file
    Opset(usize),
    /// metadata property of the model
    Metadata(String),
    /// producer name of the model
    ProducerName,
    /// producer version of the model
    ProducerVersion,
    /// IR version of the model
    IrVersion,
    /// training information of the model
    Training,
    /// anything else: always carried as it is
    Other,
}

/// Fields of a graph, function or model in file order.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The message.
    pub range: Range<usize>,
    /// Its fields.
    pub entries: Vec<Entry>,
}

/// Layout of a whole model, with its header as it was.
#[derive(Clone, Debug, Default)]
pub struct ModelLayout {
    /// Fields of the model message.
    pub fields: Layout,
    /// Header as loaded.
    pub header: Header,
}
