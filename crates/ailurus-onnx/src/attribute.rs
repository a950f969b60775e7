//! Node attributes.

use crate::{Graph, Tensor};

/// Value of a node attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// 64-bit integer
    Int(i64),
    /// 32-bit float
    Float(f32),
    /// byte string (UTF-8 by convention)
    Str(Vec<u8>),
    /// tensor
    Tensor(Tensor),
    /// subgraph (bodies of `If`, `Loop`, `Scan`)
    Graph(Box<Graph>),
    /// list of integers
    Ints(Vec<i64>),
    /// list of floats
    Floats(Vec<f32>),
    /// list of byte strings
    Strs(Vec<Vec<u8>>),
    /// list of tensors
    Tensors(Vec<Tensor>),
    /// list of subgraphs
    Graphs(Vec<Graph>),
    /// reference to an attribute of the enclosing function
    Ref(String),
    /// a kind this library only carries (sparse tensors, type protos): its encoded bytes
    Opaque(Vec<u8>),
}

impl Attribute {
    /// The integer, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(v) = self { Some(*v) } else { None }
    }
    /// The float, if this is one.
    pub fn as_float(&self) -> Option<f32> {
        if let Self::Float(v) = self { Some(*v) } else { None }
    }
    /// The string, if this is one in UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(v) = self { std::str::from_utf8(v).ok() } else { None }
    }
    /// The integers, if this is a list of them.
    pub fn as_ints(&self) -> Option<&[i64]> {
        if let Self::Ints(v) = self { Some(v) } else { None }
    }
    /// The tensor, if this is one.
    pub fn as_tensor(&self) -> Option<&Tensor> {
        if let Self::Tensor(v) = self { Some(v) } else { None }
    }
    /// The subgraphs this attribute holds.
    pub fn graphs(&self) -> &[Graph] {
        match self {
            Self::Graph(g) => std::slice::from_ref(g),
            Self::Graphs(g) => g,
            _ => &[],
        }
    }
}
