//! Read, edit and write ONNX files without decoding their weights.
//!
//! A file is memory-mapped and its wire format scanned; large tensor payloads stay byte ranges of the source file
//! and are spliced back when the model is written. Everything else becomes an indexed [`Graph`] of plain values.
//! [`GraphEdit`] is the only way to change a model. No other crate of the workspace sees protobuf.

mod access;
mod attribute;
mod decode;
mod dtype;
pub mod dump;
mod edit;
mod error;
mod graph;
mod layout;
mod model;
mod order;
mod source;
mod tensor;
mod wire;
mod write;

pub use attribute::Attribute;
pub use dtype::DataType;
pub use edit::{FunctionNode, FunctionSpec, GraphEdit, NodeSpec};
pub use error::{Error, Result};
pub use graph::{Dim, Graph, Node, NodeId, TensorType, Use, Value, ValueId, ValueKind};
pub use model::{Function, Header, Model, OpsetImport};
pub use tensor::{Storage, Tensor};
pub use write::{ExternalData, WriteOptions, WriteReport};
