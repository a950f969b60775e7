//! Runs the region of a plan abstractly on fewer tokens, and notes every operand, table and shape that has to change.
//!
//! The original interpretation says what each axis means; replacing the run of patches by one run of clusters gives what each
//! axis must be afterwards. A node is fine when its transfer function, applied to the replaced inputs, yields just that.
//! Where a shape operand or a table stands in the way, the difference *is* the edit.

use crate::{
    layout::Layout,
    options::UnfoldMode,
    plan::{Coverage, DimSpec, GatherEdit, OperandEdit, Reroute, UnfoldEdit},
};
use ailurus_analyze::{
    Analysis, Code, Refusal,
    abs::Abs,
    axis::{AtomId, Axis, Factor, Run},
    expr::Expr,
    interp::{How, Interp, Outcome},
    transfer,
    walk::{NodeSet, ancestors, descendants},
};
use ailurus_onnx::{Graph, Node, NodeId, Use, ValueId};
use std::collections::HashMap;

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
}

struct Simulator<'a, 'm> {
    a: &'a Analysis<'m>,
    g: &'m Graph,
    interp: Interp<'m>,
    cut: ValueId,
    set: NodeSet,
    /// The cluster atom that stands where the patches were.
    clusters: Run,
    cluster_atom: AtomId,
    probabilities: NodeSet,
    out: Simulation,
}

/// Simulates the region behind block `layer` with `clusters` patches left.
pub fn simulate(a: &Analysis, layer: usize, clusters: Option<usize>, unfold: UnfoldMode) -> Result<Simulation, Refusal> {
    let g = &a.interp.model.graph;
    let cut = a.trunk.streams[layer];
    let end = a.trunk.streams[a.blocks()];
    let set = descendants(g, [cut]).and(&ancestors(g, [end]));
    let mut interp = a.interp.clone();
    let size = match clusters {
        Some(m) => Expr::from(m as i64),
        None => Expr::from(interp.atoms.symbols.fresh("clusters", None)),
    };
    let cluster_atom = interp.atoms.permuted("clusters", a.trunk.tokens.patches.clone(), size);
    let mut probabilities = NodeSet::empty(g);
    for core in &a.trunk.cores[layer..] {
        let (scores, context) = (g.node(core.scores), g.node(core.context));
        let inside = descendants(g, scores.outputs.iter().flatten().copied())
            .and(&ancestors(g, context.inputs.iter().flatten().copied()));
        for (id, _) in g.nodes().filter(|(id, _)| inside.contains(*id)) {
            probabilities.insert(id);
        }
        probabilities.insert(core.scores);
        probabilities.insert(core.context);
    }
    let region: Vec<NodeId> = g.nodes().map(|(id, _)| id).filter(|id| set.contains(*id)).collect();
    let mut sim = Simulator {
        a,
        g,
        cut,
        set,
        clusters: vec![Factor::Atom(cluster_atom)],
        cluster_atom,
        probabilities,
        out: Simulation {
            region,
            values: HashMap::new(),
            interp_atoms: interp.atoms.clone(),
            operands: Vec::new(),
            gathers: Vec::new(),
            unfolds: Vec::new(),
            reroutes: Vec::new(),
        },
        interp,
    };
    sim.run(unfold)?;
    sim.out.interp_atoms = sim.interp.atoms;
    Ok(sim.out)
}

impl Simulator<'_, '_> {
    fn run(&mut self, unfold: UnfoldMode) -> Result<(), Refusal> {
        let cut = self.expected(self.cut).ok_or_else(|| {
            Refusal::new(Code::AIL0208, "the stream at the cut has no known layout", "choose another layer")
        })?;
        self.out.values.insert(self.cut, cut);
        for id in self.out.region.clone() {
            self.node(id)?;
        }
        self.frontier(unfold)
    }

