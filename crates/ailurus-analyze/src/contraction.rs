//! Which inputs of a matrix product are its factors, whatever the operator is called and whatever else it reads.

use crate::axis::Axis;
use ailurus_onnx::Node;

/// The factors of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Input that is the left factor, `[.., m, k]` when in order.
    pub left: usize,
    /// Input that is the right factor, `[.., k, n]` when in order.
    pub right: usize,
    /// Order of the left factor's axes.
    pub left_order: Order,
    /// Order of the right factor's axes.
    pub right_order: Order,
}

/// How a factor's axes stand in its tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The last two are swapped.
    pub swapped: bool,
    /// The first but last comes first, in front of the stack's axes.
    pub first: bool,
}

impl Order {
    /// The axes in the order of a plain matrix product.
    pub fn arrange(self, mut axes: Vec<Axis>) -> Vec<Axis> {
        let n = axes.len();
        if self.first && n > 2 {
            axes[..n - 1].rotate_left(1);
        }
        if self.swapped && n > 1 {
            axes.swap(n - 1, n - 2);
        }
        axes
    }
}

/// The factors, when the operator is a product of two matrices (or stacks of them) that are stored as such.
pub fn of(node: &Node) -> Option<Product> {
    let (left, right) = match (node.domain.as_str(), node.op_type.as_str()) {
        ("", "MatMul" | "MatMulInteger" | "Gemm") => (0, 1),
        // Between the factors of these stand the scale and the zero point of the left one.
        ("", "QLinearMatMul") | ("com.microsoft", "QGemm") => (0, 3),
        (
            "com.microsoft",
            "DynamicQuantizeMatMul"
            | "FusedGemm"
            | "FusedMatMul"
            | "FusedMatMulActivation"
            | "GemmFastGelu"
            | "GemmFloat8"
            | "MatMulInteger16"
            | "MatMulIntegerToFloat"
            | "TransposeMatMul",
        ) => (0, 1),
        _ => return None,
    };
    let order =
        |swapped: &str, first: &str| Order { swapped: node.int(swapped, 0) != 0, first: node.int(first, 0) != 0 };
    let (left_order, right_order) = (order("transA", "transBatchA"), order("transB", "transBatchB"));
    Some(Product { left, right, left_order, right_order })
}

/// The two inputs that a contraction of two tensors multiplies: a matrix product, or an `Einsum` of two terms.
pub fn factors(node: &Node) -> Option<(usize, usize)> {
    match (node.domain.as_str(), node.op_type.as_str()) {
        ("", "Einsum") => (node.inputs.len() == 2).then_some((0, 1)),
        _ => of(node).map(|p| (p.left, p.right)),
    }
}

/// Products with weights packed into blocks: the input that is multiplied, and the attribute that counts the results.
pub fn is_packed(node: &Node) -> bool {
    node.domain == "com.microsoft" && matches!(node.op_type.as_str(), "MatMulNBits" | "MatMulBnb4")
}

/// True for operators that make new channels: what is known about the positions of channels in front of them says
/// nothing about those behind.
pub fn makes_channels(node: &Node) -> bool {
    let convolves = matches!(
        (node.domain.as_str(), node.op_type.as_str()),
        ("", "Conv" | "ConvInteger" | "QLinearConv") | ("com.microsoft", "QLinearConv" | "FusedConv" | "NhwcFusedConv")
    );
    convolves || is_packed(node) || of(node).is_some() || node.op_type == "Einsum"
}
