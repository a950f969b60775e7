//! The abstract interpreter: runs the graph once, in order, on [`Abs`] values.

use crate::{
    abs::{Abs, MAX_TRACKED, Scalar},
    axis::{Atoms, Axis},
    contraction,
    expr::Expr,
    transfer,
};
use ailurus_onnx::{DataType, Dim, Graph, Model, Node, NodeId, Tensor, TensorType, ValueId};

/// What an operator does along an axis of one of its inputs, when it does not simply carry it through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// sums over it in a contraction
    Contract,
    /// normalises over it (softmax, norms)
    Normalize,
    /// sums, averages or takes an extreme over it: the order does not matter, the number of elements may
    Reduce,
    /// reads positions: slices inside, convolves, pools, sorts, scrambles
    Mix,
}

/// One such use.
#[derive(Clone, Debug)]
pub struct Effect {
    /// operator
    pub node: NodeId,
    /// input position
    pub input: usize,
    /// axis of that input
    pub axis: Axis,
    /// what it does
    pub how: How,
}

/// Everything a transfer function may look at.
pub struct Ctx<'a> {
    /// Model, for constants.
    pub model: &'a Model,
    /// Graph the node lives in.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    /// Its inputs; `None` for an omitted one.
    pub inputs: Vec<Option<Abs>>,
    /// Atoms, to make new ones.
    pub atoms: &'a mut Atoms,
    effects: Vec<(usize, Axis, How)>,
}

impl Ctx<'_> {
    /// Input `i`, if present.
    pub fn input(&self, i: usize) -> Option<&Abs> {
        self.inputs.get(i)?.as_ref()
    }

    /// Axes of input `i`, if known.
    pub fn axes(&self, i: usize) -> Option<Vec<Axis>> {
        self.input(i)?.axes.clone()
    }

    /// Element type of input `i`.
    pub fn dtype(&self, i: usize) -> DataType {
        self.input(i).map_or(DataType::Undefined, |a| a.dtype)
    }

    /// True when any input depends on data.
    pub fn activation(&self) -> bool {
        self.inputs.iter().flatten().any(|a| a.activation)
    }

    /// Records what the operator does along an axis of an input.
    pub fn effect(&mut self, input: usize, axis: &Axis, how: How) {
        if !axis.is_one() {
            self.effects.push((input, axis.clone(), how));
        }
    }

    /// Literal integers of an attribute or, in newer operator sets, an input.
    pub fn ints(&self, attribute: &str, input: usize) -> Option<Vec<i64>> {
        self.node.ints(attribute).map(<[i64]>::to_vec).or_else(|| self.input(input)?.constants())
    }

    /// Non-negative axis for a rank.
    pub fn axis_attr(&self, name: &str, default: i64, rank: usize) -> Option<usize> {
        wrap(self.node.int(name, default), rank)
    }
}

/// Wraps a possibly negative axis.
pub fn wrap(axis: i64, rank: usize) -> Option<usize> {
    let a = if axis < 0 { axis + rank as i64 } else { axis };
    (0..rank as i64).contains(&a).then_some(a as usize)
}

/// Result of interpreting one node.
pub struct Outcome {
    /// One per output.
    pub outputs: Vec<Abs>,
    /// What it did along axes.
    pub effects: Vec<Effect>,
    /// No transfer function could make sense of it.
    pub opaque: bool,
}

/// State of an interpretation.
#[derive(Clone)]
pub struct Interp<'m> {
    /// The model.
    pub model: &'m Model,
    /// Atoms so far.
    pub atoms: Atoms,
    values: Vec<Option<Abs>>,
    /// Effects of all nodes so far.
    pub effects: Vec<Effect>,
    /// Nodes that no transfer function could make sense of.
    pub opaque: Vec<NodeId>,
}

impl<'m> Interp<'m> {
    /// Interprets the whole main graph.
    pub fn run(model: &'m Model) -> Self {
        let g = &model.graph;
        let mut me = Self {
            model,
            atoms: Atoms::default(),
            values: vec![None; g.value_count()],
            effects: Vec::new(),
            opaque: Vec::new(),
        };
        for v in g.inputs() {
            let mut a = me.declared(v, true);
            if let Some(TensorType { shape: Some(dims), .. }) = &g.value(v).ty
                && let Some(Dim::Param(batch)) = dims.first()
            {
                me.atoms.symbols.mark_batch(batch);
            }
            me.mark_image(&mut a, g.name_of(v));
            me.values[v.index()] = Some(a);
        }
        for (v, t) in g.initializers() {
            let a = me.constant(t, g.name_of(v));
            me.values[v.index()] = Some(a);
        }
        for (id, node) in g.nodes() {
            let inputs = node.inputs.iter().map(|i| i.and_then(|v| me.get(v).cloned())).collect();
            let outcome = me.step(id, node, inputs);
            for (slot, abs) in node.outputs.iter().zip(outcome.outputs) {
                if let Some(v) = slot {
                    me.values[v.index()] = Some(abs);
                }
            }
            me.effects.extend(outcome.effects);
            if outcome.opaque {
                me.opaque.push(id);
            }
        }
        me
    }

