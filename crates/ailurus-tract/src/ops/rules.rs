//! Inference rules that follow from a schema.
//!
//! A schema writes shapes with one letter per axis; equal letters are equal dimensions.

use std::collections::BTreeMap;

use ailurus_ops::{Port, PortType, Schema};
use tract_onnx::tract_hir::internal::*;

/// Types, ranks and equal dimensions.
pub(super) fn from_schema<'r, 'p: 'r>(
    schema: &'static Schema,
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
) -> InferenceResult {
    if inputs.len() < schema.required_inputs() || inputs.len() > schema.inputs.len() {
        bail!("{} has {} inputs", schema.name, inputs.len());
    }
    if outputs.len() < schema.required_outputs() || outputs.len() > schema.outputs.len() {
        bail!("{} has {} outputs", schema.name, outputs.len());
    }
    let ports = || {
        let ins = schema.inputs.iter().zip(inputs);
        ins.chain(schema.outputs.iter().zip(outputs))
    };
    let element = ports().find(|(p, _)| p.dtype == PortType::E).map(|(_, t)| t);
    let mut axes: BTreeMap<&str, (&'p TensorProxy, usize)> = BTreeMap::new();
    for (port, tensor) in ports() {
        match (port.dtype, element) {
            (PortType::E, Some(first)) => s.equals(&first.datum_type, &tensor.datum_type)?,
            (PortType::F32, _) => s.equals(&tensor.datum_type, f32::datum_type())?,
            (PortType::I32, _) => s.equals(&tensor.datum_type, i32::datum_type())?,
            // Computed shapes are integers of tract's own kind until they are known.
            (PortType::I64, _) | (PortType::E, None) => {}
        }
        let Some(letters) = letters(port) else {
            continue;
        };
        s.equals(&tensor.rank, letters.len() as i64)?;
        for (axis, letter) in letters.into_iter().enumerate() {
            match axes.get(letter) {
                Some((first, at)) => s.equals(&first.shape[*at], &tensor.shape[axis])?,
                None => {
                    axes.insert(letter, (tensor, axis));
                }
            }
        }
    }
    Ok(())
}

/// The letters of a port's axes, when there is only one way to read it.
fn letters(port: &'static Port) -> Option<Vec<&'static str>> {
    // Ports with alternatives leave the rank open; a number is not a letter.
    if port.shape.contains('|') || port.shape.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(port.shape.split_whitespace().collect())
}

/// The reduced token count of every output axis R, from the token count of input 0.
pub(super) fn rows<'r, 'p: 'r>(
    schema: &'static Schema,
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
    rows: impl Fn(&TDim) -> Option<TDim> + 'r,
) -> InferenceResult {
    let is_rows = |port: &Port| port.shape.split_whitespace().position(|l| l == "R");
    let places: Vec<_> = schema.outputs.iter().zip(outputs).filter_map(|(p, t)| Some((t, is_rows(p)?))).collect();
    s.given(&inputs[0].shape[1], move |s, tokens| {
        if let Some(rows) = rows(&tokens) {
            for (tensor, axis) in &places {
                s.equals(&tensor.shape[*axis], rows.clone())?;
            }
        }
        Ok(())
    })
}
