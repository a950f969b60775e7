//! Values of constant expressions: what exporters leave in a graph instead of a table.
//!
//! Relative positions looked up by computed distances, masks written window by window, sizes read off shapes: all of it is
//! constant for one image size, and a table that is resized has to be known. Numbers are kept in f64, which holds every
//! integer a table has and rounds back to the very f32 that was read.

mod array;
mod elementwise;
mod layout;
mod pick;
#[cfg(test)]
mod tests;

pub use array::{Array, checked};

use ailurus_analyze::{Interp, abs::Scalar};
use ailurus_onnx::{Graph, Model, Node, Tensor, ValueId};
use std::collections::HashMap;

/// Elements that one value may have; a graph made to do harm can ask for any number.
const MOST: usize = 1 << 24;

/// Elements that all values together may have.
const MOST_IN_ALL: usize = 1 << 26;

/// Evaluates constants of a graph.
pub struct Folder<'i, 'm> {
    interp: &'i Interp<'m>,
    known: HashMap<ValueId, Array>,
    held: usize,
}

/// Why a value cannot be told: the operator or the thing that stands in the way.
pub type Unknown = String;

impl<'i, 'm> Folder<'i, 'm> {
    pub fn new(interp: &'i Interp<'m>) -> Self {
        Self { interp, known: HashMap::new(), held: 0 }
    }

    fn keep(&mut self, v: ValueId, array: Array) -> Result<(), Unknown> {
        self.held = self.held.saturating_add(array.data.len());
        if self.held > MOST_IN_ALL {
            return Err("more numbers than tables have".to_owned());
        }
        self.known.insert(v, array);
        Ok(())
    }

    /// The value.
    pub fn value(&mut self, v: ValueId) -> Result<Array, Unknown> {
        let graph = &self.interp.model.graph;
        // What has to be evaluated first, before what needs it: graphs may be deep.
        let mut open = vec![(v, false)];
        while let Some((at, ready)) = open.pop() {
            if self.known.contains_key(&at) {
                continue;
            }
            if let Some(array) = self.given(graph, at)? {
                self.keep(at, array)?;
                continue;
            }
            let (id, _) = graph.producer(at).ok_or_else(|| format!("the input `{}`", graph.name_of(at)))?;
            let node = graph.node(id);
            if !ready {
                if self.interp.get(at).is_some_and(|x| x.activation) {
                    return Err(format!("`{}`, which depends on the image", graph.name_of(at)));
                }
                open.push((at, true));
                open.extend(node.inputs.iter().flatten().map(|&i| (i, false)));
                continue;
            }
            let results = if node.op_type == "If" && node.domain.is_empty() {
                self.branch(node)?
            } else {
                let known = |i: &Option<ValueId>| i.map(|i| self.known.get(&i).cloned().ok_or("a cycle".to_owned()));
                let inputs = node.inputs.iter().map(|i| known(i).transpose()).collect::<Result<Vec<_>, _>>()?;
                apply(node, &inputs, self.interp.model)?
            };
            for (o, array) in node.outputs.iter().zip(results) {
                if let Some(o) = o {
                    self.keep(*o, array)?;
                }
            }
            if !self.known.contains_key(&at) {
                return Err(node.qualified_op().to_string());
            }
        }
        self.known.get(&v).cloned().ok_or_else(|| "a cycle".to_owned())
    }

    /// Stored constants, and numbers that the analysis follows.
    fn given(&self, graph: &Graph, v: ValueId) -> Result<Option<Array>, Unknown> {
        if let Some(t) = graph.constant(v) {
            return self.stored(&t).map(Some);
        }
        let Some(abs) = self.interp.get(v) else { return Ok(None) };
        let (Some(list), Some(axes)) = (&abs.elements, &abs.axes) else { return Ok(None) };
        let symbols = &self.interp.atoms.symbols;
        let number = |s: &Scalar| match s {
            Scalar::Int(e) => symbols.known(e).map(|n| n as f64),
            Scalar::Float(f) => Some(*f),
            Scalar::Ratio(..) | Scalar::Unknown => None,
        };
        let data: Option<Vec<f64>> = list.iter().map(number).collect();
        let dims: Option<Vec<usize>> =
            axes.iter().map(|x| self.interp.atoms.known(x).and_then(|n| usize::try_from(n).ok())).collect();
        Ok(data.zip(dims).and_then(|(data, dims)| Array::new(abs.dtype, &dims, data).ok()))
    }

