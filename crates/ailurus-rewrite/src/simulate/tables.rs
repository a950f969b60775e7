//! Tables and masks with a row per token.

use super::Simulator;
use crate::{
    layout::Layout,
    options::Tables,
    plan::{Coverage, GatherEdit},
};
use ailurus_analyze::{Code, Refusal, abs::Abs, axis::Axis, interp::wrap, transfer};
use ailurus_onnx::{DataType, Node, NodeId, ValueId};
use std::collections::HashSet;

/// The tables of a rotation that have a row per token: positions, or angles where there are no positions to look up.
fn positions(node: &Node, slot: usize, out: &[Axis]) -> Option<Vec<Axis>> {
    let tokens = out.get(if out.len() == 3 { 1 } else { 2 })?.clone();
    let listed = if node.domain.is_empty() { 3 } else { 1 };
    match slot {
        s if s == listed => Some(vec![out[0].clone(), tokens]),
        1 | 2 if node.domain.is_empty() && node.input(3).is_none() => Some(vec![out[0].clone(), tokens, Axis::one()]),
        _ => None,
    }
}

impl Simulator<'_, '_> {
    /// What the axes of a table at an input mean: those of the result for elementwise operators, those of the scores for
    /// the mask of a fused attention.
    fn table_axes(&self, node: &Node, slot: usize, out: &[Axis]) -> Option<Vec<Axis>> {
        if transfer::is_elementwise(&node.domain, &node.op_type) {
            return Some(out.to_vec());
        }
        // Channels beside channels; what stands behind tokens along their axis brings its own rows there.
        if (node.domain.as_str(), node.op_type.as_str()) == ("", "Concat") {
            let at = wrap(node.int("axis", 0), out.len())?;
            let mut axes = out.to_vec();
            axes[at] = Axis::one();
            return Some(axes);
        }
        // Scores and what is added to them, before they are normalised.
        if (node.domain.as_str(), node.op_type.as_str()) == ("com.microsoft", "BiasSoftmax") {
            return (slot == 1).then(|| out.to_vec());
        }
        if node.op_type == "RotaryEmbedding" {
            return positions(node, slot, out);
        }
        let mask = match (node.domain.as_str(), node.op_type.as_str()) {
            ("", "Attention") => 3,
            ("com.microsoft", "Attention" | "MultiHeadAttention") => 5,
            _ => return None,
        };
        let sequence = &self.a.trunk.tokens.sequence;
        (slot == mask).then(|| vec![out[0].clone(), Axis::one(), sequence.clone(), sequence.clone()])
    }

