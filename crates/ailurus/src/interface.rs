//! What a caller sees of a model: inputs and outputs by name, element type and dimensions.

use std::fmt;

use ailurus_onnx::{DataType, Dim, Model, TensorType, ValueId};
use serde::Serialize;

/// Which side of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What goes in.
    Input,
    /// What comes out.
    Output,
}

/// An input or output that two models declare differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Where it is.
    pub side: Side,
    /// Its name.
    pub name: String,
    /// Its type in the original, such as `float32 [batch, 3, 96, 96]`; `None` where the original lacks it.
    pub original: Option<String>,
    /// Its type in the other model; `None` where that lacks it.
    pub other: Option<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Input => "input",
            Side::Output => "output",
        };
        match (&self.original, &self.other) {
            (Some(a), Some(b)) => {
                write!(f, "the {side} `{}` is {a} in the first model and {b} in the second", self.name)
            }
            (Some(a), None) => write!(f, "the {side} `{}` ({a}) is in the first model only", self.name),
            (None, Some(b)) => write!(f, "the {side} `{}` ({b}) is in the second model only", self.name),
            (None, None) => write!(f, "the {side} `{}` is in neither model", self.name),
        }
    }
}

/// Everything that the two declare differently: names, element types, ranks, dimensions and their symbols. The order of
/// inputs and outputs is left out, since runs name them.
pub fn mismatches(original: &Model, other: &Model) -> Vec<Mismatch> {
    let mut out = compare(Side::Input, &declared(original, Side::Input), &declared(other, Side::Input));
    out.extend(compare(Side::Output, &declared(original, Side::Output), &declared(other, Side::Output)));
    out
}

fn declared(model: &Model, side: Side) -> Vec<(String, String)> {
    let graph = &model.graph;
    let ids: Vec<ValueId> = match side {
        Side::Input => graph.inputs().collect(),
        Side::Output => graph.outputs().to_vec(),
    };
    ids.into_iter().map(|v| (graph.name_of(v).to_owned(), describe(graph.value(v).ty.as_ref()))).collect()
}

fn compare(side: Side, original: &[(String, String)], other: &[(String, String)]) -> Vec<Mismatch> {
    let find = |list: &[(String, String)], name: &str| list.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone());
    let added = other.iter().filter(|(name, _)| find(original, name).is_none());
    original
        .iter()
        .chain(added)
        .map(|(name, _)| Mismatch {
            side,
            name: name.clone(),
            original: find(original, name),
            other: find(other, name),
        })
        .filter(|m| m.original != m.other)
        .collect()
}

/// A type as people write it; equal texts are equal types.
fn describe(ty: Option<&TensorType>) -> String {
    let Some(ty) = ty else {
        return "of a type that is not declared".into();
    };
    let kind = type_name(ty.dtype);
    match &ty.shape {
        None => format!("{kind} of any shape"),
        Some(dims) => {
            let dims: Vec<String> = dims
                .iter()
                .map(|d| match d {
                    Dim::Value(n) => n.to_string(),
                    Dim::Param(symbol) => symbol.clone(),
                    Dim::Unknown => "?".into(),
                })
                .collect();
            format!("{kind} [{}]", dims.join(", "))
        }
    }
}

fn type_name(dtype: DataType) -> String {
    let text = format!("{dtype:?}").to_lowercase();
    let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    match (text.chars().next(), digits) {
        (Some('f'), "16" | "32" | "64") if text.len() == 3 => format!("float{digits}"),
        (Some('i'), "8" | "16" | "32" | "64") if text.len() <= 3 => format!("int{digits}"),
        (Some('u'), "8" | "16" | "32" | "64") if text.len() <= 3 => format!("uint{digits}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ailurus_onnx::{GraphEdit, NodeSpec};

    fn model(inputs: &[(&str, DataType, Option<Vec<Dim>>)]) -> Model {
        let mut edit = GraphEdit::new(Model::new("g", 8, 17));
        for (name, dtype, shape) in inputs {
            let ty = TensorType { dtype: *dtype, shape: shape.clone() };
            let x = edit.add_graph_input(name, ty.clone()).unwrap();
            let y = edit.add(NodeSpec::new("Relu", [x]).output(format!("{name}_out"), Some(ty))).unwrap();
            edit.add_graph_output(y).unwrap();
        }
        edit.finish().unwrap()
    }

    fn said(a: &Model, b: &Model) -> Vec<String> {
        mismatches(a, b).iter().map(Mismatch::to_string).collect()
    }

    #[test]
    fn every_part_of_a_declaration_counts() {
        let dims = |batch: Dim| Some(vec![batch, Dim::Value(3)]);
        let symbol = |s: &str| Dim::Param(s.to_owned());
        let base = model(&[("x", DataType::F32, dims(symbol("batch")))]);
        assert_eq!(mismatches(&base, &base), []);
        let cases = [
            (DataType::F16, dims(symbol("batch")), "float16 [batch, 3]"),
            (DataType::F32, dims(symbol("n")), "float32 [n, 3]"),
            (DataType::F32, dims(Dim::Value(1)), "float32 [1, 3]"),
            (DataType::F32, dims(Dim::Unknown), "float32 [?, 3]"),
            (DataType::F32, Some(vec![Dim::Value(3)]), "float32 [3]"),
            (DataType::F32, None, "float32 of any shape"),
        ];
        for (dtype, shape, text) in cases {
            let said = said(&base, &model(&[("x", dtype, shape)]));
            assert_eq!(
                said,
                [
                    format!("the input `x` is float32 [batch, 3] in the first model and {text} in the second"),
                    format!("the output `x_out` is float32 [batch, 3] in the first model and {text} in the second"),
                ]
            );
        }
    }

    #[test]
    fn missing_and_added() {
        let one = |name| (name, DataType::I64, Some(vec![Dim::Value(1)]));
        let (a, b) = (model(&[one("x"), one("y")]), model(&[one("y"), one("z")]));
        assert_eq!(
            said(&a, &b),
            [
                "the input `x` (int64 [1]) is in the first model only",
                "the input `z` (int64 [1]) is in the second model only",
                "the output `x_out` (int64 [1]) is in the first model only",
                "the output `z_out` (int64 [1]) is in the second model only",
            ]
        );
    }

    #[test]
    fn the_order_does_not_count() {
        let one = |name| (name, DataType::Bool, None);
        assert_eq!(mismatches(&model(&[one("x"), one("y")]), &model(&[one("y"), one("x")])), []);
    }

    #[test]
    fn type_names() {
        let all = [DataType::F32, DataType::F16, DataType::U8, DataType::I64, DataType::Bool, DataType::Bf16];
        assert_eq!(all.map(type_name), ["float32", "float16", "uint8", "int64", "bool", "bf16"]);
    }
}
