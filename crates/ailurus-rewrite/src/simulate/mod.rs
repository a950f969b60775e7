//! Runs the region of a plan abstractly on fewer tokens, and notes every operand, table and shape that has to change.
//!
//! The original interpretation says what each axis means; replacing the run of patches by one run of clusters gives what each
//! axis must be afterwards. A node is fine when its transfer function, applied to the replaced inputs, yields just that.
//! Where a shape operand or a table stands in the way, the difference *is* the edit.

mod beyond;
mod frontier;
mod numbers;
mod operands;
mod tables;

use crate::{
    options::{Tables, UnfoldAt, UnfoldMode},
    plan::{GatherEdit, OperandEdit, Reroute, UnfoldEdit},
    tables::TableEdit,
};
use ailurus_analyze::{
    Analysis, Code, Refusal,
    abs::Abs,
    axis::{AtomId, Axis, Factor, Run},
    cores::Core,
    expr::Expr,
    interp::{How, Interp, Outcome, wrap},
    transfer,
    walk::{NodeSet, ancestors, descendants},
};
use ailurus_onnx::{Graph, Node, NodeId, ValueId};
use std::collections::{HashMap, HashSet};

/// Result of a simulation.
pub struct Simulation {
    /// Nodes of the region, in order.
    pub region: Vec<NodeId>,
    /// Abstract values inside the region, the merged cut included.
    pub values: HashMap<ValueId, Abs>,
    /// Interpretation with the atoms of those values.
    pub interp_atoms: ailurus_analyze::axis::Atoms,
    /// Edits.
    pub operands: Vec<OperandEdit>,
    /// Gathers.
    pub gathers: Vec<GatherEdit>,
    /// Unfolds.
    pub unfolds: Vec<UnfoldEdit>,
    /// Shape values that keep their old numbers behind the region.
    pub reroutes: Vec<Reroute>,
    /// Tables made anew.
    pub tables: Vec<TableEdit>,
}

struct Simulator<'a, 'm> {
    a: &'a Analysis<'m>,
    g: &'m Graph,
    interp: Interp<'m>,
    cut: ValueId,
    /// Nodes between the cut and the encoder's end.
    encoder: NodeSet,
    /// Nodes of the region: these, and what was found to run on clusters behind them.
    set: NodeSet,
    /// The cluster atom that stands where the patches were.
    clusters: Run,
    cluster_atom: AtomId,
    probabilities: NodeSet,
    /// Values without tokens of the image that have a row per token, as in the full grid.
    tables: HashSet<ValueId>,
    /// Values that are as long as the reduced sequence and the same in every row.
    uniform: HashSet<ValueId>,
    /// Nodes that must work on the full number of tokens, because what they make has positions in it.
    full: NodeSet,
    /// Nodes behind the encoder that must not join the region.
    banned: NodeSet,
    /// How tables are read, where clusters form a grid.
    grid_tables: Option<Tables>,
    /// Something was learnt that needs another pass.
    again: bool,
    out: Simulation,
}

/// Where a simulation begins and ends.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Blocks that run on all tokens.
    pub layer: usize,
    /// Number of clusters, when static.
    pub clusters: Option<usize>,
    /// How the full grid is made again.
    pub unfold: UnfoldMode,
    /// Where.
    pub at: UnfoldAt,
    /// How tables are read, where clusters form a grid.
    pub tables: Option<Tables>,
}

/// Simulates the region behind a cut.
pub fn simulate(a: &Analysis, extent: Extent) -> Result<Simulation, Refusal> {
    let g = &a.interp.model.graph;
    let cut = a.trunk.streams[extent.layer];
    let end = a.trunk.streams[a.blocks()];
    let encoder = descendants(g, [cut]).and(&ancestors(g, [end]));
    let mut interp = a.interp.clone();
    let size = match extent.clusters {
        Some(m) => Expr::from(m as i64),
        None => Expr::from(interp.atoms.symbols.fresh("clusters", None)),
    };
    let cluster_atom = interp.atoms.permuted("clusters", a.trunk.tokens.patches.clone(), size);
    let behind = a.trunk.other_cores.iter().filter(|c| extent.at == UnfoldAt::Latest && c.fault().is_none());
    let probabilities = probabilities(g, a.trunk.cores_behind(extent.layer).chain(behind));
    let mut sim = Simulator {
        a,
        g,
        cut,
        set: encoder.clone(),
        encoder,
        clusters: vec![Factor::Atom(cluster_atom)],
        cluster_atom,
        probabilities,
        tables: HashSet::new(),
        uniform: HashSet::new(),
        full: NodeSet::empty(g),
        banned: NodeSet::empty(g),
        grid_tables: extent.tables,
        again: false,
        out: Simulation::empty(&interp.atoms),
        interp,
    };
    // Every further pass has one more node that is full or banned.
    loop {
        let result = sim.pass(extent);
        if !std::mem::take(&mut sim.again) {
            result?;
            sim.out.interp_atoms = sim.interp.atoms;
            return Ok(sim.out);
        }
        sim.set = sim.encoder.clone();
        sim.out = Simulation::empty(&sim.interp.atoms);
        sim.tables.clear();
        sim.uniform.clear();
    }
}

