//! Assignments and sizes for sequences that hold the patches beside other tokens than the stream does: a decoder that drops
//! the class token and appends queries of its own.

use super::{Clusters, build::Build};
use crate::{error::Error, plan::Plan};
use ailurus_onnx::{Attribute, DataType, Tensor, ValueId};
use std::collections::HashMap;

/// What was made already, by tokens before and behind the patches.
#[derive(Default)]
pub struct Arranged {
    indices: HashMap<(usize, usize), ValueId>,
    weights: HashMap<(usize, usize), ValueId>,
    sizes: HashMap<(usize, usize), ValueId>,
}

impl Arranged {
    /// Row of each token: i32 `[B, prefix + N + suffix]`, with a last axis where a token is made of several.
    pub fn index(
        &mut self,
        b: &mut Build,
        plan: &Plan,
        clusters: &Clusters,
        prefix: usize,
        suffix: usize,
    ) -> Result<ValueId, Error> {
        if (prefix, suffix) == (plan.tokens.prefix, plan.tokens.suffix) {
            return Ok(clusters.index);
        }
        if let Some(&v) = self.indices.get(&(prefix, suffix)) {
            return Ok(v);
        }
        let patches = patches(b, plan, clusters.index)?;
        let shift = prefix as i32 - plan.tokens.prefix as i32;
        let moved = b.numbers(&[], &[shift])?;
        let mut parts = vec![b.op("patch_index", "Add", &[patches, moved], &[], None)?];
        // One row number per token, the same for all that it may be made of.
        let column = |count: usize| match clusters.weight {
            None => vec![1, count as i64],
            Some(_) => vec![1, count as i64, 1],
        };
        if prefix > 0 {
            let rows: Vec<i32> = (0..prefix as i32).collect();
            let zero = zero_column(b, clusters.index)?;
            let list = b.numbers(&column(prefix), &rows)?;
            parts.insert(0, b.op("prefix_index", "Add", &[zero, list], &[], None)?);
        }
        if suffix > 0 {
            let rows: Vec<i32> = (0..suffix as i32).map(|i| i + prefix as i32).collect();
            let zero = zero_column(b, clusters.index)?;
            let list = b.numbers(&column(suffix), &rows)?;
            let behind = b.op("suffix_start", "Add", &[zero, list], &[], None)?;
            let m = clusters_count(b, plan, clusters)?;
            parts.push(b.op("suffix_index", "Add", &[behind, m], &[], None)?);
        }
        let v = joined(b, "index_beside", &parts)?;
        self.indices.insert((prefix, suffix), v);
        Ok(v)
    }

    /// Weights of the rows of each token: f32 `[B, prefix + N + suffix, K]`.
    pub fn weight(
        &mut self,
        b: &mut Build,
        plan: &Plan,
        clusters: &Clusters,
        prefix: usize,
        suffix: usize,
    ) -> Result<Option<ValueId>, Error> {
        let Some(weight) = clusters.weight else { return Ok(None) };
        if (prefix, suffix) == (plan.tokens.prefix, plan.tokens.suffix) {
            return Ok(Some(weight));
        }
        if let Some(&v) = self.weights.get(&(prefix, suffix)) {
            return Ok(Some(v));
        }
        let choices = super::cluster::choices(plan)?;
        let mut parts = vec![patches(b, plan, weight)?];
        for (count, front) in [(prefix, true), (suffix, false)] {
            if count == 0 {
                continue;
            }
            let zero = zero_column(b, weight)?;
            let name = b.name("own_weight");
            let own: Vec<f32> = (0..count * choices).map(|i| f32::from(u8::from(i % choices == 0))).collect();
            let list = b.edit.add_initializer(Tensor::from_f32(name, &[1, count as i64, choices as i64], &own))?;
            let v = b.op("own_weights", "Add", &[zero, list], &[], None)?;
            parts.insert(if front { 0 } else { parts.len() }, v);
        }
        let v = joined(b, "weight_beside", &parts)?;
        self.weights.insert((prefix, suffix), v);
        Ok(Some(v))
    }

    /// Tokens in each row: f32 `[B, prefix + M + suffix]`.
    pub fn size(
        &mut self,
        b: &mut Build,
        plan: &Plan,
        clusters: &Clusters,
        prefix: usize,
        suffix: usize,
    ) -> Result<ValueId, Error> {
        if (prefix, suffix) == (plan.tokens.prefix, plan.tokens.suffix) {
            return clusters.size();
        }
        if let Some(&v) = self.sizes.get(&(prefix, suffix)) {
            return Ok(v);
        }
        let size = clusters.size()?;
        let patches = patches(b, plan, size)?;
        let mut parts = vec![patches];
        for (count, front) in [(prefix, true), (suffix, false)] {
            if count == 0 {
                continue;
            }
            // The first row of every image, times zero, plus one: as many images as there are.
            let first = first_column(b, size)?;
            let zero = b.op("no_size", "Sub", &[first, first], &[], None)?;
            let name = b.name("single");
            let ones = b.edit.add_initializer(Tensor::from_f32(name, &[1, count as i64], &vec![1.0; count]))?;
            let v = b.op("single_size", "Add", &[zero, ones], &[], None)?;
            parts.insert(if front { 0 } else { parts.len() }, v);
        }
        let v = joined(b, "size_beside", &parts)?;
        self.sizes.insert((prefix, suffix), v);
        Ok(v)
    }
}

