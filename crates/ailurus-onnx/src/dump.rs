//! A model as text, for snapshots and for reading.

use crate::{Attribute, DataType, Dim, Function, Graph, Model, OpsetImport, Tensor, TensorType, Value};
use std::fmt::Write;

/// Elements of small integer attributes and lists shown before they are cut.
const SHOWN: usize = 12;

/// The whole model: header, inputs, initializers (without elements), nodes, outputs, functions. Stable: the same model
/// always gives the same text.
pub fn text(model: &Model) -> String {
    let mut out = String::new();
    let h = &model.header;
    line(&mut out, 0, &format!("model ir={} opset=[{}]", h.ir_version, opsets(&h.opset_imports)));
    if !h.producer_name.is_empty() {
        line(&mut out, 0, format!("producer {} {}", h.producer_name, h.producer_version).trim_end());
    }
    for (key, value) in &h.metadata {
        line(&mut out, 0, &format!("metadata {key} = {}", quote(value.as_bytes())));
    }
    graph_text(&mut out, &model.graph, 0, "graph");
    for function in &model.functions {
        function_text(&mut out, function);
    }
    out
}

/// A graph alone.
pub fn graph(graph: &Graph) -> String {
    let mut out = String::new();
    graph_text(&mut out, graph, 0, "graph");
    out
}

/// A declared type, as in the text of a model: `f32[1, 3, H, ?]`.
pub fn type_text(ty: &TensorType) -> String {
    match &ty.shape {
        None => dtype(ty.dtype),
        Some(shape) => {
            let dims: Vec<String> = shape.iter().map(dim).collect();
            format!("{}[{}]", dtype(ty.dtype), dims.join(", "))
        }
    }
}

fn function_text(out: &mut String, f: &Function) {
    let names: Vec<&str> =
        f.attributes.iter().map(String::as_str).chain(f.attribute_defaults.keys().map(|k| &**k)).collect();
    let attributes = if names.is_empty() { String::new() } else { format!(" <{}>", names.join(", ")) };
    let head = format!("function {}::{}{attributes} opset=[{}]", f.domain, f.name, opsets(&f.opset_imports));
    graph_text(out, &f.body, 0, &head);
}

fn graph_text(out: &mut String, g: &Graph, depth: usize, head: &str) {
    let name = if g.name.is_empty() || head.starts_with("function") { String::new() } else { format!(" {}", g.name) };
    line(out, depth, &format!("{head}{name} {{"));
    for id in g.inputs() {
        line(out, depth + 1, &format!("in  {}", typed(g.value(id))));
    }
    for (_, tensor) in g.initializers() {
        line(out, depth + 1, &format!("const %{} {}", tensor.name, tensor_text(tensor)));
    }
    for (_, node) in g.nodes() {
        let names = |ids: &[Option<crate::ValueId>]| {
            let show = |v: &Option<crate::ValueId>| v.map_or("_".to_owned(), |v| format!("%{}", g.name_of(v)));
            ids.iter().map(show).collect::<Vec<_>>().join(", ")
        };
        let attributes: Vec<String> =
            node.attributes.iter().map(|(name, value)| format!("{name}={}", attribute(value))).collect();
        let attributes = if attributes.is_empty() { String::new() } else { format!(" {{{}}}", attributes.join(", ")) };
        let (outputs, inputs) = (names(&node.outputs), names(&node.inputs));
        line(out, depth + 1, &format!("{outputs} = {}({inputs}){attributes}", node.qualified_op()));
        for (name, value) in &node.attributes {
            for inner in value.graphs() {
                graph_text(out, inner, depth + 2, name);
            }
        }
    }
    for &id in g.outputs() {
        line(out, depth + 1, &format!("out {}", typed(g.value(id))));
    }
    line(out, depth, "}");
}

fn line(out: &mut String, depth: usize, text: &str) {
    // writing to a string cannot fail
    let _ = writeln!(out, "{:1$}{text}", "", depth * 2);
}

fn typed(value: &Value) -> String {
    match &value.ty {
        Some(ty) => format!("%{}: {}", value.name, type_text(ty)),
        None => format!("%{}", value.name),
    }
}

fn opsets(imports: &[OpsetImport]) -> String {
    let show = |o: &OpsetImport| match o.domain.as_str() {
        "" => o.version.to_string(),
        domain => format!("{domain}:{}", o.version),
    };
    imports.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn dim(dim: &Dim) -> String {
    match dim {
        Dim::Value(v) => v.to_string(),
        Dim::Param(p) => p.clone(),
        Dim::Unknown => "?".into(),
    }
}

fn dtype(dtype: DataType) -> String {
    match dtype {
        DataType::Other(code) => format!("type{code}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn tensor_text(tensor: &Tensor) -> String {
    let dims: Vec<String> = tensor.dims.iter().map(i64::to_string).collect();
    format!("{}[{}]", dtype(tensor.dtype), dims.join(", "))
}

fn attribute(value: &Attribute) -> String {
    match value {
        Attribute::Int(v) => v.to_string(),
        Attribute::Float(v) => format!("{v:?}"),
        Attribute::Str(v) => quote(v),
        Attribute::Tensor(t) => tensor_text(t),
        Attribute::Graph(_) => "graph".into(),
        Attribute::Ints(v) => list(v, i64::to_string),
        Attribute::Floats(v) => list(v, |v| format!("{v:?}")),
        Attribute::Strs(v) => list(v, |v| quote(v)),
        Attribute::Tensors(v) => list(v, tensor_text),
        Attribute::Graphs(v) => format!("{} graphs", v.len()),
        Attribute::Ref(name) => format!("@{name}"),
        Attribute::Opaque(bytes) => format!("opaque {} bytes", bytes.len()),
    }
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(show).collect();
    if items.len() > SHOWN {
        shown.push(format!("… {} in all", items.len()));
    }
    format!("[{}]", shown.join(", "))
}

fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
