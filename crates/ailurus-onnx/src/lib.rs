//! Read, edit and write ONNX files without decoding their weights.
//!
//! A file is memory-mapped and its wire format scanned; large tensor payloads stay byte ranges of the source file
//! and are spliced back when the model is written. Everything else becomes an indexed [`Graph`] of plain values.
//! [`GraphEdit`] is the only way to change a model. No other crate of the workspace sees protobuf.
//!
//! Whatever is not edited is written as the bytes it was: order, unknown fields, documentation and metadata survive,
//! and a model without edits comes back byte for byte. Broken and hostile files give an [`Error`]: nothing panics,
//! recurses without limit, or allocates more than a small multiple of the file.
//!
//! ```
//! use ailurus_onnx::{DataType, GraphEdit, Model, NodeSpec, Tensor, TensorType, Use};
//!
//! # fn main() -> Result<(), ailurus_onnx::Error> {
//! let mut edit = GraphEdit::new(Model::new("example", 8, 17));
//! let ty = TensorType { dtype: DataType::F32, shape: None };
//! let x = edit.add_graph_input("x", ty)?;
//! let w = edit.add_initializer(Tensor::from_f32("w", &[2], &[1.0, 2.0]))?;
//! let y = edit.add(NodeSpec::new("Mul", [x, w]).output("y", None))?;
//! edit.add_graph_output(y)?;
//! let model = edit.finish()?;
//!
//! // put a Relu behind the Mul; the output keeps its name
//! let mut edit = GraphEdit::new(model);
//! let y = edit.graph().outputs()[0];
//! let relu = edit.add(NodeSpec::new("Relu", [y]).output("relu", None))?;
//! edit.replace_uses(y, relu, |u| matches!(u, Use::GraphOutput { .. }))?;
//! let model = edit.finish()?;
//! assert_eq!(model.graph.name_of(model.graph.outputs()[0]), "y");
//! assert_eq!(model.graph.nodes().len(), 2);
//! let again = Model::from_bytes(model.to_bytes()?)?;
//! assert_eq!(ailurus_onnx::dump::text(&again), ailurus_onnx::dump::text(&model));
//! # Ok(())
//! # }
//! ```

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
mod strip;
mod tensor;
mod wire;
mod write;

pub use attribute::Attribute;
pub use dtype::DataType;
pub use edit::{FunctionNode, FunctionSpec, GraphEdit, NodeSpec};
pub use error::{Error, Result};
pub use graph::{Dim, Graph, Node, NodeId, TensorType, Use, Value, ValueId, ValueKind};
pub use model::{Function, Header, Model, OpsetImport};
pub use strip::Strip;
pub use tensor::{Storage, Tensor};
pub use write::{ExternalData, WriteOptions, WriteReport};
