//! Transfer functions: what each operator does to the meaning of axes. One file per family.
//!
//! A transfer reads [`Ctx`] and returns one [`Abs`] per output, or `None` when it cannot say; the interpreter then keeps
//! the declared sizes and drops the meaning, which ends a region there. Whatever an operator does along an axis other than
//! carrying it through must be recorded with [`Ctx::effect`].

mod attention;
mod contract;
mod elementwise;
mod fused;
mod index;
mod normalize;
mod quantized;
mod shape;
mod spatial;
mod value;

use crate::{abs::Abs, interp::Ctx};

pub use elementwise::is_elementwise;
pub use normalize::{is_norm, is_softmax, softmax_axis};

/// Interprets one node.
pub fn apply(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    match ctx.node.domain.as_str() {
        "" => standard(ctx),
        "com.microsoft" => microsoft(ctx),
        _ => None,
    }
}

fn standard(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    match ctx.node.op_type.as_str() {
        "Constant" => value::constant_node(ctx),
        "ConstantOfShape" => value::constant_of_shape(ctx),
        "Range" => value::range(ctx),
        "Shape" => value::shape(ctx),
        "Size" => value::size(ctx),
        "Cast" | "CastLike" => value::cast(ctx),

        "Reshape" => shape::reshape(ctx),
        "Flatten" => shape::flatten(ctx),
        "Squeeze" => shape::squeeze(ctx),
        "Unsqueeze" => shape::unsqueeze(ctx),
        "Transpose" => shape::transpose(ctx),
        "Expand" => shape::expand(ctx),
        "Tile" => shape::tile(ctx),
        "Identity" | "Dropout" => shape::identity(ctx),

        "Slice" => index::slice(ctx),
        "Split" => index::split(ctx),
        "Gather" => index::gather(ctx),
        "GatherElements" => index::gather_elements(ctx),
        "GatherND" => index::gather_nd(ctx),
        "ScatterND" | "ScatterElements" => index::scatter(ctx),
        "Concat" => index::concat(ctx),
        "Pad" => index::pad(ctx),
        "TopK" => index::top_k(ctx),
        "ArgMax" | "ArgMin" => normalize::reduce_axis(ctx),
        "CumSum" => index::cum_sum(ctx),
        "Trilu" => index::triangle(ctx),
        "EyeLike" => index::eye(ctx),

        "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Gemm" => contract::matmul(ctx),
        "Einsum" => contract::einsum(ctx),

        "Softmax" | "LogSoftmax" | "Hardmax" | "LpNormalization" => normalize::softmax(ctx),
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => normalize::layer_norm(ctx),
        "BatchNormalization" => normalize::batch_norm(ctx),
        "InstanceNormalization" | "GroupNormalization" => normalize::instance_norm(ctx),
        op if op.starts_with("Reduce") => normalize::reduce(ctx),

        "Conv" => spatial::conv(ctx),
        "ConvInteger" => quantized::conv_integer(ctx),
        "QLinearConv" => quantized::conv(ctx),
        "ConvTranspose" => spatial::conv_transpose(ctx),
        "MaxPool" | "AveragePool" | "LpPool" => spatial::pool(ctx),
        "GlobalAveragePool" | "GlobalMaxPool" => spatial::global_pool(ctx),
        "Resize" | "Upsample" => spatial::resize(ctx),
        "DepthToSpace" => spatial::depth_to_space(ctx),
        "SpaceToDepth" => spatial::space_to_depth(ctx),

        "Attention" => attention::standard(ctx),
        "RotaryEmbedding" => fused::rotary(ctx),
        "QuantizeLinear" | "DequantizeLinear" => quantized::linear(ctx),
        "DynamicQuantizeLinear" => quantized::dynamic(ctx),
        op if is_elementwise("", op) => elementwise::elementwise(ctx),
        _ => None,
    }
}

fn microsoft(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    match ctx.node.op_type.as_str() {
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => normalize::skip_layer_norm(ctx),
        "Attention" | "QAttention" => attention::packed(ctx),
        "MultiHeadAttention" => attention::multi_head(ctx),

        "FusedMatMul" | "TransposeMatMul" | "FusedMatMulActivation" | "FusedGemm" | "GemmFastGelu" | "GemmFloat8" => {
            contract::matmul(ctx)
        }
        "RotaryEmbedding" => fused::rotary(ctx),
        "MatMulNBits" | "MatMulBnb4" => fused::packed_matmul(ctx),
        "FusedConv" | "NhwcFusedConv" => fused::conv(ctx),
        "GroupNorm" | "SkipGroupNorm" => fused::group_norm(ctx),
        "NhwcMaxPool" => spatial::pool_of(ctx, true),
        "BiasSoftmax" => normalize::softmax(ctx),

        "MatMulIntegerToFloat" | "DynamicQuantizeMatMul" | "MatMulInteger16" | "QGemm" => contract::matmul(ctx),
        "QLinearConv" => quantized::conv(ctx),
        "QLinearConcat" => quantized::concat(ctx),
        "QLinearSoftmax" => quantized::softmax(ctx),
        "QLinearAveragePool" => quantized::average_pool(ctx),
        "QLinearGlobalAveragePool" => quantized::global_pool(ctx),
        "QLinearReduceMean" => normalize::reduce(ctx),
        "ReduceSumInteger" => quantized::reduce_sum_integer(ctx),
        "QuantizeLinear" | "DequantizeLinear" => quantized::linear(ctx),
        op if is_elementwise("com.microsoft", op) => elementwise::elementwise(ctx),
        _ => None,
    }
}
