//! Which inputs of a matrix product are its factors, whatever the operator is called and whatever else it reads.

use ailurus_onnx::Node;

/// The factors of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Input that is the left factor, `[.., m, k]`.
    pub left: usize,
    /// Input that is the right factor, `[.., k, n]`.
    pub right: usize,
    /// The last two axes of the left factor are swapped.
    pub trans_left: bool,
    /// The last two axes of the right factor are swapped.
    pub trans_right: bool,
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
    let swapped = |name: &str| node.int(name, 0) != 0;
    Some(Product { left, right, trans_left: swapped("transA"), trans_right: swapped("transB") })
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