    fn refuse(&self, code: Code, id: NodeId, reason: impl Into<String>) -> Refusal {
        let entry = ailurus_analyze::refusal::explain(&format!("{code:?}"));
        let reason = reason.into();
        Refusal::new(code, if reason.is_empty() { entry.map_or("", |e| e.title).to_owned() } else { reason }, next(code)).at(self.g, id)
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
        let touched = inputs.iter().flatten().any(|a| self.has_clusters(a));
        if !touched {
            let outcome = self.interp.step(id, node, inputs);
            return self.store(node, outcome);
        }
        // Reading a shape is the one thing that may be done to any layout.
        if matches!(node.op_type.as_str(), "Shape" | "Size") {
            let outcome = self.interp.step(id, node, inputs);
            return self.store(node, outcome);
        }
        let first = node.output(0).ok_or_else(|| self.refuse(Code::AIL0208, id, "the node has no output"))?;
        let Some(old_axes) = self.a.interp.get(first).and_then(|x| x.axes.clone()) else {
            return Err(self.refuse(Code::AIL0208, id, format!("the shape behind `{}` is not known", node.qualified_op())));
        };
        if self.substitute(&old_axes).is_none() {
            return Err(self.refuse(Code::AIL0207, id, "rows and columns of the patch grid are told apart here"));
        }
        self.gather_tables(id, node, &mut inputs, &old_axes)?;
        let outcome = match node.op_type.as_str() {
            "Reshape" | "Expand" if node.domain.is_empty() => self.reshaped(id, node, &inputs)?,
            "Split" if node.domain.is_empty() => self.split(id, node, inputs)?,
            "Slice" if node.domain.is_empty() => self.slice(id, node, inputs)?,
            _ => self.interp.step(id, node, inputs),
        };
        self.check(id, &outcome)?;
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
                How::Contract | How::Normalize => self.probabilities.contains(id),
                How::Mix => false,
            };
            if !fine {
                let verb = match e.how {
                    How::Contract => "sums over the tokens",
                    How::Normalize => "normalises over the tokens",
                    How::Mix => "reads positions of the tokens",
                };
                let op = self.g.node(id).qualified_op();
                return Err(self.refuse(Code::AIL0207, id, format!("`{op}` {verb}, so it cannot run on merged ones")));
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
                && got.axes().iter().zip(want.axes()).all(|(x, y)| {
                    atoms.symbols.equal(&atoms.size(x), &atoms.size(y))
                });
            if !same {
                let show = |a: &Abs| a.axes().iter().map(|x| atoms.show(x)).collect::<Vec<_>>().join(", ");
                return Err(self.refuse(
                    Code::AIL0208,
                    id,
                    format!("on fewer tokens `{}` would give [{}] where [{}] is needed", node.qualified_op(), show(got), show(&want)),
                ));
            }
        }
        Ok(())
    }

    /// A Reshape or Expand: the output must be the replaced one; the operand follows.
    fn reshaped(&mut self, id: NodeId, node: &Node, inputs: &[Option<Abs>]) -> Result<Outcome, Refusal> {
        let v = node.output(0).ok_or_else(|| self.refuse(Code::AIL0208, id, ""))?;
        let want = self.expected(v).ok_or_else(|| self.refuse(Code::AIL0207, id, ""))?;
        let data = inputs.first().cloned().flatten().ok_or_else(|| self.refuse(Code::AIL0208, id, ""))?;
        let operand = inputs.get(1).cloned().flatten().ok_or_else(|| self.refuse(Code::AIL0208, id, "the shape operand is missing"))?;
        let sizes: Vec<Expr> = want.axes().iter().map(|x| self.interp.atoms.size(x)).collect();
        if node.op_type == "Reshape" {
            let targets: Vec<_> = sizes.iter().cloned().map(ailurus_analyze::axis::Target::Size).collect();
            let cut = self.interp.atoms.reshape(data.axes(), &targets);
            if !cut.scrambled.is_empty() {
                return Err(self.refuse(Code::AIL0207, id, "this reshape cuts through the tokens"));
            }
        }
        self.operand(id, node, &data, &operand, &sizes)?;
        Ok(Outcome { outputs: vec![want], effects: Vec::new() })
    }

    /// Compares the elements an operand will have with those it must have.
    fn operand(&mut self, id: NodeId, node: &Node, data: &Abs, operand: &Abs, sizes: &[Expr]) -> Result<(), Refusal> {
        let elements = operand.elements.clone().unwrap_or_default();
        if elements.len() != sizes.len() && node.op_type == "Reshape" {
            return Err(self.refuse(Code::AIL0208, id, "the shape operand could not be followed"));
        }
        let skip = sizes.len() - elements.len().min(sizes.len());
        let reshape = node.op_type == "Reshape";
        let keep_zero = node.int("allowzero", 0) == 1;
        let infers = |e: &Expr| e.constant() == Some(-1) && reshape;
        let s = &self.interp.atoms.symbols;
        // An element is fine when it gives the wanted size by itself.
        let fine: Vec<bool> = elements
            .iter()
            .zip(&sizes[skip..])
            .enumerate()
            .map(|(i, (got, want))| match got.int() {
                None => false,
                Some(e) if infers(e) => true,
                Some(e) if e.constant() == Some(0) && reshape && !keep_zero => {
                    data.axes().get(i).is_some_and(|x| s.equal(&self.interp.atoms.size(x), want))
                }
                Some(e) if e.is_one() && !reshape => true,
                Some(e) => s.equal(e, want),
            })
            .collect();
        if fine.iter().all(|&f| f) {
            return Ok(());
        }
        let mut dims = Vec::with_capacity(elements.len());
        let mut inferred = elements.iter().zip(&fine).any(|(e, f)| *f && e.int().is_some_and(infers));
        for (i, ((got, want), ok)) in elements.iter().zip(&sizes[skip..]).zip(&fine).enumerate() {
            let literal = got.int().and_then(Expr::constant);
            dims.push(match (ok, literal, s.known(want)) {
                (true, Some(n), _) => DimSpec::Number(n),
                (_, _, Some(n)) => DimSpec::Number(n),
                // Where the size stands at the same place in the data, `0` copies it.
                (_, _, None)
                    if reshape && !keep_zero
                        && data.axes().get(i).is_some_and(|x| self.interp.atoms.size(x) == *want) =>
                {
                    DimSpec::Number(0)
                }
                (_, _, None) if reshape && !inferred => {
                    inferred = true;
                    DimSpec::Number(-1)
                }
                (true, None, None) => DimSpec::Same,
                (false, _, None) => self.runtime_dim(id, want)?,
            });
        }
        self.out.operands.push(OperandEdit { node: self.key(id), input: 1, dims });
        Ok(())
    }

    /// A size that is a multiple of the reduced sequence or of the clusters, known only at run time.
    fn runtime_dim(&self, id: NodeId, want: &Expr) -> Result<DimSpec, Refusal> {
        let atoms = &self.interp.atoms;
        let sequence = self.a.trunk.tokens.sequence.replace_run(&self.a.trunk.tokens.patches, &self.clusters);
        for (size, rows) in [(atoms.size(&sequence), true), (atoms.run_size(&self.clusters), false)] {
            if let Some(n) = atoms.symbols.divide(want, &size).and_then(|q| q.constant()) {
                return Ok(if rows { DimSpec::Rows(n) } else { DimSpec::Clusters(n) });
            }
        }
        Err(self.refuse(Code::AIL0208, id, format!("the size {} cannot be computed at run time", atoms.symbols.show(want))))
    }

    /// A Split along the tokens has its piece sizes in an operand.
    fn split(&mut self, id: NodeId, node: &Node, inputs: Vec<Option<Abs>>) -> Result<Outcome, Refusal> {
        let axis = inputs.first().and_then(|d| {
            let d = d.as_ref()?;
            let at = ailurus_analyze::interp::wrap(node.int("axis", 0), d.rank()?)?;
            Some((at, d.axes()[at].mentions(self.cluster_atom)))
        });
        let Some((at, true)) = axis else { return Ok(self.interp.step(id, node, inputs)) };
        let wanted: Vec<Abs> = node
            .outputs
            .iter()
            .flatten()
            .map(|&v| self.expected(v))
            .collect::<Option<_>>()
            .ok_or_else(|| self.refuse(Code::AIL0207, id, ""))?;
        let sizes: Vec<Expr> = wanted.iter().map(|w| self.interp.atoms.size(&w.axes()[at])).collect();
        if let (Some(data), Some(operand)) = (inputs[0].clone(), inputs.get(1).cloned().flatten()) {
            self.operand(id, node, &data, &operand, &sizes)?;
        } else if node.ints("split").is_some() {
            return Err(self.refuse(Code::AIL0208, id, "the pieces of this split are fixed by an attribute"));
        }
        let mut before = self.interp.step(id, node, inputs);
        let clean = wanted.iter().all(|w| {
            w.axes()[at].0.iter().all(|r| !r.iter().any(|f| matches!(f, Factor::Atom(x) if *x != self.cluster_atom && self.interp.atoms.get(*x).spatial)))
        });
        if !clean {
            return Err(self.refuse(Code::AIL0207, id, "this split cuts through the patches"));
        }
        before.effects.clear();
        before.outputs = wanted;
        Ok(before)
    }

    /// A Slice that takes whole parts of the sequence (the patches without the class token) takes the same parts of the
    /// reduced one, wherever its bounds came from.
    fn slice(&mut self, id: NodeId, node: &Node, inputs: Vec<Option<Abs>>) -> Result<Outcome, Refusal> {
        let outcome = self.interp.step(id, node, inputs.clone());
        if self.check(id, &outcome).is_ok() && self.compare(id, node, &outcome).is_ok() {
            return Ok(outcome);
        }
        let v = node.output(0).ok_or_else(|| self.refuse(Code::AIL0208, id, ""))?;
        let want = self.expected(v).ok_or_else(|| self.refuse(Code::AIL0207, id, ""))?;
        let list = |i: usize| inputs.get(i).and_then(|x| x.as_ref()).and_then(|x| x.elements.clone());
        let (Some(data), Some(starts), Some(ends)) = (inputs[0].clone(), list(1), list(2)) else { return Ok(outcome) };
        let constants = |i: usize| inputs.get(i).and_then(|x| x.as_ref()).and_then(Abs::constants);
        let axes = constants(3).unwrap_or_else(|| (0..starts.len() as i64).collect());
        let unit_steps = constants(4).is_none_or(|s| s.iter().all(|&x| x == 1));
        let keep = |e: &ailurus_analyze::abs::Scalar| e.int().and_then(Expr::constant).map_or(DimSpec::Same, DimSpec::Number);
        let (mut from, mut to): (Vec<_>, Vec<_>) = (starts.iter().map(keep).collect(), ends.iter().map(keep).collect());
        for (i, &axis) in axes.iter().enumerate() {
            let Some(at) = ailurus_analyze::interp::wrap(axis, data.axes().len()) else { return Ok(outcome) };
            let (whole, part) = (&data.axes()[at], &want.axes()[at]);
            if !whole.mentions(self.cluster_atom) {
                continue;
            }
            let found = (0..whole.0.len()).find(|&k| whole.0[k..].starts_with(&part.0));
            let size = |runs: &[Run]| {
                let n = runs.iter().map(|r| self.interp.atoms.run_size(r)).fold(Expr::default(), |a, b| a + b);
                self.interp.atoms.symbols.known(&n)
            };
            let (Some(k), true) = (found, unit_steps) else { return Ok(outcome) };
            let (behind, before) = (size(&whole.0[k + part.0.len()..]), size(&whole.0[..k]));
            from[i] = match (before, size(&whole.0[k..])) {
                (Some(n), _) => DimSpec::Number(n),
                (None, Some(n)) => DimSpec::Number(-n),
                (None, None) => return Ok(outcome),
            };
            to[i] = match (behind, size(&whole.0[..k + part.0.len()])) {
                (Some(0), _) => DimSpec::Number(i64::MAX),
                (Some(n), _) => DimSpec::Number(-n),
                (None, Some(n)) => DimSpec::Number(n),
                (None, None) => return Ok(outcome),
            };
        }
        for (input, dims) in [(1, from), (2, to)] {
            self.out.operands.push(OperandEdit { node: self.key(id), input, dims });
        }
        Ok(Outcome { outputs: vec![want], effects: Vec::new() })
    }

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
    fn gather_tables(&mut self, id: NodeId, node: &Node, inputs: &mut [Option<Abs>], out: &[Axis]) -> Result<(), Refusal> {
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
                    return Err(self.refuse(Code::AIL0210, id, "a table meets the tokens folded together with another axis"));
                };
                if coverage.is_some_and(|c| c != which) {
                    return Err(self.refuse(Code::AIL0210, id, "a table covers the tokens in two different ways"));
                }
                coverage = Some(which);
                hits.push(k);
            }
            let Some(coverage) = coverage else { continue };
            if table.activation {
                return Err(self.refuse(Code::AIL0207, id, format!("`{}` brings token data from before the cut", self.g.name_of(v))));
            }
            let batch = 0usize.checked_sub(offset).filter(|_| !out[0].contains_run(&t.patches));
            let atoms = &self.interp.atoms;
            let per_image = batch.is_some_and(|b| !axes[b].is_one());
            if hits.len() > 2 || per_image && !atoms.symbols.equal(&atoms.size(&axes[0]), &atoms.size(&out[0])) {
                return Err(self.refuse(Code::AIL0210, id, format!("the table `{}` has an axis that is not understood", self.g.name_of(v))));
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
            self.out.gathers.push(GatherEdit { node: self.key(id), input: slot, axes: hits, coverage, batch, per_image, rank });
        }
        Ok(())
    }

    /// Nodes are named by their first output.
    fn key(&self, id: NodeId) -> String {
        self.g.node(id).outputs.iter().flatten().next().map(|&v| self.g.name_of(v).to_owned()).unwrap_or_default()
    }

    /// Users of region values that are not in the region.
    fn frontier(&mut self, unfold: UnfoldMode) -> Result<(), Refusal> {
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
                    return Err(self.refuse(Code::AIL0209, id, format!("`{}` has two token axes and is used behind the encoder", self.g.name_of(v))));
                }
                if count == 0 {
                    self.shape_leak(id, v, &abs)?;
                    continue;
                }
                let old = self.a.interp.get(v).map(|a| a.axes().to_vec()).unwrap_or_default();
                let layout = Layout::of(&old, &self.a.trunk.tokens, &self.interp.atoms).ok_or_else(|| {
                    self.refuse(Code::AIL0209, id, format!("`{}` leaves the encoder in a layout that cannot be unfolded", self.g.name_of(v)))
                })?;
                let on_stream = streams.contains(&v) && !self.a.trunk.post_norm;
                let mode = if on_stream { unfold } else { UnfoldMode::Copy };
                let channels = old.last().and_then(|c| self.interp.atoms.known(c));
                self.out.unfolds.push(UnfoldEdit { value: self.g.name_of(v).to_owned(), layout, channels, mode });
            }
        }
        Ok(())
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
                format!("`{}` carries a token count out of the encoder that is only known at run time", self.g.name_of(v)),
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

fn next(code: Code) -> &'static str {
    match code {
        Code::AIL0207 => "choose a later --layer, so that this operator lies before the cut",
        Code::AIL0208 => "choose a later --layer, or simplify the model first (for example with onnxslim)",
        Code::AIL0209 => "remove this output from the model, or choose a later --layer",
        _ => "choose a later --layer, so that the table is used before the cut",
    }
}