    fn stored(&self, t: &Tensor) -> Result<Array, Unknown> {
        let dims: Option<Vec<usize>> = t.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.filter(|_| t.len() <= MOST).ok_or_else(|| format!("the size of `{}`", t.name))?;
        let model = self.interp.model;
        let data: Vec<f64> = if t.dtype.is_float() {
            model.f32s(t).map_err(|e| e.to_string())?.into_iter().map(f64::from).collect()
        } else {
            model.i64s(t).map_err(|e| e.to_string())?.into_iter().map(|x| x as f64).collect()
        };
        Array::new(t.dtype, &dims, data)
    }

    /// The results of the branch of an `If` that runs.
    fn branch(&mut self, node: &Node) -> Result<Vec<Array>, Unknown> {
        let condition = node.input(0).and_then(|v| self.known.get(&v)).and_then(Array::scalar);
        let name = if condition.ok_or("an If without a condition")? != 0.0 { "then_branch" } else { "else_branch" };
        let graph = node.attributes.get(name).and_then(|a| a.graphs().first()).ok_or("an If without branches")?;
        let mut local: HashMap<ValueId, Array> = HashMap::new();
        for v in graph.value_ids() {
            if let Some(t) = graph.constant(v) {
                local.insert(v, self.stored(&t)?);
            } else if graph.producer(v).is_none()
                && let Some(outer) = self.interp.model.graph.find(graph.name_of(v))
            {
                // Only what a node or an output of the branch reads is needed.
                if let Ok(array) = self.value(outer) {
                    local.insert(v, array);
                }
            }
        }
        for (_, inner) in graph.nodes() {
            if inner.op_type == "Constant" {
                continue;
            }
            let read = |i: &Option<ValueId>| match i {
                Some(i) => local.get(i).cloned().map(Some).ok_or_else(|| format!("`{}`", graph.name_of(*i))),
                None => Ok(None),
            };
            let inputs = inner.inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let results = apply(inner, &inputs, self.interp.model)?;
            local.extend(inner.outputs.iter().zip(results).filter_map(|(v, array)| Some(((*v)?, array))));
        }
        let results = graph.outputs().iter().map(|v| local.get(v).cloned());
        results.collect::<Option<Vec<_>>>().ok_or_else(|| "an If whose branch is not followed".to_owned())
    }
}

/// What a node gives.
fn apply(node: &Node, inputs: &[Option<Array>], model: &Model) -> Result<Vec<Array>, Unknown> {
    let call = Call { node, inputs, model };
    let found = if node.domain.is_empty() {
        layout::apply(&call).or_else(|| pick::apply(&call)).or_else(|| elementwise::apply(&call))
    } else {
        None
    };
    found.unwrap_or_else(|| Err(node.qualified_op().to_string()))
}

/// A node with the values of its inputs.
struct Call<'c> {
    node: &'c Node,
    inputs: &'c [Option<Array>],
    model: &'c Model,
}

impl Call<'_> {
    fn input(&self, i: usize) -> Result<&Array, Unknown> {
        let missing = || format!("{} without input {i}", self.node.qualified_op());
        self.inputs.get(i).and_then(Option::as_ref).ok_or_else(missing)
    }

    fn optional(&self, i: usize) -> Option<&Array> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// A list of integers: an attribute, or an input in newer operator sets.
    fn ints(&self, attribute: &str, input: usize) -> Option<Vec<i64>> {
        self.node.ints(attribute).map(<[i64]>::to_vec).or_else(|| self.optional(input).map(Array::ints))
    }

    fn axis(&self, default: i64, rank: usize) -> Result<usize, Unknown> {
        wrap(self.node.int("axis", default), rank)
    }
}

fn wrap(axis: i64, rank: usize) -> Result<usize, Unknown> {
    ailurus_analyze::interp::wrap(axis, rank).ok_or_else(|| format!("axis {axis} of {rank}"))
}
