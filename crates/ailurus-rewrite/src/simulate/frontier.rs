//! Edges that leave the region.

use super::Simulator;
use crate::{
    layout::Layout,
    options::UnfoldMode,
    plan::{Quantization, Reroute, UnfoldEdit},
    quantize,
};
use ailurus_analyze::{
    Code, Refusal,
    abs::Abs,
    axis::{Axis, Factor, Run},
    quantization,
};
use ailurus_onnx::{DataType, NodeId, ValueId};

impl Simulator<'_, '_> {
    /// Users of region values that are not in the region.
    pub(super) fn frontier(&mut self, unfold: UnfoldMode) -> Result<(), Refusal> {
        for id in self.out.region.clone() {
            for &v in self.g.node(id).outputs.iter().flatten() {
                let leaves = self.g.uses_outside(v, |n| self.set.contains(n)).next().is_some();
                if !leaves || self.tables.contains(&v) {
                    continue;
                }
                let Some(abs) = self.out.values.get(&v).cloned() else { continue };
                let edge = match abs.axes().iter().filter(|x| x.mentions(self.cluster_atom)).count() {
                    0 => self.shape_leak(id, v, &abs),
                    1 => self.edge(id, v, unfold),
                    _ => Err(self.refuse(
                        Code::AIL0209,
                        id,
                        format!("`{}` has two token axes and is used behind the encoder", self.g.name_of(v)),
                    )),
                };
                match edge {
                    // Behind the encoder the region may as well end earlier.
                    Err(_) if !self.encoder.contains(id) => self.again |= self.banned.insert(id),
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// The unfold on an edge.
    fn edge(&mut self, id: NodeId, v: ValueId, unfold: UnfoldMode) -> Result<(), Refusal> {
        let t = &self.a.trunk.tokens;
        let old = self.a.interp.get(v).map(|a| a.axes().to_vec()).unwrap_or_default();
        let fail = |me: &Self| {
            let name = me.g.name_of(v);
            me.refuse(Code::AIL0209, id, format!("`{name}` leaves the encoder in a layout that cannot be unfolded"))
        };
        let sequence = self.sequence_in(&old).ok_or_else(|| fail(self))?;
        let layout = Layout::around(&old, &sequence, t, &self.interp.atoms).ok_or_else(|| fail(self))?;
        if !self.has_batch_of_stream(&old, &sequence, layout) {
            return Err(fail(self));
        }
        let (prefix, suffix) = self.beside(&sequence).ok_or_else(|| fail(self))?;
        let channels = old.get(layout.channel_axis()).and_then(|c| self.interp.atoms.known(c));
        if layout == Layout::Flat && (channels.is_none() || self.interp.atoms.known(&sequence).is_none()) {
            return Err(fail(self));
        }
        let is_stream = quantization::forms(self.g, v).any(|form| self.a.trunk.streams.contains(&form));
        let on_stream = is_stream && !self.a.trunk.post_norm;
        let mode = if on_stream { unfold } else { UnfoldMode::Copy };
        let (quantization, dtype) = self.stored(id, v)?;
        self.out.unfolds.push(UnfoldEdit {
            value: self.g.name_of(v).to_owned(),
            layout,
            channels,
            quantization,
            mode,
            prefix,
            suffix,
            dtype: dtype.to_onnx(),
        });
        Ok(())
    }

    /// How a value that leaves is stored, and the type of its numbers: these are what is unfolded.
    fn stored(&self, id: NodeId, v: ValueId) -> Result<(Option<Quantization>, DataType), Refusal> {
        let dtype = self.a.interp.get(v).map_or(DataType::Undefined, |x| x.dtype);
        match (dtype, quantize::of(&self.a.interp, v)) {
            (DataType::F32 | DataType::F16, _) => Ok((None, dtype)),
            (DataType::Undefined, _) => {
                Ok((None, self.a.interp.get(self.cut).map_or(DataType::F32, |stream| stream.dtype)))
            }
            (_, Some((q, numbers))) => Ok((Some(q), numbers)),
            (_, None) => {
                let name = self.g.name_of(v);
                Err(self.refuse(
                    Code::AIL0209,
                    id,
                    format!(
                        "`{name}` leaves the encoder as {dtype:?} without a constant scale, so it cannot be unfolded"
                    ),
                ))
            }
        }
    }

    /// The axis that holds the patches, taken out of a product with the batch.
    fn sequence_in(&self, axes: &[Axis]) -> Option<Axis> {
        let t = &self.a.trunk.tokens;
        let axis = axes.iter().find(|x| x.contains_run(&t.patches))?;
        let [run] = &axis.0[..] else { return Some(axis.clone()) };
        match run.last() {
            Some(Factor::Cat(inner)) => Some(inner.clone()),
            _ => Some(Axis(vec![t.patches.clone()])),
        }
    }

    /// True when the images of a value are those of the stream: heads folded into the batch would each need their own row
    /// numbers.
    fn has_batch_of_stream(&self, axes: &[Axis], sequence: &Axis, layout: Layout) -> bool {
        let atoms = &self.interp.atoms;
        let folded = |x: &Axis| atoms.symbols.divide(&atoms.size(x), &atoms.size(sequence));
        let stream = self.a.interp.get(self.cut).map(|a| a.axes().to_vec()).unwrap_or_default();
        let of = |axes: &[Axis], layout: Layout| match layout {
            Layout::BatchTokenChannel | Layout::BatchChannelToken | Layout::Map | Layout::ChannelMap => {
                axes.first().map(|x| atoms.size(x))
            }
            Layout::TokenBatchChannel => axes.get(1).map(|x| atoms.size(x)),
            Layout::TokenChannel => Some(1.into()),
            Layout::Flat => axes.first().and_then(folded),
        };
        let own = of(axes, layout);
        let streams = Layout::of(&stream, &self.a.trunk.tokens, atoms).and_then(|l| match l {
            Layout::Flat => {
                let tokens = atoms.size(&self.a.trunk.tokens.sequence);
                stream.first().and_then(|x| atoms.symbols.divide(&atoms.size(x), &tokens))
            }
            l => of(&stream, l),
        });
        own.zip(streams).is_some_and(|(x, y)| {
            // Two batches of unknown size that meet in one model are the same.
            atoms.symbols.equal(&x, &y) || atoms.symbols.known(&x).is_none() && x.is_symbol() && y.is_symbol()
        })
    }

    /// Tokens before and behind the patches in a sequence.
    fn beside(&self, sequence: &Axis) -> Option<(usize, usize)> {
        let at = sequence.0.iter().position(|r| *r == self.a.trunk.tokens.patches)?;
        // The same patches twice, or others beside them, are no sequence of one grid.
        let spatial = |r: &Run| self.interp.atoms.is_spatial(&Axis(vec![r.clone()]));
        if sequence.0.iter().enumerate().any(|(i, r)| i != at && spatial(r)) {
            return None;
        }
        let count = |runs: &[Run]| {
            runs.iter().try_fold(0usize, |n, r| {
                let size = self.interp.atoms.symbols.known(&self.interp.atoms.run_size(r))?;
                Some(n + usize::try_from(size).ok()?)
            })
        };
        Some((count(&sequence.0[..at])?, count(&sequence.0[at + 1..])?))
    }

    /// Numbers computed from shapes inside the region and used behind it must stay what they were.
    fn shape_leak(&mut self, id: NodeId, v: ValueId, new: &Abs) -> Result<(), Refusal> {
        let old = self.a.interp.get(v);
        let (Some(before), Some(after)) = (old.and_then(Abs::ints), new.ints()) else {
            if old.is_none_or(|old| self.same_sizes(old, new)) {
                return Ok(());
            }
            if self.uniform.contains(&v) {
                self.make_full(v);
                return Ok(());
            }
            let name = self.g.name_of(v);
            return Err(self.refuse(Code::AIL0209, id, format!("`{name}` is shorter behind the encoder than it was")));
        };
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