    /// Tables from outside that have a row per token are read through the representatives.
    pub(super) fn gather_tables(
        &mut self,
        id: NodeId,
        node: &Node,
        inputs: &mut [Option<Abs>],
        out: &[Axis],
    ) -> Result<(), Refusal> {
        let t = &self.a.trunk.tokens;
        for (slot, abs) in inputs.iter_mut().enumerate() {
            let (Some(table), Some(v)) = (abs.as_mut(), node.input(slot)) else { continue };
            if self.out.values.contains_key(&v) && !self.tables.contains(&v) {
                continue;
            }
            let Some(out) = self.table_axes(node, slot, out) else { continue };
            let (Some(rank), Some(axes)) = (table.rank(), table.axes.clone()) else { continue };
            let Some(offset) = out.len().checked_sub(rank) else { continue };
            let mut hits = Vec::new();
            let mut coverage = None;
            for (k, axis) in axes.iter().enumerate() {
                let meaning = &out[k + offset];
                if axis.is_one() || !meaning.contains_run(&t.patches) {
                    continue;
                }
                let which = if *meaning == t.sequence {
                    Coverage::Sequence
                } else if *meaning == Axis(vec![t.patches.clone()]) {
                    Coverage::Patches
                } else {
                    return Err(self.refuse(
                        Code::AIL0210,
                        id,
                        "a table meets the tokens folded together with another axis",
                    ));
                };
                if coverage.is_some_and(|c| c != which) {
                    return Err(self.refuse(Code::AIL0210, id, "a table covers the tokens in two different ways"));
                }
                coverage = Some(which);
                hits.push(k);
            }
            let Some(coverage) = coverage else { continue };
            if table.activation && self.depends_on_image(v) {
                return Err(self.refuse(
                    Code::AIL0207,
                    id,
                    format!("`{}` brings token data from before the cut", self.g.name_of(v)),
                ));
            }
            let batch = usize::from(out[0].contains_run(&t.patches));
            let own = batch.checked_sub(offset).map(|b| axes[b].clone()).unwrap_or_else(Axis::one);
            let per_image = !own.is_one();
            let atoms = &self.interp.atoms;
            // Two batches of unknown size that meet in one operator are the same, unless one is known to be several of the
            // other.
            let several = |x: &Axis, y: &Axis| {
                let times = atoms.symbols.divide(&atoms.size(x), &atoms.size(y)).and_then(|q| q.constant());
                times.is_some_and(|n| n != 1)
            };
            let same = |x: &Axis, y: &Axis| {
                let open = atoms.known(x).is_none() && atoms.known(y).is_none();
                atoms.symbols.equal(&atoms.size(x), &atoms.size(y)) || open && !several(x, y) && !several(y, x)
            };
            // Heads folded into the batch would need each row once per head.
            let images = self.batch_axis();
            let one = images.as_ref().is_some_and(Axis::is_one);
            let folded = images.is_none_or(|b| !b.is_one() && !same(&b, &out[batch])) || per_image && one;
            if hits.len() > 2 || folded || per_image && (batch != 0 || !same(&own, &out[0])) {
                return Err(self.refuse(
                    Code::AIL0210,
                    id,
                    format!("the table `{}` has an axis that is not understood", self.g.name_of(v)),
                ));
            }
            let pair = hits.len() == 2;
            if pair && (hits[1] != hits[0] + 1 || hits[1] + 1 != rank || per_image && (rank != 4 || hits[0] != 2)) {
                return Err(self.refuse(
                    Code::AIL0210,
                    id,
                    format!("the table `{}` has its two token axes in an unusual place", self.g.name_of(v)),
                ));
            }
            let mut new: Vec<Axis> = (0..offset).map(|_| Axis::one()).chain(axes).collect();
            for &k in &hits {
                new[k + offset] = out[k + offset].replace_run(&t.patches, &self.clusters);
            }
            // Gathered rows differ from image to image, as the clusters do.
            new[batch] = out[batch].clone();
            // A number for a row that lies between others; of pairs, and of what is no number, the nearest is taken.
            let numbers = matches!(table.dtype, DataType::F32 | DataType::F16);
            let resize = (self.grid_tables == Some(Tables::Resize) && numbers && !pair).then(|| table.dtype.to_onnx());
            let hits: Vec<usize> = hits.into_iter().map(|k| k + offset).collect();
            table.axes = Some(new);
            table.activation = true;
            self.out.gathers.push(GatherEdit {
                node: self.key(id),
                input: slot,
                axes: hits,
                coverage,
                batch,
                per_image,
                rank,
                out_rank: out.len(),
                resize,
            });
        }
        Ok(())
    }

    /// True for what was computed from the picture; a mask that comes in beside it is a table per image.
    fn depends_on_image(&self, v: ValueId) -> bool {
        let mut open = vec![v];
        let mut seen = HashSet::from([v]);
        while let Some(v) = open.pop() {
            // Numbers read off a shape are no data, whatever they were read off.
            if !self.a.interp.get(v).is_some_and(|x| x.activation) {
                continue;
            }
            if self.a.interp.is_spatial(v) {
                return true;
            }
            let Some((n, _)) = self.g.producer(v) else { continue };
            let node = self.g.node(n);
            open.extend(node.inputs.iter().flatten().chain(&node.captures).copied().filter(|&v| seen.insert(v)));
        }
        false
    }

    /// The batch axis of the stream; of size 1 for a stream without one.
    fn batch_axis(&self) -> Option<Axis> {
        let (axes, tokens) = (self.a.interp.get(self.cut)?.axes(), &self.a.trunk.tokens);
        Layout::of(axes, tokens, &self.interp.atoms)?.batch(axes, tokens)
    }
}
