//! Tables and masks with a row per token.

use super::Simulator;
use crate::plan::{Coverage, GatherEdit};
use ailurus_analyze::{Code, Refusal, abs::Abs, axis::Axis, transfer};
use ailurus_onnx::{Node, NodeId};

impl Simulator<'_, '_> {
    /// What the axes of a table at an input mean: those of the result for elementwise operators, those of the scores for
    /// the mask of a fused attention.
    fn table_axes(&self, node: &Node, slot: usize, out: &[Axis]) -> Option<Vec<Axis>> {
        if transfer::is_elementwise(&node.domain, &node.op_type) {
            return Some(out.to_vec());
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
            if self.out.values.contains_key(&v) {
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
            if table.activation {
                return Err(self.refuse(
                    Code::AIL0207,
                    id,
                    format!("`{}` brings token data from before the cut", self.g.name_of(v)),
                ));
            }
            let batch = 0usize.checked_sub(offset).filter(|_| !out[0].contains_run(&t.patches));
            let atoms = &self.interp.atoms;
            let per_image = batch.is_some_and(|b| !axes[b].is_one());
            if hits.len() > 2 || per_image && !atoms.symbols.equal(&atoms.size(&axes[0]), &atoms.size(&out[0])) {
                return Err(self.refuse(
                    Code::AIL0210,
                    id,
                    format!("the table `{}` has an axis that is not understood", self.g.name_of(v)),
                ));
            }
            let mut new = axes;
            for &k in &hits {
                new[k] = out[k + offset].replace_run(&t.patches, &self.clusters);
            }
            // Gathered rows differ from image to image, as the clusters do.
            if let Some(b) = batch {
                new[b] = out[0].clone();
            }
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
            });
        }
        Ok(())
    }
}