/// Nodes between the scores and the contexts of attention.
pub fn probabilities<'c>(g: &Graph, cores: impl Iterator<Item = &'c Core>) -> NodeSet {
    let mut set = NodeSet::empty(g);
    for core in cores {
        let (scores, context) = (g.node(core.scores), g.node(core.context));
        let inside = descendants(g, scores.outputs.iter().flatten().copied())
            .and(&ancestors(g, context.inputs.iter().flatten().copied()));
        for (id, _) in g.nodes().filter(|(id, _)| inside.contains(*id)) {
            set.insert(id);
        }
        set.insert(core.scores);
        set.insert(core.context);
    }
    set
}

/// The name a node goes by in plans: that of its first output.
pub fn key(g: &Graph, id: NodeId) -> String {
    g.node(id).outputs.iter().flatten().next().map(|&v| g.name_of(v).to_owned()).unwrap_or_default()
}

/// A refusal of a region, with what to do about it.
pub fn refusal(code: Code, reason: String) -> Refusal {
    let entry = ailurus_analyze::refusal::explain(&format!("{code:?}"));
    let reason = if reason.is_empty() { entry.map_or("", |e| e.title).to_owned() } else { reason };
    Refusal::new(code, reason, next(code))
}

impl Simulation {
    pub fn empty(atoms: &ailurus_analyze::axis::Atoms) -> Self {
        Self {
            region: Vec::new(),
            values: HashMap::new(),
            interp_atoms: atoms.clone(),
            operands: Vec::new(),
            gathers: Vec::new(),
            unfolds: Vec::new(),
            reroutes: Vec::new(),
            tables: Vec::new(),
        }
    }
}

impl Simulator<'_, '_> {
    fn pass(&mut self, extent: Extent) -> Result<(), Refusal> {
        let cut = self.expected(self.cut).ok_or_else(|| {
            Refusal::new(Code::AIL0208, "the stream at the cut has no known layout", "choose another layer")
        })?;
        self.out.values.insert(self.cut, cut);
        for (id, _) in self.g.nodes().filter(|(id, _)| self.encoder.contains(*id)).collect::<Vec<_>>() {
            self.node(id)?;
            self.out.region.push(id);
        }
        if extent.at == UnfoldAt::Latest {
            self.beyond();
        }
        self.frontier(extent.unfold)
    }

    fn refuse(&self, code: Code, id: NodeId, reason: impl Into<String>) -> Refusal {
        refusal(code, reason.into()).at(self.g, id)
    }

    /// Axes with patches replaced by clusters; `None` when rows and columns occur apart.
    fn substitute(&self, axes: &[Axis]) -> Option<Vec<Axis>> {
        let t = &self.a.trunk.tokens;
        let out: Vec<Axis> = axes.iter().map(|x| x.replace_run(&t.patches, &self.clusters)).collect();
        let leftover = out.iter().any(|axis| {
            let mut found = false;
            axis.for_each_atom(&mut |x| {
                found |= self.interp.atoms.descends(x, t.grid.0) || self.interp.atoms.descends(x, t.grid.1);
            });
            found
        });
        (!leftover).then_some(out)
    }

    /// What a value must be on fewer tokens.
    fn expected(&self, v: ValueId) -> Option<Abs> {
        let old = self.a.interp.get(v)?;
        let axes = self.substitute(old.axes.as_ref()?)?;
        let mut new = old.clone();
        new.axes = Some(axes);
        Some(new)
    }

    /// What a node of the region reads.
    fn read(&self, v: ValueId) -> Option<Abs> {
        let inside = v == self.cut || self.g.producer(v).is_some_and(|(n, _)| self.set.contains(n));
        if inside { self.out.values.get(&v).cloned() } else { self.a.interp.get(v).cloned() }
    }

    fn has_clusters(&self, abs: &Abs) -> bool {
        abs.axes().iter().any(|x| x.mentions(self.cluster_atom))
    }

