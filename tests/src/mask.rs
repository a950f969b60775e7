//! Attention that sees only one token of each cluster.

use crate::{probe, quantized, taps::Place};
use ailurus_analyze::Analysis;
use ailurus_onnx::{DataType, GraphEdit, NodeSpec, Use, ValueId};
use ailurus_runtime::Tensor;
use anyhow::{Context, Result, ensure};

/// A new input that is added to the scores of a core.
#[derive(Debug)]
pub struct Mask {
    /// Its name.
    pub name: String,
    /// Elements that hide a token, and their type.
    dtype: DataType,
    form: Form,
    /// Tokens before and behind the patches among the keys; `None` where they are those of the stream.
    pub beside: Option<(usize, usize)>,
}

/// The tokens that attention sees.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Representatives, `[B, R]`.
    pub anchors: &'a [i32],
    /// What is added to their scores, `[B, R]`.
    pub bonus: Vec<f32>,
}

#[derive(Debug)]
enum Form {
    /// Combined with this value, whose axis of keys is counted from the back.
    Scores { value: String, from_back: usize },
    /// Multiplied with probabilities: 1 for what is seen, 0 for what is hidden.
    Gate { value: String, from_back: usize },
    /// Given to a fused operator: `[B, 1, T, T]`.
    Pairs,
    /// Given to a fused 8-bit operator: `[B, T]`, 1 for tokens that are seen.
    Visible,
}

impl Mask {
    /// Puts it into the graph.
    pub fn insert(edit: &mut GraphEdit, a: &Analysis, place: &Place) -> Result<Self> {
        match *place {
            Place::Softmax { node, scores, from_back } => {
                let stored = a.interp.model.graph.node(node).op_type == "QLinearSoftmax";
                let (name, dtype, mask) = input(edit, a, scores)?;
                if stored {
                    quantized::softmax(edit, node, Some(mask))?;
                } else {
                    let masked = add(edit, scores, mask)?;
                    edit.set_input(node, 0, Some(masked))?;
                }
                let value = a.interp.model.graph.name_of(scores).to_owned();
                Ok(Self { name, dtype, form: Form::Scores { value, from_back }, beside: None })
            }
            Place::Scores { scores, from_back } => {
                let (name, dtype, mask) = input(edit, a, scores)?;
                let masked = add(edit, scores, mask)?;
                let own = edit.graph().producer(masked).context("the sum")?.0;
                edit.replace_uses(scores, masked, |u| !matches!(u, Use::Input { node, .. } if node == own))?;
                let value = a.interp.model.graph.name_of(scores).to_owned();
                Ok(Self { name, dtype, form: Form::Scores { value, from_back }, beside: None })
            }
            Place::Gate { context, slot, from_back } => {
                let v = a.interp.model.graph.node(context).input(slot).context("no probabilities")?;
                let (name, dtype, mask) = input(edit, a, v)?;
                let out = edit.fresh_name("oracle/gated");
                let gated = edit.add(NodeSpec::new("Mul", [v, mask]).name(out.clone()).output(out, None))?;
                edit.set_input(context, slot, Some(gated))?;
                let value = a.interp.model.graph.name_of(v).to_owned();
                Ok(Self { name, dtype, form: Form::Gate { value, from_back }, beside: None })
            }
            Place::Fused(id) => {
                let node = a.interp.model.graph.node(id);
                if node.op_type == "QAttention" {
                    ensure!(node.input(5).is_none(), "a mask is there already");
                    let name = edit.fresh_name("oracle/mask");
                    let mask = edit.add_graph_input(&name, probe::open(DataType::I32, 2))?;
                    edit.set_input(id, 5, Some(mask))?;
                    return Ok(Self { name, dtype: DataType::I32, form: Form::Visible, beside: None });
                }
                let slot = match (node.domain.as_str(), node.op_type.as_str()) {
                    ("", "Attention") => 3,
                    _ => 5,
                };
                let query = node.input(0).context("no query")?;
                let (dtype, old) = (a.interp.get(query).context("query")?.dtype, node.input(slot));
                let name = edit.fresh_name("oracle/mask");
                let mut mask = edit.add_graph_input(&name, probe::open(dtype, 4))?;
                if let Some(old) = old {
                    let boolean = a.interp.get(old).context("mask")?.dtype == DataType::Bool;
                    mask = if boolean { allow(edit, old, mask, dtype)? } else { add(edit, old, mask)? };
                }
                edit.set_input(id, slot, Some(mask))?;
                Ok(Self { name, dtype, form: Form::Pairs, beside: None })
            }
        }
    }

