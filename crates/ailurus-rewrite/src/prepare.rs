//! Takes fusions apart that hide the residual stream.
//!
//! A fused skip connection adds and normalises in one operator. Its norm is the norm of a sum of *tokens*; after merging it
//! must be the norm of the merged sum, which is not the merged norm. So the two are separated wherever they occur, and
//! runtimes fuse them again when they load the model.

use crate::error::Error;
use ailurus_onnx::{Attribute, GraphEdit, Model, NodeId, NodeSpec, ValueId};

fn is_fused_skip(domain: &str, op: &str) -> bool {
    domain == "com.microsoft" && matches!(op, "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization")
}

/// Makes a model ready for analysis. A model without such fusions is returned as it is; calling this twice changes nothing.
///
/// # Errors
/// When the graph cannot be edited.
pub fn prepare(model: Model) -> Result<Model, Error> {
    let fused: Vec<NodeId> =
        model.graph.nodes().filter(|(_, n)| is_fused_skip(&n.domain, &n.op_type)).map(|(id, _)| id).collect();
    if fused.is_empty() {
        return Ok(model);
    }
    let mut edit = GraphEdit::new(model);
    for id in fused {
        separate(&mut edit, id)?;
    }
    Ok(edit.finish()?)
}

fn separate(edit: &mut GraphEdit, id: NodeId) -> Result<(), Error> {
    let node = edit.graph().node(id).clone();
    let simplified = node.op_type.contains("Simplified");
    // Statistics are training outputs; a model that reads them keeps its fusion.
    if [1, 2].into_iter().any(|s| node.output(s).is_some_and(|v| !edit.graph().uses(v).is_empty())) {
        return Ok(());
    }
    let (Some(x), Some(skip), Some(gamma), Some(out)) = (node.input(0), node.input(1), node.input(2), node.output(0))
    else {
        return Ok(());
    };
    let (beta, bias) = if simplified { (None, node.input(3)) } else { (node.input(3), node.input(4)) };
    let ty = edit.graph().value(out).ty.clone();
    let add = |edit: &mut GraphEdit, a: ValueId, b: ValueId| {
        let name = edit.fresh_name(&format!("{}/sum", node.name));
        edit.add(NodeSpec::new("Add", [a, b]).name(name.clone()).output(name, ty.clone()))
    };
    let mut sum = add(edit, x, skip)?;
    if let Some(bias) = bias {
        sum = add(edit, sum, bias)?;
    }
    let name = edit.fresh_name(&format!("{}/norm", node.name));
    let op = if simplified { "SimplifiedLayerNormalization" } else { "LayerNormalization" };
    let spec = NodeSpec::new(op, [sum, gamma].into_iter().chain(beta))
        .name(name.clone())
        .output(name, ty.clone())
        .attribute("axis", Attribute::Int(-1))
        .attribute("epsilon", Attribute::Float(node.float("epsilon", 1e-12)));
    let norm = edit.add(spec)?;
    let replaced = [(Some(out), norm), (node.output(3), sum)];
    for (old, new) in replaced {
        if let Some(old) = old {
            edit.replace_uses(old, new, |_| true)?;
        }
    }
    let names: Vec<(String, ValueId)> =
        replaced.iter().filter_map(|&(old, new)| Some((edit.graph().name_of(old?).to_owned(), new))).collect();
    edit.remove_node(id)?;
    // Values keep their names, unless one already took over the name of a graph output.
    for (name, value) in names {
        let public = edit.graph().outputs().contains(&value);
        if !public && edit.graph().find(&name).is_none() {
            edit.rename_value(value, &name)?;
        }
    }
    Ok(())
}
