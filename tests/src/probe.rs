//! Copies of models that return more, or start later.

use crate::case::Inputs;
use ailurus_onnx::{DataType, Dim, GraphEdit, Model, TensorType, ValueId};
use anyhow::{Context, Result};

/// A value by name.
pub fn find(model: &Model, name: &str) -> Result<ValueId> {
    model.graph.find(name).with_context(|| format!("no value `{name}`"))
}

/// A copy that also returns these values.
pub fn with_outputs<'a>(model: &Model, names: impl IntoIterator<Item = &'a str>) -> Result<Model> {
    let mut edit = GraphEdit::new(model.clone());
    for name in names {
        let v = find(model, name)?;
        edit.add_graph_output(v)?;
    }
    Ok(edit.finish()?)
}

/// Makes a value an input of any size.
pub fn cut(edit: &mut GraphEdit, name: &str, dtype: DataType, rank: usize) -> Result<()> {
    let v = find(edit.model(), name)?;
    edit.make_input(v)?;
    edit.set_type(v, open(dtype, rank))?;
    Ok(())
}

/// A type with nothing said about the sizes.
pub fn open(dtype: DataType, rank: usize) -> TensorType {
    TensorType { dtype, shape: Some(vec![Dim::Unknown; rank]) }
}

/// A copy whose inputs have the declared sizes of these tensors.
pub fn declared(model: &Model, inputs: &Inputs) -> Result<Model> {
    let mut edit = GraphEdit::new(model.clone());
    for (name, tensor) in inputs {
        let v = find(model, name)?;
        let dtype = model.graph.value(v).ty.as_ref().with_context(|| format!("`{name}` has no type"))?.dtype;
        let shape = tensor.dims().iter().map(|&d| Dim::Value(d as i64)).collect();
        edit.set_type(v, TensorType { dtype, shape: Some(shape) })?;
    }
    Ok(edit.finish()?)
}
