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

/// An `Einsum`, axis by axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    /// The letter of each axis of each operand.
    pub terms: Vec<Vec<char>>,
    /// The letter of each axis of the result.
    pub result: Vec<char>,
}

/// Reads the equation of an `Einsum` whose operands have these ranks. Axes behind an ellipsis get letters that no equation
/// can be written with, aligned from the right as broadcasting does.
pub fn equation(text: &str, ranks: &[usize]) -> Option<Equation> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((l, r)) => (l, Some(r)),
        None => (text.as_str(), None),
    };
    let written: Vec<&str> = left.split(',').collect();
    if written.len() != ranks.len() {
        return None;
    }
    let mut widest = 0;
    let hidden = |n: usize| (0..n).rev().map(|i| char::from_u32(0xE000 + i as u32)).collect::<Option<Vec<char>>>();
    let mut terms = Vec::with_capacity(ranks.len());
    for (term, &rank) in written.iter().zip(ranks) {
        terms.push(match term.split_once("...") {
            None => term.chars().collect(),
            Some((before, behind)) => {
                let n = rank.checked_sub(before.chars().count() + behind.chars().count()).filter(|&n| n <= 64)?;
                widest = widest.max(n);
                before.chars().chain(hidden(n)?).chain(behind.chars()).collect::<Vec<char>>()
            }
        });
        if terms.last().is_some_and(|t| t.len() != rank) {
            return None;
        }
    }
    let result = match right {
        Some(r) => match r.split_once("...") {
            None => r.chars().collect(),
            Some((before, behind)) => before.chars().chain(hidden(widest)?).chain(behind.chars()).collect(),
        },
        // Without a result: what the ellipses stand for, then letters that occur once, in order.
        None => {
            let all: Vec<char> = terms.iter().flatten().copied().filter(|c| (*c as u32) < 0xE000).collect();
            let mut once: Vec<char> =
                all.iter().copied().filter(|c| all.iter().filter(|d| *d == c).count() == 1).collect();
            once.sort_unstable();
            hidden(widest)?.into_iter().chain(once).collect()
        }
    };
    Some(Equation { terms, result })
}

#[cfg(test)]
mod tests {
    use super::equation;

    fn read(text: &str, ranks: &[usize]) -> Option<(Vec<usize>, String)> {
        let e = equation(text, ranks)?;
        let shown = |c: &char| if (*c as u32) < 0xE000 { *c } else { char::from(b'0' + (*c as u32 - 0xE000) as u8) };
        Some((e.terms.iter().map(Vec::len).collect(), e.result.iter().map(shown).collect()))
    }

    #[test]
    fn equations() {
        assert_eq!(read("bhid, bhjd -> bhij", &[4, 4]), Some((vec![4, 4], "bhij".into())));
        assert_eq!(read("...id,...jd->...ij", &[4, 3]), Some((vec![4, 3], "10ij".into())));
        assert_eq!(read("ij,jk", &[2, 2]), Some((vec![2, 2], "ik".into())));
        assert_eq!(read("...k,k...", &[3, 2]), Some((vec![3, 2], "10".into())));
        assert_eq!(read("ij,jk->ik", &[3, 2]), None);
        assert_eq!(read("...ij,jk->...ik", &[1, 2]), None);
        assert_eq!(read("ij->i", &[2, 2]), None);
    }
}