    fn node(&mut self, id: NodeId) -> Result<(), Refusal> {
        let node = self.g.node(id);
        let mut inputs: Vec<Option<Abs>> = node.inputs.iter().map(|i| i.and_then(|v| self.read(v))).collect();
        // Branches and loop bodies are not simulated: what they read of the stream would stay as it was.
        if node.captures.iter().any(|&v| self.changed(v)) {
            let op = node.qualified_op();
            return Err(self.refuse(Code::AIL0208, id, format!("`{op}` reads tokens inside its subgraphs")));
        }
        let touched = inputs.iter().flatten().any(|a| self.has_clusters(a));
        if !touched {
            return self.untouched(id, node, inputs);
        }
        // Reading a shape is the one thing that may be done to any layout.
        if matches!(node.op_type.as_str(), "Shape" | "Size") {
            let outcome = self.interp.step(id, node, inputs);
            return self.store(node, outcome);
        }
        let first = node.output(0).ok_or_else(|| self.refuse(Code::AIL0208, id, "the node has no output"))?;
        let Some(old_axes) = self.a.interp.get(first).and_then(|x| x.axes.clone()) else {
            return Err(self.refuse(
                Code::AIL0208,
                id,
                format!("the shape behind `{}` is not known", node.qualified_op()),
            ));
        };
        if self.substitute(&old_axes).is_none() {
            return Err(self.refuse(Code::AIL0207, id, "rows and columns of the patch grid are told apart here"));
        }
        self.gather_tables(id, node, &mut inputs, &old_axes)?;
        let operands = inputs.clone();
        let joined = if node.op_type == "Concat" { inputs.clone() } else { Vec::new() };
        let outcome = match node.op_type.as_str() {
            "Reshape" | "Expand" if node.domain.is_empty() => self.reshaped(id, node, &inputs)?,
            "Split" if node.domain.is_empty() => self.split(id, node, inputs)?,
            "Slice" if node.domain.is_empty() => self.slice(id, node, inputs)?,
            _ => self.interp.step(id, node, inputs),
        };
        if outcome.opaque {
            let op = node.qualified_op();
            return Err(self.refuse(Code::AIL0208, id, format!("what `{op}` does to the tokens is not understood")));
        }
        self.check_places(id, node, &operands)?;
        self.check(id, &outcome)?;
        self.check_sums(id, &outcome)?;
        self.check_neighbours(id, node, &joined)?;
        self.compare(id, node, &outcome)?;
        self.store(node, outcome)
    }

    /// Keeps what the node gives; where the replaced axes are known they are the better description.
    fn store(&mut self, node: &Node, outcome: Outcome) -> Result<(), Refusal> {
        for (slot, mut abs) in node.outputs.iter().zip(outcome.outputs) {
            let Some(v) = *slot else { continue };
            if let Some(e) = self.expected(v)
                && abs.elements.is_none()
            {
                abs.axes = e.axes;
            }
            self.out.values.insert(v, abs);
        }
        Ok(())
    }

    /// Every effect along the clusters must be one that does not care which token is which.
    fn check(&self, id: NodeId, outcome: &Outcome) -> Result<(), Refusal> {
        for e in &outcome.effects {
            if !e.axis.mentions(self.cluster_atom) {
                continue;
            }
            let fine = match e.how {
                How::Contract | How::Normalize | How::Reduce => self.probabilities.contains(id),
                How::Mix => false,
            };
            if !fine {
                let verb = match e.how {
                    How::Contract => "sums over the tokens",
                    How::Normalize => "normalises over the tokens",
                    How::Reduce => "reduces the tokens to one value",
                    How::Mix => "reads positions of the tokens",
                };
                let op = self.g.node(id).qualified_op();
                return Err(self.refuse(Code::AIL0207, id, format!("`{op}` {verb}, so it cannot run on merged ones")));
            }
        }
        Ok(())
    }

    /// True for values of the region that are not what they were: with clusters in them, or other numbers.
    fn changed(&self, v: ValueId) -> bool {
        let now = self.out.values.get(&v);
        now.is_some_and(|now| self.has_clusters(now) || self.a.interp.get(v).is_none_or(|old| !self.same(old, now)))
    }

    /// The same tokens in the same places; whose batch they are folded into, and what the others are, is of no account.
    fn same_places(&self, a: &Axis, b: &Axis) -> bool {
        let atoms = &self.interp.atoms;
        let inner = |x: &Axis| match x.0.as_slice() {
            [run] => match run.last() {
                Some(Factor::Cat(inner)) => inner.clone(),
                _ => x.clone(),
            },
            _ => x.clone(),
        };
        let (x, y) = (inner(a), inner(b));
        let clusters = |r: &Run| Axis(vec![r.clone()]).mentions(self.cluster_atom);
        atoms.symbols.equal(&atoms.size(a), &atoms.size(b))
            && x.0.len() == y.0.len()
            && x.0
                .iter()
                .zip(&y.0)
                .all(|(p, q)| clusters(p) == clusters(q) && atoms.symbols.equal(&atoms.run_size(p), &atoms.run_size(q)))
    }