    /// Rows and columns of an image input: of four axes, not the first, and not the one with at most four channels.
    fn mark_image(&mut self, a: &mut Abs, name: &str) {
        let Some(axes) = a.axes.as_mut().filter(|x| x.len() == 4) else { return };
        let few = |axis: &Axis| matches!(self.atoms.known(axis), Some(1..=4));
        let channel = if !few(&axes[1]) && few(&axes[3]) { 3 } else { 1 };
        for (i, axis) in axes.iter_mut().enumerate().skip(1).filter(|(i, _)| *i != channel) {
            let size = self.atoms.size(axis);
            *axis = self.atoms.spatial_axis(&format!("{name}.{i}"), size);
        }
    }

    /// What is known about a value.
    pub fn get(&self, v: ValueId) -> Option<&Abs> {
        self.values.get(v.index())?.as_ref()
    }

    /// True when any axis of a value counts image positions.
    pub fn is_spatial(&self, v: ValueId) -> bool {
        self.get(v).is_some_and(|a| a.axes().iter().any(|x| self.atoms.is_spatial(x)))
    }

    /// Interprets one node on given inputs, without storing the result.
    pub fn step(&mut self, id: NodeId, node: &Node, inputs: Vec<Option<Abs>>) -> Outcome {
        let activation = inputs.iter().flatten().any(|a| a.activation)
            || node.captures.iter().any(|&v| self.get(v).is_some_and(|a| a.activation));
        // Numbers read off a shape do not carry what was picked of the tensor whose shape it was.
        let data = inputs.iter().flatten().filter(|a| a.activation);
        let mut picked: Vec<_> = data.flat_map(|a| a.picked.iter().copied()).collect();
        self.atoms.take_picked();
        let condition = inputs.first().cloned().flatten();
        let mut ctx = Ctx {
            model: self.model,
            graph: &self.model.graph,
            node,
            inputs,
            atoms: &mut self.atoms,
            effects: Vec::new(),
        };
        let outputs = match node.op_type.as_str() {
            "If" if node.domain.is_empty() => None,
            _ => transfer::apply(&mut ctx),
        };
        let effects = ctx.effects.drain(..).map(|(input, axis, how)| Effect { node: id, input, axis, how }).collect();
        picked.extend(self.atoms.take_picked());
        let outputs = if node.op_type == "If" && node.domain.is_empty() {
            self.either(node, condition.as_ref())
        } else {
            outputs
        };
        // A projection makes new channels: what was picked before it says nothing about them.
        let forgets = picked.len() > 16 || contraction::makes_channels(node);
        let count = node.outputs.len();
        let opaque = outputs.is_none();
        let outputs = match outputs {
            Some(mut list) => {
                list.truncate(count);
                while list.len() < count {
                    list.push(Abs::unknown(DataType::Undefined, activation));
                }
                list
            }
            None => (0..count).map(|i| self.opaque(node.output(i), activation)).collect(),
        };
        let outputs = outputs
            .into_iter()
            .map(|mut a| {
                a.activation |= activation && a.elements.is_none();
                if !forgets && a.activation {
                    a.picked.extend_from_slice(&picked);
                    a.picked.sort_unstable();
                    a.picked.dedup();
                }
                a
            })
            .collect();
        Outcome { outputs, effects, opaque }
    }

    /// Interprets an `If`: the branch that runs, where that is known, else what both have in common.
    fn either(&mut self, node: &Node, condition: Option<&Abs>) -> Option<Vec<Abs>> {
        if let Some(taken) = branch_taken(node, condition) {
            return self.branch(taken);
        }
        let graph = |name: &str| node.attributes.get(name)?.graphs().first();
        let (one, two) = (self.branch(graph("then_branch")?)?, self.branch(graph("else_branch")?)?);
        Some(one.into_iter().zip(two).map(|(a, b)| self.join(a, b)).collect())
    }

