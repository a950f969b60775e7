//! Edges that leave the region.

use super::Simulator;
use crate::{
    layout::Layout,
    options::UnfoldMode,
    plan::{Quantization, Reroute, UnfoldEdit},
    quantize,
};
use ailurus_analyze::{Code, Refusal, abs::Abs, quantization};
use ailurus_onnx::{DataType, NodeId, Use, ValueId};

impl Simulator<'_, '_> {
    /// Users of region values that are not in the region.
    pub(super) fn frontier(&mut self, unfold: UnfoldMode) -> Result<(), Refusal> {
        let streams = &self.a.trunk.streams;
        for id in self.out.region.clone() {
            for &v in self.g.node(id).outputs.iter().flatten() {
                let leaves = self.g.uses(v).iter().any(|u| match *u {
                    Use::Input { node, .. } | Use::Capture { node } => !self.set.contains(node),
                    Use::GraphOutput { .. } => true,
                });
                if !leaves {
                    continue;
                }
                let Some(abs) = self.out.values.get(&v).cloned() else { continue };
                let count = abs.axes().iter().filter(|x| x.mentions(self.cluster_atom)).count();
                if count > 1 {
                    return Err(self.refuse(
                        Code::AIL0209,
                        id,
                        format!("`{}` has two token axes and is used behind the encoder", self.g.name_of(v)),
                    ));
                }
                if count == 0 {
                    self.shape_leak(id, v, &abs)?;
                    continue;
                }
                let old = self.a.interp.get(v).map(|a| a.axes().to_vec()).unwrap_or_default();
                let layout = Layout::of(&old, &self.a.trunk.tokens, &self.interp.atoms).ok_or_else(|| {
                    self.refuse(
                        Code::AIL0209,
                        id,
                        format!("`{}` leaves the encoder in a layout that cannot be unfolded", self.g.name_of(v)),
                    )
                })?;
                let is_stream = quantization::forms(self.g, v).any(|form| streams.contains(&form));
                let on_stream = is_stream && !self.a.trunk.post_norm;
                let mode = if on_stream { unfold } else { UnfoldMode::Copy };
                let channels = old.last().and_then(|c| self.interp.atoms.known(c));
                let (value, quantization) = (self.g.name_of(v).to_owned(), self.quantization(id, v, &abs)?);
                self.out.unfolds.push(UnfoldEdit { value, layout, channels, quantization, mode });
            }
        }
        Ok(())
    }

    /// How a value that leaves is stored: what is unfolded are its numbers.
    fn quantization(&self, id: NodeId, v: ValueId, abs: &Abs) -> Result<Option<Quantization>, Refusal> {
        match abs.dtype {
            DataType::F32 | DataType::F16 | DataType::Undefined => Ok(None),
            _ => match quantize::of(&self.a.interp, v) {
                Some((q, _)) => Ok(Some(q)),
                None => Err(self.refuse(
                    Code::AIL0209,
                    id,
                    format!(
                        "`{}` leaves the encoder as {:?} without a constant scale, so it cannot be unfolded",
                        self.g.name_of(v),
                        abs.dtype
                    ),
                )),
            },
        }
    }

    /// Numbers computed from shapes inside the region and used behind it must stay what they were.
    fn shape_leak(&mut self, id: NodeId, v: ValueId, new: &Abs) -> Result<(), Refusal> {
        let old = self.a.interp.get(v);
        let (Some(before), Some(after)) = (old.and_then(Abs::ints), new.ints()) else { return Ok(()) };
        let s = &self.interp.atoms.symbols;
        if before.len() == after.len() && before.iter().zip(&after).all(|(x, y)| s.equal(x, y)) {
            return Ok(());
        }
        let known: Option<Vec<i64>> = before.iter().map(|e| s.known(e)).collect();
        let Some(elements) = known else {
            return Err(self.refuse(
                Code::AIL0208,
                id,
                format!(
                    "`{}` carries a token count out of the encoder that is only known at run time",
                    self.g.name_of(v)
                ),
            ));
        };
        self.out.reroutes.push(Reroute {
            value: self.g.name_of(v).to_owned(),
            elements,
            scalar: new.rank() == Some(0),
        });
        Ok(())
    }
}
