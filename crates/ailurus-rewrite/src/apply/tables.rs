//! Puts tables in place that were made for a smaller grid.

use super::{Targets, build::Build};
use crate::{error::Error, fold::Folder, plan::Plan};
use ailurus_analyze::Interp;
use ailurus_onnx::{DataType, Model, Storage, Tensor};
use half::f16;
use std::collections::HashMap;

pub fn replace(b: &mut Build, plan: &Plan, model: &Model, targets: &Targets) -> Result<(), Error> {
    let interp = Interp::run(model);
    let mut folder = Folder::new(&interp);
    let mut made = HashMap::new();
    for (edit, &node) in plan.tables.iter().zip(&targets.tables) {
        let old = b.edit.graph().node(node).input(edit.input);
        let old = old.ok_or_else(|| Error::Plan(format!("`{}` has no input {}", edit.node, edit.input)))?;
        // Blocks share tables where an exporter found them equal.
        let key = (old, edit.axes.clone(), edit.shifts);
        let new = match made.get(&key) {
            Some(&v) => v,
            None => {
                let bad = |why: String| Error::Plan(format!("the table at `{}` cannot be made: {why}", edit.node));
                let table = folder.value(old).map_err(bad)?;
                let table = edit.made(&table, plan.cluster.tables()).map_err(bad)?;
                let name = b.name("table");
                let dims: Vec<i64> = table.dims().iter().map(|&d| d as i64).collect();
                let list: Vec<f64> = table.data.iter().copied().collect();
                let v = b.edit.add_initializer(stored(name, DataType::from_onnx(edit.dtype), &dims, &list)?)?;
                made.insert(key, v);
                v
            }
        };
        b.edit.set_input(node, edit.input, Some(new))?;
        b.loosen(old);
    }
    Ok(())
}

/// Numbers in the element type of a table.
fn stored(name: String, dtype: DataType, dims: &[i64], list: &[f64]) -> Result<Tensor, Error> {
    let bytes: Vec<u8> = match dtype {
        DataType::F32 => list.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
        DataType::F16 => list.iter().flat_map(|&x| f16::from_f64(x).to_le_bytes()).collect(),
        DataType::F64 => list.iter().flat_map(|&x| x.to_le_bytes()).collect(),
        DataType::Bool => list.iter().map(|&x| u8::from(x != 0.0)).collect(),
        DataType::I32 => list.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect(),
        DataType::I64 => list.iter().flat_map(|&x| (x as i64).to_le_bytes()).collect(),
        other => return Err(Error::Plan(format!("tables of type {other:?} cannot be made anew"))),
    };
    Ok(Tensor { name, dtype, dims: dims.to_vec(), storage: Storage::Memory(bytes.into()) })
}
