//! Streams that a model stores in 8 bits, read and written by the definition of the standard operators.

use crate::canonical::Stream;
use crate::deviation::Precision;
use ailurus_onnx::{Attribute, GraphEdit, Model, NodeId, NodeSpec, ValueId};
use ailurus_rewrite::plan::{Quantization, Scales};
use anyhow::{Context, Result, ensure};

/// Scale and zero point of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    scale: f32,
    zero: f32,
    lowest: f32,
    highest: f32,
}

impl Steps {
    /// Reads the constants that a plan names.
    pub fn of(model: &Model, q: &Quantization) -> Result<Self> {
        let zero = match &q.zero_point {
            Some(name) => one(&numbers(model, name)?)?,
            None => 0.0,
        };
        let (lowest, highest) = match q.stored {
            2 => (0.0, 255.0),
            3 => (-128.0, 127.0),
            other => anyhow::bail!("stored as element type {other}"),
        };
        Ok(Self { scale: one(&numbers(model, &q.scale)?)?, zero, lowest, highest })
    }

    /// `(stored - zero) * scale`
    pub fn numbers(&self, s: &Stream) -> Stream {
        Stream { data: s.data.iter().map(|v| (v - self.zero) * self.scale).collect(), ..*s }
    }

    /// What `stored` stands for, when each is one of the two steps around its number.
    pub fn nearest(&self, s: &Stream, stored: Stream) -> Result<Stream> {
        ensure!(s.data.len() == stored.data.len(), "{} numbers, {} stored", s.data.len(), stored.data.len());
        let is = self.numbers(&stored);
        for ((number, step), q) in s.data.iter().zip(&is.data).zip(&stored.data) {
            let beyond = (*q == self.lowest && number < step) || (*q == self.highest && number > step);
            let off = (number - step).abs() / self.scale;
            ensure!(beyond || off < 0.501, "{number} is stored {off} steps away");
        }
        Ok(is)
    }

    /// `round(number / scale) + zero`, saturated.
    pub fn stored(&self, s: &Stream) -> Stream {
        let one = |v: &f32| ((v / self.scale).round_ties_even() + self.zero).clamp(self.lowest, self.highest);
        Stream { data: s.data.iter().map(one).collect(), ..*s }
    }
}

/// Elements of a constant integer or float.
fn numbers(model: &Model, name: &str) -> Result<Vec<f32>> {
    let v = model.graph.find(name).with_context(|| format!("no value `{name}`"))?;
    let t = model.graph.constant(v).with_context(|| format!("`{name}` is not constant"))?;
    Ok(model.f32s(&t)?)
}

fn one(list: &[f32]) -> Result<f32> {
    ensure!(list.len() == 1, "{} numbers instead of one", list.len());
    Ok(list[0])
}

/// A constant matrix or vector of integers as numbers: one scale for all, or one per position of the axis.
pub fn dequantized(model: &Model, dims: &[usize], stored: &[f32], s: &Scales) -> Result<Vec<f32>> {
    let scale = numbers(model, &s.scale)?;
    let zero = s.zero_point.as_deref().map(|z| numbers(model, z)).transpose()?.unwrap_or_else(|| vec![0.0]);
    let axis = usize::try_from(s.axis).context("an axis from the back")?;
    let inner: usize = dims.iter().skip(axis + 1).product();
    let at = |list: &[f32], i: usize| if list.len() == 1 { list[0] } else { list[i / inner % list.len()] };
    ensure!(scale.len() == 1 || dims.get(axis) == Some(&scale.len()), "{} scales for {dims:?}", scale.len());
    Ok(stored.iter().enumerate().map(|(i, v)| (v - at(&zero, i)) * at(&scale, i)).collect())
}

/// A copy in which every `QLinearSoftmax` is spelled out: numbers, softmax, 8 bits. ONNX Runtime's operator rounds from
/// tables, which would be compared with what the oracle computes, and not the rewriter. In 8 bits fused skip connections
/// are taken apart for the same reason.
pub fn spelled_out(model: &Model) -> Result<Model> {
    let eight = Precision::of(model) == Precision::Eight;
    let model = if eight { ailurus_rewrite::prepare(model.clone())? } else { model.clone() };
    let mut edit = GraphEdit::new(model.clone());
    let found: Vec<_> = model.graph.nodes().filter(|(_, n)| n.op_type == "QLinearSoftmax").map(|(id, _)| id).collect();
    for id in found {
        softmax(&mut edit, id, None)?;
    }
    Ok(edit.finish()?)
}

/// Spells out one `QLinearSoftmax`, with something added to its scores.
pub fn softmax(edit: &mut GraphEdit, id: NodeId, mask: Option<ValueId>) -> Result<()> {
    let node = edit.graph().node(id).clone();
    let slot = |i: usize| node.input(i);
    let add = |edit: &mut GraphEdit, op: &str, inputs: Vec<ValueId>, axis: Option<i64>| -> Result<ValueId> {
        let name = edit.fresh_name(&format!("oracle/{op}"));
        let mut spec = NodeSpec::new(op, inputs).name(name.clone()).output(name, None);
        if let Some(axis) = axis {
            spec = spec.attribute("axis", Attribute::Int(axis));
        }
        Ok(edit.add(spec)?)
    };
    let (x, out) = (slot(0).context("no scores")?, node.output(0).context("no probabilities")?);
    let mut scores = add(edit, "DequantizeLinear", [Some(x), slot(1), slot(2)].into_iter().flatten().collect(), None)?;
    if let Some(mask) = mask {
        scores = add(edit, "Add", vec![scores, mask], None)?;
    }
    ensure!(node.int("opset", 13) >= 13, "an old softmax");
    let probabilities = add(edit, "Softmax", vec![scores], Some(node.int("axis", -1)))?;
    let stored = [Some(probabilities), slot(3), slot(4)].into_iter().flatten().collect();
    let stored = add(edit, "QuantizeLinear", stored, None)?;
    edit.replace_uses(out, stored, |_| true)?;
    edit.remove_node(id)?;
    Ok(())
}