/// A table `[1, ..]` of these dimensions, repeated for as many images as a stream has.
pub fn for_images(b: &mut Build, what: &str, stream: ValueId, table: ValueId, dims: &[i64]) -> Result<ValueId, Error> {
    let shape = b.op("stream_shape", "Shape", &[stream], &[], None)?;
    let first = b.ints(&[0])?;
    let images = b.op("images", "Gather", &[shape, first], &[("axis", Attribute::Int(0))], None)?;
    let rest = b.ints(&dims[1..])?;
    let shape = b.op("table_shape", "Concat", &[images, rest], &[("axis", Attribute::Int(0))], None)?;
    b.op(what, "Expand", &[table, shape], &[], None)
}

/// What stands on both sides of the patches' part of a list.
pub struct Part {
    pub before: Vec<i32>,
    pub behind: Vec<i32>,
}

/// A list of the patches, i32 `[B, _]`, with what stands on both sides of it.
pub fn between(b: &mut Build, what: &str, patches: ValueId, others: Part) -> Result<ValueId, Error> {
    let mut parts = vec![patches];
    for (list, front) in [(others.before, true), (others.behind, false)] {
        if list.is_empty() {
            continue;
        }
        let zero = zero_column(b, patches)?;
        let list = b.numbers(&[1, list.len() as i64], &list)?;
        let part = b.op("others", "Add", &[zero, list], &[], None)?;
        parts.insert(if front { 0 } else { parts.len() }, part);
    }
    named(b, what, &parts)
}

/// As [`joined`], under this name even where there is nothing to join: what clusters are is looked for by name.
pub fn named(b: &mut Build, what: &str, parts: &[ValueId]) -> Result<ValueId, Error> {
    match parts {
        [only] => b.op(what, "Identity", &[*only], &[], None),
        _ => joined(b, what, parts),
    }
}

fn joined(b: &mut Build, what: &str, parts: &[ValueId]) -> Result<ValueId, Error> {
    match parts {
        [only] => Ok(*only),
        _ => b.op(what, "Concat", parts, &[("axis", Attribute::Int(1))], None),
    }
}

/// The patches' part of `[B, T]` or `[B, R]`.
pub fn patches(b: &mut Build, plan: &Plan, v: ValueId) -> Result<ValueId, Error> {
    let (prefix, suffix) = (plan.tokens.prefix as i64, plan.tokens.suffix as i64);
    let start = b.ints(&[prefix])?;
    let end = b.ints(&[if suffix == 0 { i64::MAX } else { -suffix }])?;
    let axis = b.ints(&[1])?;
    b.op("patches", "Slice", &[v, start, end, axis], &[], None)
}

fn first_column(b: &mut Build, v: ValueId) -> Result<ValueId, Error> {
    let (start, end, axis) = (b.ints(&[0])?, b.ints(&[1])?, b.ints(&[1])?);
    b.op("first", "Slice", &[v, start, end, axis], &[], None)
}

/// Zeros in the type and shape of the first column.
pub fn zero_column(b: &mut Build, index: ValueId) -> Result<ValueId, Error> {
    let first = first_column(b, index)?;
    b.op("zero", "Sub", &[first, first], &[], None)
}

/// Number of clusters: i32 `[1]`.
fn clusters_count(b: &mut Build, plan: &Plan, clusters: &Clusters) -> Result<ValueId, Error> {
    if let Some(m) = plan.tokens.clusters.and_then(|m| i32::try_from(m).ok()) {
        return b.numbers(&[1], &[m]);
    }
    let shape = b.op("anchor_shape", "Shape", &[clusters.anchor()?], &[], None)?;
    let one = b.ints(&[1])?;
    let rows = b.op("rows", "Gather", &[shape, one], &[("axis", Attribute::Int(0))], None)?;
    let others = b.ints(&[(plan.tokens.prefix + plan.tokens.suffix) as i64])?;
    let m = b.op("clusters", "Sub", &[rows, others], &[], None)?;
    let to = Attribute::Int(i64::from(DataType::I32.to_onnx()));
    b.op("clusters_i32", "Cast", &[m], &[("to", to)], None)
}
