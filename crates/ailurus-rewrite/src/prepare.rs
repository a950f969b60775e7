//! Takes fusions apart that hide the residual stream.

use crate::{error::Error, skip};
use ailurus_onnx::{GraphEdit, Model, NodeId};

/// Makes a model ready for analysis. A model without such fusions is returned as it is; calling this twice changes nothing.
///
/// # Errors
/// When the graph cannot be edited.
pub fn prepare(model: Model) -> Result<Model, Error> {
    let fused: Vec<NodeId> = model.graph.nodes().filter(|(_, n)| skip::is_fused(n)).map(|(id, _)| id).collect();
    if fused.is_empty() {
        return Ok(model);
    }
    let mut edit = GraphEdit::new(model);
    for id in fused {
        skip::separate(&mut edit, id)?;
    }
    Ok(edit.finish()?)
}
