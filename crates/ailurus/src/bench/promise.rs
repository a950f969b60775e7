//! What the operation count promises for the inputs that were measured.

use ailurus_onnx::{Dim, GraphEdit, Model, TensorType};
use ailurus_rewrite::Plan;
use ailurus_runtime::ValueInfo;

use crate::inputs::{Inputs, Slot};
use crate::verify::swapped;
use crate::{Result, pipeline};

/// Side of the pictures that a plan counts operations for where a model takes any size.
const COUNTED_SIDE: usize = 512;

/// What the operation count of `b` promises against `a` for these inputs, or why there is no promise.
pub(super) fn find(a: &Model, b: &Model, declared: &[ValueInfo], made: &Inputs) -> (Option<f64>, Vec<String>) {
    let saved = |m: &Model| m.header.metadata.get("ailurus.plan").cloned();
    let none = |why: &str| (None, vec![why.to_owned()]);
    match (saved(a), saved(b)) {
        (Some(_), None) => (None, swapped(a, b).into_iter().collect()),
        (None, None) => none("no promise: the second model was not rewritten by ailurus"),
        (Some(_), Some(_)) => {
            none("no promise: both models were rewritten by ailurus, whose promises are about originals")
        }
        (None, Some(plan)) => match serde_json::from_str::<Plan>(&plan) {
            Err(_) => none("no promise: the plan in the second model is of another version of ailurus"),
            Ok(plan) if a.graph.find(&plan.cut.value).is_none() => {
                none("no promise: the second model was made from another model than the first")
            }
            Ok(plan) => at_size(a, &plan, declared, made),
        },
    }
}

/// The plan's own count, or one for the size of the picture that was given.
fn at_size(a: &Model, plan: &Plan, declared: &[ValueInfo], made: &Inputs) -> (Option<f64>, Vec<String>) {
    let counted = Some(plan.promise());
    let Some((name, h, w)) = another_size(declared, made) else {
        return (counted, Vec::new());
    };
    match recount(a, plan, &name, (h, w)) {
        Ok(promise) => (Some(promise), Vec::new()),
        Err(_) => {
            let text = format!("the promise counts {COUNTED_SIDE} x {COUNTED_SIDE} pixels, the runs had {w} x {h}");
            (counted, vec![text])
        }
    }
}

/// Name, height and width of the picture where the model takes any size and this is not the one that plans assume.
fn another_size(declared: &[ValueInfo], made: &Inputs) -> Option<(String, usize, usize)> {
    let slot = declared.iter().find_map(Slot::of).filter(Slot::is_free)?;
    let (_, tensor) = made.iter().find(|(name, _)| *name == slot.name)?;
    let (h, w) = match *tensor.dims() {
        [_, h, w, _] if slot.is_channels_last() => (h, w),
        [_, _, h, w] => (h, w),
        _ => return None,
    };
    ((h, w) != (COUNTED_SIDE, COUNTED_SIDE)).then_some((slot.name, h, w))
}

/// Plans anew for a model whose picture has this size, and takes the promise of that.
fn recount(a: &Model, plan: &Plan, input: &str, size: (usize, usize)) -> Result<f64> {
    let mut edit = GraphEdit::new(ailurus_rewrite::prepare(a.clone())?);
    let values: Vec<_> = edit.graph().nodes().flat_map(|(_, n)| n.outputs.iter().copied().flatten()).collect();
    // Declared shapes speak of the free sizes.
    for value in values {
        edit.clear_type(value)?;
    }
    if let Some(value) = edit.graph().find(input) {
        let ty = edit.graph().value(value).ty.clone();
        if let Some(TensorType { dtype, shape: Some(mut shape) }) = ty
            && let [_, second, third, last] = &mut shape[..]
        {
            let last_is_colour = matches!(last, Dim::Value(3)) && !matches!(second, Dim::Value(3));
            let (h, w) = if last_is_colour { (second, third) } else { (third, last) };
            (*h, *w) = (Dim::Value(size.0 as i64), Dim::Value(size.1 as i64));
            edit.set_type(value, TensorType { dtype, shape: Some(shape) })?;
        }
    }
    let model = edit.finish()?;
    let analysis = pipeline::analyze(&model, plan.trunk.as_deref())?;
    Ok(pipeline::plan(&analysis, &ailurus_rewrite::settings(plan))?.promise())
}

#[cfg(test)]
mod tests {
    use ailurus_runtime::{DataType, Dim, Tensor};

    use super::*;

    #[test]
    fn pictures_of_another_size() {
        let info = |h: Dim, w: Dim| {
            let dims = vec![Dim::Symbol("b".into()), Dim::Known(3), h, w];
            [ValueInfo { name: "x".into(), data_type: Some(DataType::F32), dims: Some(dims) }]
        };
        let made =
            |h: usize, w: usize| vec![("x".to_owned(), Tensor::new([1, 3, h, w], vec![0f32; 3 * h * w]).unwrap())];
        let free = info(Dim::Symbol("h".into()), Dim::Symbol("w".into()));
        assert_eq!(another_size(&free, &made(512, 512)), None);
        assert_eq!(another_size(&free, &made(16, 32)), Some(("x".into(), 16, 32)));
        assert_eq!(another_size(&info(Dim::Known(16), Dim::Known(16)), &made(16, 16)), None);
    }

    /// The count for a fixed size is the plan's own where that is the size that plans assume, and grows with the share of
    /// attention where the picture does.
    #[test]
    fn counted_again() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/timm_vit_dynseg.dy18bhw.onnx");
        let model = Model::load(path).unwrap();
        let prepared = pipeline::load(path).unwrap();
        let analysis = pipeline::analyze(&prepared, None).unwrap();
        let plan = pipeline::plan(&analysis, &ailurus_rewrite::Options::new(1)).unwrap();
        let name = model.graph.name_of(model.graph.inputs().next().unwrap());
        let at = |side| recount(&model, &plan, name, (side, side)).unwrap();
        assert!((at(512) - plan.promise()).abs() < 0.01 * plan.promise(), "{} {}", at(512), plan.promise());
        assert!(at(96) > 1.0 && at(96) < at(512) && at(512) < at(1024), "{} {} {}", at(96), at(512), at(1024));
    }
}