    /// What is true of a value that is one or the other.
    fn join(&mut self, a: Abs, b: Abs) -> Abs {
        let activation = a.activation || b.activation;
        let (Some(x), Some(y)) = (&a.axes, &b.axes) else { return Abs::unknown(a.dtype, activation) };
        if x.len() != y.len() {
            return Abs::unknown(a.dtype, activation);
        }
        let mut axes = Vec::with_capacity(x.len());
        for (p, q) in x.iter().zip(y) {
            let same = self.atoms.symbols.equal(&self.atoms.size(p), &self.atoms.size(q));
            axes.push(if same {
                if self.atoms.is_spatial(q) { q.clone() } else { p.clone() }
            } else {
                // A picture that is resized or not: rows are rows, whatever their number.
                let size = Expr::from(self.atoms.symbols.fresh("either", None));
                let from = if self.atoms.is_spatial(q) { q } else { p };
                self.atoms.axis_from(&from.clone(), "either", size)
            });
        }
        let mut out = Abs::new(axes, a.dtype, activation);
        if a.elements == b.elements {
            out.elements = a.elements;
        }
        out
    }

    /// Interprets a branch; outer values are read by name.
    fn branch(&mut self, g: &Graph) -> Option<Vec<Abs>> {
        let mut local: Vec<Option<Abs>> = vec![None; g.value_count()];
        for v in g.value_ids() {
            local[v.index()] = match g.initializer(v) {
                Some(t) => Some(constant(self.model, &mut self.atoms, t, g.name_of(v))),
                None => self.model.graph.find(g.name_of(v)).and_then(|outer| self.get(outer).cloned()),
            };
        }
        for (_, node) in g.nodes() {
            let inputs: Vec<Option<Abs>> = node.inputs.iter().map(|i| local[(*i)?.index()].clone()).collect();
            let activation = inputs.iter().flatten().any(|a| a.activation);
            let mut ctx =
                Ctx { model: self.model, graph: g, node, inputs, atoms: &mut self.atoms, effects: Vec::new() };
            let outputs = transfer::apply(&mut ctx)?;
            for (slot, mut abs) in node.outputs.iter().zip(outputs) {
                if let Some(v) = slot {
                    abs.activation |= activation && abs.elements.is_none();
                    local[v.index()] = Some(abs);
                }
            }
        }
        g.outputs().iter().map(|v| local[v.index()].clone()).collect()
    }

    /// An operator nobody understands: trust the declared shape for sizes, and nothing for meaning.
    fn opaque(&mut self, v: Option<ValueId>, activation: bool) -> Abs {
        match v {
            Some(v) => self.declared(v, activation),
            None => Abs::unknown(DataType::Undefined, activation),
        }
    }

    fn declared(&mut self, v: ValueId, activation: bool) -> Abs {
        let name = self.model.graph.name_of(v).to_owned();
        match &self.model.graph.value(v).ty {
            Some(TensorType { dtype, shape: Some(dims) }) => {
                let axes = dims
                    .iter()
                    .enumerate()
                    .map(|(i, d)| {
                        let size = match d {
                            Dim::Value(k) if *k >= 0 => Expr::from(*k),
                            Dim::Param(p) if !p.is_empty() => Expr::from(self.atoms.symbols.named(p)),
                            _ => Expr::from(self.atoms.symbols.named(&format!("{name}.{i}"))),
                        };
                        self.atoms.axis(&format!("{name}.{i}"), size)
                    })
                    .collect();
                Abs::new(axes, *dtype, activation)
            }
            Some(t) => Abs::unknown(t.dtype, activation),
            None => Abs::unknown(DataType::Undefined, activation),
        }
    }

    fn constant(&mut self, t: &Tensor, name: &str) -> Abs {
        constant(self.model, &mut self.atoms, t, name)
    }
}

/// The branch of an `If` that runs, when the condition is known.
fn branch_taken<'n>(node: &'n Node, condition: Option<&Abs>) -> Option<&'n Graph> {
    let name = if *condition?.constants()?.first()? != 0 { "then_branch" } else { "else_branch" };
    node.attributes.get(name)?.graphs().first()
}

/// Abstract value of a stored tensor.
pub fn constant(model: &Model, atoms: &mut Atoms, t: &Tensor, name: &str) -> Abs {
    let axes =
        t.dims.iter().enumerate().map(|(i, &d)| atoms.axis(&format!("{name}.{i}"), Expr::from(d.max(0)))).collect();
    let mut abs = Abs::new(axes, t.dtype, false);
    if t.len() <= MAX_TRACKED {
        abs.elements = if t.dtype.is_float() {
            model.f32s(t).ok().map(|v| v.into_iter().map(|x| Scalar::Float(f64::from(x))).collect())
        } else {
            model.i64s(t).ok().map(|v| v.into_iter().map(|x| Scalar::Int(Expr::from(x))).collect())
        };
    }
    abs
}