    /// Operands that meet element by element must have the same tokens in the same places, or none: equal lengths do not
    /// make a rotated sequence, or another encoder's, the same.
    fn check_places(&self, id: NodeId, node: &Node, operands: &[Option<Abs>]) -> Result<(), Refusal> {
        if !transfer::is_elementwise(&node.domain, &node.op_type) {
            return Ok(());
        }
        let rank = operands.iter().flatten().filter_map(Abs::rank).max().unwrap_or(0);
        let at = |abs: &Abs, from_back: usize| abs.axes().len().checked_sub(from_back).map(|i| abs.axes()[i].clone());
        for from_back in 1..=rank {
            let own = |abs: &Abs| at(abs, from_back).filter(|x| !x.is_one());
            let Some(tokens) = operands.iter().flatten().filter_map(own).find(|x| x.mentions(self.cluster_atom)) else {
                continue;
            };
            for (v, abs) in node.inputs.iter().zip(operands) {
                let (Some(v), Some(abs)) = (v, abs) else { continue };
                let Some(axis) = own(abs) else { continue };
                let atoms = &self.interp.atoms;
                let as_long = || atoms.symbols.equal(&atoms.size(&axis), &atoms.size(&tokens));
                if !(self.same_places(&axis, &tokens) || self.uniform.contains(v) && as_long()) {
                    return Err(self.refuse(
                        Code::AIL0207,
                        id,
                        format!(
                            "`{}` combines the tokens [{}] with [{}] of `{}`, which are others or in other places",
                            node.qualified_op(),
                            atoms.show(&tokens),
                            atoms.show(&axis),
                            self.g.name_of(*v)
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// What is summed over clusters must be as long on both sides of the product.
    fn check_sums(&self, id: NodeId, outcome: &Outcome) -> Result<(), Refusal> {
        let atoms = &self.interp.atoms;
        let sums = || outcome.effects.iter().filter(|e| e.how == How::Contract);
        for e in sums().filter(|e| e.axis.mentions(self.cluster_atom)) {
            let size = atoms.size(&e.axis);
            let met = sums().any(|o| o.input != e.input && atoms.symbols.equal(&atoms.size(&o.axis), &size));
            let alone = sums().all(|o| o.input == e.input);
            if !met && !alone {
                let op = self.g.node(id).qualified_op();
                return Err(self.refuse(
                    Code::AIL0210,
                    id,
                    format!("`{op}` sums over the tokens against a table with a row for each of them"),
                ));
            }
        }
        Ok(())
    }

    /// What is joined must be as long on every side along all other axes; which one names the result is a matter of order.
    fn check_neighbours(&self, id: NodeId, node: &Node, joined: &[Option<Abs>]) -> Result<(), Refusal> {
        let atoms = &self.interp.atoms;
        let mut known = joined.iter().flatten().filter_map(|x| x.axes.as_ref());
        let Some(first) = known.next() else { return Ok(()) };
        let at = wrap(node.int("axis", 0), first.len());
        for other in known {
            for (i, (x, y)) in first.iter().zip(other).enumerate().filter(|(i, _)| Some(*i) != at) {
                let clusters = x.mentions(self.cluster_atom) || y.mentions(self.cluster_atom);
                if clusters && !atoms.symbols.equal(&atoms.size(x), &atoms.size(y)) {
                    let reason = format!("along axis {i}, [{}] is joined with [{}]", atoms.show(x), atoms.show(y));
                    return Err(self.refuse(Code::AIL0210, id, reason));
                }
            }
        }
        Ok(())
    }

    fn compare(&self, id: NodeId, node: &Node, outcome: &Outcome) -> Result<(), Refusal> {
        let atoms = &self.interp.atoms;
        for (slot, got) in node.outputs.iter().zip(&outcome.outputs) {
            let Some(v) = *slot else { continue };
            let Some(want) = self.expected(v) else { continue };
            let same = got.rank() == want.rank()
                && got.axes().iter().zip(want.axes()).all(|(x, y)| atoms.symbols.equal(&atoms.size(x), &atoms.size(y)));
            if !same {
                let show = |a: &Abs| a.axes().iter().map(|x| atoms.show(x)).collect::<Vec<_>>().join(", ");
                return Err(self.refuse(
                    Code::AIL0208,
                    id,
                    format!(
                        "on fewer tokens `{}` would give [{}] where [{}] is needed",
                        node.qualified_op(),
                        show(got),
                        show(&want)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Nodes are named by their first output.
    fn key(&self, id: NodeId) -> String {
        key(self.g, id)
    }
}

fn next(code: Code) -> &'static str {
    match code {
        Code::AIL0207 => "choose a later --layer, so that this operator lies before the cut",
        Code::AIL0208 => "choose a later --layer, or simplify the model first (for example with onnxslim)",
        Code::AIL0209 => "remove this output from the model, or choose a later --layer",
        _ => "choose a later --layer, so that the table is used before the cut",
    }
}
