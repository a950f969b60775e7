//! Regions whose tokens stay a grid: attention inside windows, streams that are kept as maps.
//!
//! Every block behind the cut runs as it did, on a smaller grid and in smaller windows. Nothing has to treat tokens alike
//! here, as long as what tells them apart is understood: cutting into windows, rolling rows and columns, padding them up to
//! whole windows. In this order the modules say what each axis means ([`meanings`]), how long it is afterwards ([`sizes`]),
//! and which operands ([`operands`]) and tables ([`entries`]) follow from that.

mod check;
mod entries;
mod frontier;
mod meanings;
mod numbers;
mod operands;
mod sizes;

use crate::{
    layout::Layout,
    options::{Tables, UnfoldMode},
    simulate::{self, Simulation, probabilities},
};
use ailurus_analyze::{
    Analysis, Code, Refusal,
    abs::Abs,
    axis::{Axis, Factor},
    walk::{NodeSet, ancestors, descendants},
};
use ailurus_onnx::{Graph, NodeId, ValueId};

use meanings::Meanings;
use sizes::Sizes;

/// Where a region begins, and what it becomes.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Blocks that run on all tokens.
    pub layer: usize,
    /// Rows and columns of clusters.
    pub grid: (usize, usize),
    /// How the full grid is made again.
    pub unfold: UnfoldMode,
    /// How tables are read.
    pub tables: Tables,
}

/// True when what lies behind the cut needs its tokens on a grid: windows, or rows and columns as axes of their own.
pub fn needs_grid(a: &Analysis, layer: usize) -> bool {
    let axes = a.interp.get(a.trunk.streams[layer]).map(Abs::axes).unwrap_or_default();
    a.trunk.window_behind(layer).is_some() || Layout::of_map(axes, &a.trunk.tokens).is_some()
}

/// Layout of a stream, maps included.
pub fn layout(a: &Analysis, v: ValueId) -> Option<Layout> {
    let axes = a.interp.get(v)?.axes();
    Layout::of_map(axes, &a.trunk.tokens).or_else(|| Layout::of(axes, &a.trunk.tokens, &a.interp.atoms))
}

/// Works out what has to change for a region to run on a smaller grid.
pub fn simulate(a: &Analysis, extent: Extent) -> Result<Simulation, Refusal> {
    let g = &a.interp.model.graph;
    let region = Region::of(a, extent)?;
    let meanings = Meanings::of(&region)?;
    let sizes = Sizes::new(&region, &meanings, extent.grid);
    let mut out = Simulation::empty(&meanings.interp.atoms);
    out.region = g.nodes().map(|(id, _)| id).filter(|&id| region.nodes.contains(id)).collect();
    check::effects(&region, &meanings)?;
    operands::edit(&region, &meanings, &sizes, &mut out)?;
    let changed = numbers::Changed::of(&region, &meanings, &sizes);
    entries::edit(&region, &meanings, &sizes, &changed, extent.tables, &mut out)?;
    check::sizes(&region, &meanings, &sizes)?;
    frontier::edit(&region, &meanings, &changed, extent.unfold, &mut out)?;
    // What the values of the region are afterwards: sizes, for declared shapes and operation counts.
    let made = out.region.iter().flat_map(|&id| g.node(id).outputs.iter().flatten().copied());
    for v in std::iter::once(region.cut).chain(made) {
        let Some(abs) = meanings.values.get(&v) else { continue };
        let mut smaller = Vec::with_capacity(abs.axes().len());
        for axis in abs.axes() {
            let size = sizes.of(axis).map_err(|fault| region.unfit(v, fault))?;
            smaller.push(out.interp_atoms.axis("grid", size));
        }
        out.values.insert(v, Abs::new(smaller, abs.dtype, true));
    }
    Ok(out)
}

/// The part of a graph that runs on the smaller grid.
struct Region<'a, 'm> {
    a: &'a Analysis<'m>,
    g: &'m Graph,
    cut: ValueId,
    nodes: NodeSet,
    /// Nodes between scores and contexts of attention.
    probabilities: NodeSet,
    layer: usize,
}

impl<'a, 'm> Region<'a, 'm> {
    fn of(a: &'a Analysis<'m>, extent: Extent) -> Result<Self, Refusal> {
        let g = &a.interp.model.graph;
        let t = &a.trunk.tokens;
        if a.grid().is_none() {
            return Err(Refusal::new(
                Code::AIL0206,
                "blocks with windows or maps need a grid of fixed size, and this one is only known at run time",
                "export the model with a fixed image size",
            ));
        }
        if t.prefix + t.suffix > 0 || t.permuted {
            return Err(Refusal::new(
                Code::AIL0206,
                "tokens that are no patches, or patches in another order, stand among those that are cut into windows",
                "choose a later --layer",
            ));
        }
        let cut = a.trunk.streams[extent.layer];
        let end = a.trunk.streams[a.blocks()];
        let nodes = descendants(g, [cut]).and(&ancestors(g, [end]));
        let probabilities = probabilities(g, a.trunk.cores_behind(extent.layer));
        Ok(Self { a, g, cut, nodes, probabilities, layer: extent.layer })
    }

    /// True for axes with rows or columns of the grid in them, in whatever form.
    fn on_grid(&self, atoms: &ailurus_analyze::axis::Atoms, axis: &Axis) -> bool {
        let (rows, columns) = self.a.trunk.tokens.grid;
        let mut found = false;
        axis.for_each_atom(&mut |x| found |= atoms.descends(x, rows) || atoms.descends(x, columns));
        found
    }

    fn refuse(&self, code: Code, id: NodeId, reason: impl Into<String>) -> Refusal {
        simulate::refusal(code, reason.into()).at(self.g, id)
    }

    /// A size that the smaller grid does not allow.
    fn unfit(&self, v: ValueId, fault: sizes::Fault) -> Refusal {
        let place = self.g.producer(v).map(|(n, _)| n);
        let refusal = fault.refusal();
        place.map_or(refusal.clone(), |n| refusal.at(self.g, n))
    }

    /// The name a node goes by in plans.
    fn key(&self, id: NodeId) -> String {
        simulate::key(self.g, id)
    }
}

/// The factors of an axis that is one product of atoms.
fn atoms_of(axis: &Axis) -> Option<Vec<ailurus_analyze::axis::AtomId>> {
    let [run] = &axis.0[..] else { return None };
    run.iter().map(|f| if let Factor::Atom(a) = f { Some(*a) } else { None }).collect()
}
