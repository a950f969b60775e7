//! Re-writes shape operands. Constants are never edited in place: they may be shared.

use super::{Clusters, Targets, build::Build};
use crate::{
    error::Error,
    plan::{DimSpec, OperandEdit, Plan},
};
use ailurus_onnx::{Attribute, NodeId, ValueId};

pub fn rewrite(b: &mut Build, plan: &Plan, targets: &Targets, clusters: &Clusters) -> Result<(), Error> {
    for (edit, &node) in plan.operands.iter().zip(&targets.operands) {
        let old = b.edit.graph().node(node).input(edit.input);
        let literal: Option<Vec<i64>> =
            edit.dims.iter().map(|d| if let DimSpec::Number(n) = d { Some(*n) } else { None }).collect();
        let new = match literal {
            Some(list) if edit.scalar => b.int(*list.first().ok_or_else(|| empty(edit))?)?,
            Some(list) => b.ints(&list)?,
            None => assemble(b, plan, node, edit, clusters)?,
        };
        b.edit.set_input(node, edit.input, Some(new))?;
        if let Some(v) = old {
            b.loosen(v);
        }
    }
    Ok(())
}

fn empty(edit: &OperandEdit) -> Error {
    Error::Plan(format!("the operand {} of `{}` is a number without a value", edit.input, edit.node))
}

/// An operand with parts that are known only at run time.
fn assemble(
    b: &mut Build,
    plan: &Plan,
    node: NodeId,
    edit: &OperandEdit,
    clusters: &Clusters,
) -> Result<ValueId, Error> {
    let old = b.edit.graph().node(node).input(edit.input);
    let mut parts = Vec::with_capacity(edit.dims.len());
    for (i, d) in edit.dims.iter().enumerate() {
        parts.push(match *d {
            DimSpec::Number(n) => b.ints(&[n])?,
            DimSpec::Same => {
                let old = old.ok_or_else(|| Error::Plan(format!("`{}` has no operand to keep parts of", edit.node)))?;
                let at = b.ints(&[i as i64])?;
                b.op("dim", "Gather", &[old, at], &[("axis", Attribute::Int(0))], None)?
            }
            DimSpec::Rows(n) => count(b, plan, clusters.anchor()?, false, n)?,
            DimSpec::Clusters(n) => count(b, plan, clusters.anchor()?, true, n)?,
            DimSpec::Tokens(n) => count(b, plan, clusters.index, false, n)?,
            DimSpec::Patches(n) => count(b, plan, clusters.index, true, n)?,
            DimSpec::Images(n) => {
                let images = dimension(b, "images", clusters.base, 0)?;
                times(b, images, n)?
            }
        });
    }
    if let ([number], true) = (&parts[..], edit.scalar) {
        return b.with_axes("dim", "Squeeze", *number, &[0], None);
    }
    b.op("shape", "Concat", &parts, &[("axis", Attribute::Int(0))], None)
}

/// `n` times the second dimension of `of`, or of what lies between prefix and suffix in it: i64[1].
fn count(b: &mut Build, plan: &Plan, of: ValueId, inner: bool, n: i64) -> Result<ValueId, Error> {
    let mut v = dimension(b, "rows", of, 1)?;
    if inner {
        let others = b.ints(&[(plan.tokens.prefix + plan.tokens.suffix) as i64])?;
        v = b.op("clusters", "Sub", &[v, others], &[], None)?;
    }
    times(b, v, n)
}

/// A dimension of a value: i64[1].
fn dimension(b: &mut Build, what: &str, of: ValueId, axis: i64) -> Result<ValueId, Error> {
    let shape = b.op("sequence_shape", "Shape", &[of], &[], None)?;
    let at = b.ints(&[axis])?;
    b.op(what, "Gather", &[shape, at], &[("axis", Attribute::Int(0))], None)
}

fn times(b: &mut Build, v: ValueId, n: i64) -> Result<ValueId, Error> {
    if n == 1 {
        return Ok(v);
    }
    let factor = b.ints(&[n])?;
    b.op("dim", "Mul", &[v, factor], &[], None)
}
