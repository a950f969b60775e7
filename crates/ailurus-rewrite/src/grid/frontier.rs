//! What leaves the region: streams are unfolded, shapes are those of the full grid.

use super::{Meanings, Region, numbers::Changed};
use crate::{
    options::UnfoldMode,
    plan::{Reroute, UnfoldEdit},
    simulate::Simulation,
};
use ailurus_analyze::{Code, Refusal, abs::Abs, quantization, refusal::describe};
use ailurus_onnx::{DataType, NodeId, ValueId};

pub fn edit(
    region: &Region,
    meanings: &Meanings,
    changed: &Changed,
    mode: UnfoldMode,
    out: &mut Simulation,
) -> Result<(), Refusal> {
    let g = region.g;
    for &id in &out.region.clone() {
        for &v in g.node(id).outputs.iter().flatten() {
            if g.uses_outside(v, |n| region.nodes.contains(n)).next().is_none() {
                continue;
            }
            match meanings.values.get(&v) {
                Some(abs) => out.unfolds.push(unfold(region, meanings, id, v, abs, mode)?),
                None if changed.touches(v) => out.reroutes.extend(shape(region, id, v)?),
                None => (),
            }
        }
    }
    Ok(())
}

fn unfold(
    region: &Region,
    meanings: &Meanings,
    id: NodeId,
    v: ValueId,
    abs: &Abs,
    mode: UnfoldMode,
) -> Result<UnfoldEdit, Refusal> {
    let (a, g) = (region.a, region.g);
    let atoms = &meanings.interp.atoms;
    let layout = super::layout(a, v).ok_or_else(|| {
        let name = g.name_of(v);
        region.refuse(Code::AIL0209, id, format!("`{name}` leaves the blocks in a layout that cannot be unfolded"))
    })?;
    let dtype = a.interp.get(v).map_or(DataType::Undefined, |x| x.dtype);
    if !matches!(dtype, DataType::F32 | DataType::F16) {
        let name = g.name_of(v);
        return Err(region.refuse(Code::AIL0209, id, format!("`{name}` leaves the blocks as {dtype:?}")));
    }
    let is_stream = quantization::forms(g, v).any(|form| a.trunk.streams.contains(&form));
    Ok(UnfoldEdit {
        value: g.name_of(v).to_owned(),
        layout,
        channels: abs.axes().get(layout.channel_axis()).and_then(|c| atoms.known(c)),
        quantization: None,
        mode: if is_stream && !a.trunk.post_norm { mode } else { UnfoldMode::Copy },
        prefix: 0,
        suffix: 0,
        dtype: dtype.to_onnx(),
    })
}

/// Numbers that users behind the region take for those of the full grid.
fn shape(region: &Region, id: NodeId, v: ValueId) -> Result<Option<Reroute>, Refusal> {
    let g = region.g;
    let abs = region.a.interp.get(v);
    let symbols = &region.a.interp.atoms.symbols;
    let known: Option<Vec<i64>> = abs.and_then(Abs::ints).and_then(|l| l.iter().map(|e| symbols.known(e)).collect());
    match known {
        Some(elements) => {
            Ok(Some(Reroute { value: g.name_of(v).to_owned(), elements, scalar: abs.and_then(Abs::rank) == Some(0) }))
        }
        None => Err(region.refuse(
            Code::AIL0208,
            id,
            format!("{} carries a size out of the blocks that is only known at run time", describe(g, id)),
        )),
    }
}