    /// The value whose sizes the mask follows, where there is one.
    pub fn follows(&self) -> Option<&str> {
        match &self.form {
            Form::Scores { value, .. } | Form::Gate { value, .. } => Some(value),
            Form::Pairs | Form::Visible => None,
        }
    }

    /// Elements for representatives, `[B, R]`, and what to add to their scores. `scores` are the sizes of what the mask
    /// follows.
    pub fn tensor(&self, seen: &Seen, batch: usize, tokens: usize, scores: &[usize]) -> Result<Tensor> {
        let each = seen.anchors.len() / batch;
        let gate = matches!(self.form, Form::Gate { .. });
        let mut row = vec![if gate { 0.0 } else { hidden(self.dtype) }; batch * tokens];
        for (i, (&anchor, &bonus)) in seen.anchors.iter().zip(&seen.bonus).enumerate() {
            row[i / each * tokens + anchor as usize] = if gate { 1.0 } else { bonus };
        }
        let (dims, data): (_, Vec<f32>) = match &self.form {
            Form::Visible => {
                let hidden = hidden(self.dtype);
                (vec![batch, tokens], row.iter().map(|&v| f32::from(u8::from(v > hidden))).collect())
            }
            Form::Pairs => {
                let rows = row.chunks_exact(tokens).flat_map(|row| std::iter::repeat_n(row, tokens));
                (vec![batch, 1, tokens, tokens], rows.flatten().copied().collect())
            }
            Form::Scores { from_back, value } | Form::Gate { from_back, value } => {
                let axis = scores.len().checked_sub(*from_back).context("axis of the keys")?;
                ensure!(scores[axis] == tokens, "`{value}` is {scores:?}, not {tokens} keys at axis {axis}");
                // The first axis is the batch, or the batch with heads inside.
                ensure!(axis > 0 && scores[0].is_multiple_of(batch), "`{value}` is {scores:?}: where is the batch?");
                let heads = scores[0] / batch;
                let mut dims = vec![1; scores.len()];
                (dims[0], dims[axis]) = (scores[0], tokens);
                let rows = row.chunks_exact(tokens).flat_map(|row| std::iter::repeat_n(row, heads));
                (dims, rows.flatten().copied().collect())
            }
        };
        let dtype = match self.dtype {
            DataType::F16 => ailurus_runtime::DataType::F16,
            DataType::I32 => ailurus_runtime::DataType::I32,
            _ => ailurus_runtime::DataType::F32,
        };
        Ok(Tensor::new(dims, data)?.cast(dtype))
    }
}

/// A new input like a value.
fn input(edit: &mut GraphEdit, a: &Analysis, v: ValueId) -> Result<(String, DataType, ValueId)> {
    let abs = a.interp.get(v).context("an unknown value")?;
    // What is stored in 8 bits is masked as numbers.
    let dtype = if abs.dtype.is_float() { abs.dtype } else { DataType::F32 };
    let name = edit.fresh_name("oracle/mask");
    let mask = edit.add_graph_input(&name, probe::open(dtype, abs.rank().context("unknown rank")?))?;
    Ok((name, dtype, mask))
}

fn add(edit: &mut GraphEdit, a: ValueId, b: ValueId) -> Result<ValueId> {
    let name = edit.fresh_name("oracle/masked");
    Ok(edit.add(NodeSpec::new("Add", [a, b]).name(name.clone()).output(name, None))?)
}

/// As low as the type allows without becoming an infinity, which would turn a fully masked row into NaN.
fn hidden(dtype: DataType) -> f32 {
    if dtype == DataType::F16 { -6e4 } else { -1e9 }
}

/// The mask where a mask of truth values lets attention through, and hidden elsewhere.
fn allow(edit: &mut GraphEdit, open: ValueId, mask: ValueId, dtype: DataType) -> Result<ValueId> {
    let (name, shut) = (edit.fresh_name("oracle/allowed"), edit.fresh_name("oracle/shut"));
    let shut = match dtype {
        DataType::F16 => {
            let low = half::f16::from_f32(hidden(dtype)).to_le_bytes();
            edit.add_initializer(ailurus_onnx::Tensor::from_bytes(shut, dtype, &[], low.to_vec()))?
        }
        _ => edit.add_initializer(ailurus_onnx::Tensor::from_f32(shut, &[], &[hidden(dtype)]))?,
    };
    Ok(edit.add(NodeSpec::new("Where", [open, mask, shut]).name(name.clone()).output(name, None))?)
}
