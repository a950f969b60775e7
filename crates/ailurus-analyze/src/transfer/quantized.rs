//! Operators on quantised tensors: each does to axes what its floating point counterpart does, but its operands stand
//! among scales and zero points.
//!
//! A scale that is taken over a whole tensor while the model runs (`DynamicQuantizeLinear`) treats tokens alike: its range
//! is that of the tokens there are. A *stored* scale per position would not, so those are recorded as reading positions.

use super::{elementwise, index, normalize, spatial};
use crate::{
    abs::Abs,
    axis::Axis,
    interp::{Ctx, How, wrap},
};
use ailurus_onnx::DataType;

/// Element type of the result: that of the zero point it is given, or else that of the data.
fn result_type(ctx: &Ctx, zero_point: usize, data: usize) -> DataType {
    ctx.input(zero_point).map_or(ctx.dtype(data), |z| z.dtype)
}

fn typed(outputs: Option<Vec<Abs>>, dtype: DataType) -> Option<Vec<Abs>> {
    let mut list = outputs?;
    list.iter_mut().for_each(|a| a.dtype = dtype);
    Some(list)
}

/// `QuantizeLinear` and `DequantizeLinear` of both domains: one scale, one per position of an axis, or blocks.
pub fn linear(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let x = ctx.input(0)?.clone();
    let axes = x.axes.clone()?;
    let scale = ctx.axes(1)?;
    if scale.len() > 1 {
        for (axis, _) in axes.iter().zip(&scale).filter(|(_, own)| !own.is_one()) {
            ctx.effect(0, axis, How::Mix);
        }
    } else if scale.iter().any(|s: &Axis| !s.is_one()) {
        let at = wrap(ctx.node.int("axis", 1), axes.len()).or_else(|| axes.len().checked_sub(1))?;
        ctx.effect(0, &axes[at], How::Mix);
    }
    let stated = i32::try_from(ctx.node.int("output_dtype", 0)).ok().filter(|&d| d != 0).map(DataType::from_onnx);
    let dtype = match ctx.node.op_type.as_str() {
        "QuantizeLinear" => ctx.input(2).map(|z| z.dtype).or(stated).unwrap_or(DataType::U8),
        _ => stated.unwrap_or(ctx.dtype(1)),
    };
    let mut out = Abs::new(axes, dtype, x.activation);
    // Numbers that shapes are computed with are quantised like any others.
    if ctx.node.op_type == "DequantizeLinear" && scale.iter().all(Axis::is_one) {
        out.elements = elementwise::compute("DequantizeLinear", ctx, dtype);
    }
    Some(vec![out])
}

/// Per-tensor quantisation with a scale taken over the whole tensor while the model runs.
pub fn dynamic(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let x = ctx.input(0)?.clone();
    Some(vec![
        Abs::new(x.axes?, DataType::U8, x.activation),
        Abs::new(Vec::new(), DataType::F32, x.activation),
        Abs::new(Vec::new(), DataType::U8, x.activation),
    ])
}

pub fn softmax(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let dtype = result_type(ctx, 4, 0);
    typed(normalize::softmax(ctx), dtype)
}

/// `QLinearConcat(y_scale, y_zero, x, x_scale, x_zero, ..)`.
pub fn concat(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let slots: Vec<usize> = (2..ctx.inputs.len()).step_by(3).collect();
    let dtype = result_type(ctx, 1, 2);
    typed(index::join(ctx, &slots), dtype)
}

/// `QLinearConv(x, x_scale, x_zero, w, ..)`.
pub fn conv(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let last = ctx.node.int("channels_last", 0) != 0;
    let dtype = result_type(ctx, 7, 0);
    typed(spatial::conv_of(ctx, 3, last), dtype)
}

/// 8-bit factors, whole sums.
pub fn conv_integer(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    typed(spatial::conv_of(ctx, 1, false), DataType::I32)
}

pub fn average_pool(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let last = ctx.node.int("channels_last", 0) != 0;
    spatial::pool_of(ctx, last)
}

pub fn global_pool(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let last = ctx.node.int("channels_last", 0) != 0;
    spatial::global_pool_of(ctx, last)
}

/// Sums integers over listed axes.
pub fn reduce_sum_integer(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    typed(normalize::reduce(ctx), DataType::I32)
}
