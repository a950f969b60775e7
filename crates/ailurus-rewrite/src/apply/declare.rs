//! Declares the new shapes of tensors inside the region.

use super::{Targets, build::Build};
use crate::{
    error::Error,
    plan::{DimText, Plan},
};
use ailurus_onnx::{DataType, Dim, TensorType};

pub fn shapes(b: &mut Build, plan: &Plan, targets: &Targets) -> Result<(), Error> {
    for (edit, &value) in plan.shapes.iter().zip(&targets.shapes) {
        let declared = b.edit.graph().value(value).ty.as_ref().map(|t| t.dtype);
        let dtype = declared.unwrap_or(DataType::from_onnx(edit.dtype));
        if dtype == DataType::Undefined {
            // Better no declaration than a wrong one: runtimes infer it.
            b.edit.clear_type(value)?;
            continue;
        }
        let dims = edit
            .dims
            .iter()
            .map(|d| match d {
                DimText::Number(n) => Dim::Value(*n),
                DimText::Text(t) => Dim::Param(t.clone()),
            })
            .collect();
        b.edit.set_type(value, TensorType { dtype, shape: Some(dims) })?;
    }
    Ok(())
}
