//! Shape operands of the region: new sizes, bounds and pads.

use super::{Meanings, Region, Sizes};
use crate::{
    plan::{DimSpec, OperandEdit},
    simulate::Simulation,
};
use ailurus_analyze::{Code, Refusal, abs::Abs, axis::Axis, expr::Expr, interp::wrap};
use ailurus_onnx::{Node, NodeId};

pub fn edit(region: &Region, meanings: &Meanings, sizes: &Sizes, out: &mut Simulation) -> Result<(), Refusal> {
    let edits = Operands { region, meanings, sizes };
    for &id in &out.region.clone() {
        let node = region.g.node(id);
        let Some(list) = edits.of(id, node)? else { continue };
        out.operands.extend(list);
    }
    Ok(())
}

struct Operands<'e, 'a, 'm> {
    region: &'e Region<'a, 'm>,
    meanings: &'e Meanings<'m>,
    sizes: &'e Sizes<'e, 'm>,
}

type Edits = Option<Vec<OperandEdit>>;

impl Operands<'_, '_, '_> {
    fn of(&self, id: NodeId, node: &Node) -> Result<Edits, Refusal> {
        if !node.domain.is_empty() {
            return Ok(None);
        }
        let Some(result) = node.output(0).and_then(|v| self.meanings.values.get(&v)).cloned() else { return Ok(None) };
        let Some(data) = self.meanings.read(id, node, 0) else { return Ok(None) };
        let on_grid = |x: &Abs| x.axes().iter().any(|axis| self.on_grid(axis));
        if !(on_grid(&data) || on_grid(&result)) {
            return Ok(None);
        }
        match node.op_type.as_str() {
            "Reshape" => self.reshape(id, node, &result),
            "Expand" => self.expand(id, node, &data, &result),
            "Slice" => self.slice(id, node, &data, &result),
            "Pad" => self.pad(id, node, &data, &result),
            _ => Ok(None),
        }
    }

    fn on_grid(&self, axis: &Axis) -> bool {
        self.region.on_grid(&self.meanings.interp.atoms, &self.meanings.resolved(axis))
    }

    fn new_size(&self, id: NodeId, axis: &Axis) -> Result<Expr, Refusal> {
        self.sizes.of(axis).map_err(|fault| fault.refusal().at(self.region.g, id))
    }

    fn entry(&self, id: NodeId, input: usize, dims: Vec<DimSpec>) -> OperandEdit {
        OperandEdit { node: self.region.key(id), input, dims, scalar: false }
    }

    fn attribute(&self, id: NodeId, what: &str) -> Refusal {
        self.region.refuse(Code::AIL0208, id, format!("{what} are fixed by an attribute, as in old operator sets"))
    }

    /// The sizes of all axes; one of them may be left for the reshape to find.
    fn reshape(&self, id: NodeId, node: &Node, result: &Abs) -> Result<Edits, Refusal> {
        if node.input(1).is_none() {
            return Err(self.attribute(id, "sizes"));
        }
        let mut dims = Vec::with_capacity(result.axes().len());
        let mut open = false;
        for axis in result.axes() {
            let size = self.new_size(id, axis)?;
            dims.push(match self.meanings.interp.atoms.symbols.known(&size) {
                Some(n) => DimSpec::Number(n),
                None if !open => {
                    open = true;
                    DimSpec::Number(-1)
                }
                None => {
                    return Err(self.region.refuse(
                        Code::AIL0208,
                        id,
                        "two sizes of this reshape are only known at run time",
                    ));
                }
            });
        }
        Ok(Some(vec![self.entry(id, 1, dims)]))
    }

    /// New sizes of what grows; 1 where the data has its size already.
    fn expand(&self, id: NodeId, node: &Node, data: &Abs, result: &Abs) -> Result<Edits, Refusal> {
        let mut dims = Vec::with_capacity(result.axes().len());
        for (i, axis) in result.axes().iter().enumerate() {
            let own = (i + data.axes().len()).checked_sub(result.axes().len()).map(|j| &data.axes()[j]);
            let size = self.new_size(id, axis)?;
            dims.push(match self.meanings.interp.atoms.symbols.known(&size) {
                _ if own == Some(axis) => DimSpec::Number(1),
                Some(n) => DimSpec::Number(n),
                None => self.images(&size).ok_or_else(|| {
                    let op = node.qualified_op();
                    let reason = format!("`{op}` repeats something as often as is only known at run time");
                    self.region.refuse(Code::AIL0208, id, reason)
                })?,
            });
        }
        Ok(Some(vec![self.entry(id, 1, dims)]))
    }

    /// A multiple of the number of images.
    fn images(&self, size: &Expr) -> Option<DimSpec> {
        let atoms = &self.meanings.interp.atoms;
        let images = atoms.size(self.meanings.values.get(&self.region.cut)?.axes().first()?);
        Some(DimSpec::Images(atoms.symbols.divide(size, &images)?.constant()?))
    }

    /// Bounds: a slice takes the padding away, takes one of the pieces that rolling swaps, or everything.
    fn slice(&self, id: NodeId, node: &Node, data: &Abs, result: &Abs) -> Result<Edits, Refusal> {
        let list = |i: usize| node.input(i).and_then(|v| self.region.a.interp.get(v)).and_then(Abs::constants);
        if node.input(1).is_none() {
            return Err(self.attribute(id, "bounds"));
        }
        let (starts, ends) = (list(1), list(2));
        let count = starts.as_ref().map_or(0, Vec::len);
        let axes = list(3).unwrap_or_else(|| (0..count as i64).collect());
        let places: Option<Vec<usize>> = axes.iter().map(|&a| wrap(a, data.axes().len())).collect();
        let Some(places) = places else { return Ok(None) };
        if !places.iter().any(|&at| self.on_grid(&data.axes()[at])) {
            return Ok(None);
        }
        let steps = list(4).unwrap_or_else(|| vec![1; count]);
        let ((Some(starts), Some(ends)), true) = ((starts, ends), steps.iter().all(|&s| s == 1)) else {
            return Err(self.region.refuse(Code::AIL0208, id, "the bounds or steps of this slice are not followed"));
        };
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for (i, &at) in places.iter().enumerate() {
            let (whole, part) = (&data.axes()[at], &result.axes()[at]);
            let (mut start, mut end) = (starts[i], ends[i]);
            if self.on_grid(whole) {
                let (length, kept) = (self.known(id, whole)?, self.known(id, part)?);
                // What is taken from the front stays there, what is taken from the end stays there.
                let old = self.meanings.interp.atoms.known(whole).unwrap_or(0);
                let first = if start < 0 { start.saturating_add(old) } else { start };
                start = if first == 0 { 0 } else { length - kept };
                end = start.saturating_add(kept);
            }
            from.push(DimSpec::Number(start));
            to.push(DimSpec::Number(end));
        }
        Ok(Some(vec![self.entry(id, 1, from), self.entry(id, 2, to)]))
    }

    fn known(&self, id: NodeId, axis: &Axis) -> Result<i64, Refusal> {
        let size = self.new_size(id, axis)?;
        let reason = || self.region.refuse(Code::AIL0208, id, "a size is only known at run time");
        self.meanings.interp.atoms.symbols.known(&size).ok_or_else(reason)
    }

    /// Pads up to whole windows.
    fn pad(&self, id: NodeId, node: &Node, data: &Abs, result: &Abs) -> Result<Edits, Refusal> {
        let Some(pads) = node.input(1) else { return Err(self.attribute(id, "pads")) };
        let old = self.region.a.interp.get(pads).and_then(Abs::constants);
        let axes = node.input(3).and_then(|v| self.region.a.interp.get(v)).and_then(Abs::constants);
        let rank = data.axes().len();
        let axes: Option<Vec<usize>> = match axes {
            Some(list) => list.iter().map(|&a| wrap(a, rank)).collect(),
            None => Some((0..rank).collect()),
        };
        let (Some(old), Some(axes)) = (old, axes) else {
            return Err(self.region.refuse(Code::AIL0208, id, "the pads are not followed"));
        };
        let mut new = old.clone();
        for (i, &at) in axes.iter().enumerate() {
            let (before, behind) = (old.get(i).copied().unwrap_or(0), old.get(i + axes.len()).copied().unwrap_or(0));
            if before == 0 && behind == 0 || !self.on_grid(&data.axes()[at]) {
                continue;
            }
            let (have, want) = (self.known(id, &data.axes()[at])?, self.known(id, &result.axes()[at])?);
            if let Some(pad) = new.get_mut(i + axes.len()) {
                *pad = want.saturating_sub(have).saturating_sub(before);
            }
        }
        Ok(Some(vec![self.entry(id, 1, new.into_iter().map(DimSpec::Number).collect())]))
    }
}
