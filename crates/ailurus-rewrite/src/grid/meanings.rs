//! What the axes of every value in the region mean, tables included.
//!
//! Tables enter with axes of their own. What these mean is told by what they meet: a bias that is added to scores has its
//! rows where the queries are, and the second axis of a relative position becomes the axis of keys when its products with
//! the queries are added to the scores. So the region is interpreted once more with fresh axes for each table at each place
//! it is used, and every meeting of a fresh axis with a known one gives it that meaning.

use super::{Region, atoms_of};
use ailurus_analyze::{
    Code, Interp, Refusal,
    abs::Abs,
    axis::{AtomId, Axis, Factor},
    contraction,
    interp::Effect,
    transfer,
};
use ailurus_onnx::{DataType, Node, NodeId, ValueId};
use std::collections::{HashMap, HashSet};

/// A table at a place where it is used.
pub struct Entry {
    pub node: NodeId,
    pub input: usize,
    pub value: ValueId,
    /// Its axes, fresh.
    pub axes: Vec<Axis>,
}

/// The result of the interpretation.
pub struct Meanings<'m> {
    pub interp: Interp<'m>,
    /// Activations of the region, the cut included.
    pub values: HashMap<ValueId, Abs>,
    pub entries: Vec<Entry>,
    pub effects: Vec<Effect>,
    fresh: HashSet<AtomId>,
    alias: HashMap<AtomId, Vec<AtomId>>,
}

impl<'m> Meanings<'m> {
    pub fn of(region: &Region<'_, 'm>) -> Result<Self, Refusal> {
        let interp = region.a.interp.clone();
        let mut me = Self {
            interp,
            values: HashMap::new(),
            entries: Vec::new(),
            effects: Vec::new(),
            fresh: HashSet::new(),
            alias: HashMap::new(),
        };
        if let Some(cut) = region.a.interp.get(region.cut) {
            me.values.insert(region.cut, cut.clone());
        }
        for (id, node) in region.g.nodes().filter(|(id, _)| region.nodes.contains(*id)) {
            me.node(region, id, node)?;
        }
        Ok(me)
    }

    fn node(&mut self, region: &Region, id: NodeId, node: &Node) -> Result<(), Refusal> {
        if node.captures.iter().any(|v| self.values.contains_key(v)) {
            let op = node.qualified_op();
            return Err(region.refuse(Code::AIL0208, id, format!("`{op}` reads tokens inside its subgraphs")));
        }
        // Numbers computed from shapes stay what they were; where they matter they are replaced. Tables that are repeated for
        // as many images as there are cannot be: what repeats them is followed.
        let reads = node.inputs.iter().flatten().any(|v| self.values.contains_key(v));
        if !(reads || repeats(region, node))
            || matches!(node.op_type.as_str(), "Shape" | "Size") && node.domain.is_empty()
        {
            return Ok(());
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (slot, v) in node.inputs.iter().enumerate() {
            inputs.push(match v {
                Some(v) => Some(self.input(region, id, node, slot, *v)?),
                None => None,
            });
        }
        let outcome = self.interp.step(id, node, inputs.clone());
        if outcome.opaque || outcome.outputs.iter().any(|x| x.axes.is_none()) {
            let op = node.qualified_op();
            return Err(region.refuse(Code::AIL0208, id, format!("what `{op}` does to the tokens is not understood")));
        }
        for (x, y) in meetings(node, &inputs) {
            self.meet(&x, &y);
        }
        self.effects.extend(outcome.effects);
        for (v, abs) in node.outputs.iter().zip(outcome.outputs) {
            if let Some(v) = v {
                self.values.insert(*v, abs);
            }
        }
        Ok(())
    }

    /// What a node reads: activations of the region, or a table with fresh axes.
    fn input(&mut self, region: &Region, id: NodeId, node: &Node, slot: usize, v: ValueId) -> Result<Abs, Refusal> {
        if let Some(abs) = self.values.get(&v) {
            return Ok(abs.clone());
        }
        let unknown = || region.refuse(Code::AIL0208, id, format!("nothing is known about `{}`", region.g.name_of(v)));
        let abs = region.a.interp.get(v).ok_or_else(unknown)?.clone();
        if abs.activation {
            if abs.axes().iter().any(|x| region.a.interp.atoms.is_spatial(x)) {
                let name = region.g.name_of(v);
                return Err(region.refuse(
                    Code::AIL0207,
                    id,
                    format!("`{name}` carries tokens from before the cut into the region, in the full grid"),
                ));
            }
            return Ok(abs);
        }
        let joins = transfer::is_elementwise(&node.domain, &node.op_type);
        if !(joins || abs.dtype.is_float()) || abs.axes().iter().all(Axis::is_one) {
            return Ok(abs);
        }
        let mut fresh = abs.clone();
        let mut axes = Vec::with_capacity(abs.axes().len());
        for axis in abs.axes() {
            let size = self.interp.atoms.size(axis);
            let own = self.interp.atoms.axis("table", size);
            own.for_each_atom(&mut |a| {
                self.fresh.insert(a);
            });
            axes.push(own);
        }
        fresh.axes = Some(axes.clone());
        self.entries.push(Entry { node: id, input: slot, value: v, axes });
        Ok(fresh)
    }

    /// What a node reads: activations, or a table with its own axes.
    pub fn read(&self, id: NodeId, node: &Node, slot: usize) -> Option<Abs> {
        let v = node.input(slot)?;
        if let Some(abs) = self.values.get(&v) {
            return Some(abs.clone());
        }
        let entry = self.entries.iter().find(|e| e.node == id && e.input == slot)?;
        Some(Abs { axes: Some(entry.axes.clone()), ..self.interp.get(v)?.clone() })
    }

    fn is_fresh(&self, a: AtomId) -> bool {
        std::iter::successors(Some(a), |&x| self.interp.atoms.parent(x)).any(|x| self.fresh.contains(&x))
    }

    /// Atoms by what they turned out to be.
    pub fn resolve(&self, atoms: &[AtomId]) -> Vec<AtomId> {
        let mut out = Vec::with_capacity(atoms.len());
        for &a in atoms {
            match self.alias.get(&a) {
                Some(meant) => out.extend(self.resolve(meant)),
                None => match self.meant_halves(a) {
                    Some((major, minor)) => out.extend(self.resolve(&[major, minor])),
                    None => out.push(a),
                },
            }
        }
        out
    }

    /// The halves of a fresh atom that was split on its way, when they turned out to be something.
    fn meant_halves(&self, a: AtomId) -> Option<(AtomId, AtomId)> {
        let meant = |(x, y): &(AtomId, AtomId)| self.alias.contains_key(x) || self.alias.contains_key(y);
        self.interp.atoms.halves(a).filter(|_| self.is_fresh(a)).filter(meant).min()
    }

    /// An axis by what it turned out to be; `None` for one that is no product.
    pub fn meaning(&self, axis: &Axis) -> Option<Vec<AtomId>> {
        Some(self.resolve(&atoms_of(axis)?))
    }

    /// The same axis, by what its atoms turned out to be.
    pub fn resolved(&self, axis: &Axis) -> Axis {
        match self.meaning(axis) {
            Some(atoms) => Axis(vec![atoms.into_iter().map(Factor::Atom).collect()]),
            None => axis.clone(),
        }
    }

    fn meet(&mut self, x: &Axis, y: &Axis) {
        if x.is_one() || y.is_one() || x == y {
            return;
        }
        let (Some(mut x), Some(mut y)) = (self.meaning(x), self.meaning(y)) else { return };
        while let (Some(&a), Some(&b)) = (x.first(), y.first()) {
            if a == b || self.same_images(a, b) {
                x.remove(0);
                y.remove(0);
                continue;
            }
            // One fresh atom stands for as many of the other side's as make up its size.
            let taken = self.cover(a, &y).map(|n| (a, y.drain(..n).collect::<Vec<_>>(), true));
            let taken = taken.or_else(|| self.cover(b, &x).map(|n| (b, x.drain(..n).collect(), false)));
            let Some((atom, meant, first)) = taken else { return };
            if first {
                x.remove(0);
            } else {
                y.remove(0);
            }
            if meant != [atom] {
                self.alias.insert(atom, meant);
            }
        }
    }

    /// Two numbers of images that meet are the same, though neither is known.
    fn same_images(&self, a: AtomId, b: AtomId) -> bool {
        let atoms = &self.interp.atoms;
        let (x, y) = (atoms.get(a), atoms.get(b));
        !x.spatial && !y.spatial && atoms.symbols.known(&x.size).is_none() && atoms.symbols.equal(&x.size, &y.size)
    }

    /// How many of these atoms a fresh one stands for.
    fn cover(&self, a: AtomId, others: &[AtomId]) -> Option<usize> {
        if !self.is_fresh(a) {
            return None;
        }
        let atoms = &self.interp.atoms;
        let size = atoms.symbols.known(&atoms.get(a).size)?;
        let mut product = 1i64;
        for (i, &o) in others.iter().enumerate() {
            product = product.checked_mul(atoms.symbols.known(&atoms.get(o).size)?)?;
            if product == size {
                // Nothing may come to stand for itself.
                let fine = !self.resolve(&others[..=i]).contains(&a);
                return fine.then_some(i + 1);
            }
        }
        None
    }
}

/// True where a node makes a table whose size is only known at run time.
fn repeats(region: &Region, node: &Node) -> bool {
    let interp = &region.a.interp;
    node.outputs.iter().flatten().filter_map(|&v| interp.get(v)).any(|x| {
        let number = x.dtype.is_float() || x.dtype == DataType::Bool;
        number && !x.activation && x.axes().iter().any(|axis| interp.atoms.known(axis).is_none())
    })
}

/// Pairs of axes that a node lays upon each other.
fn meetings(node: &Node, inputs: &[Option<Abs>]) -> Vec<(Axis, Axis)> {
    let mut pairs = Vec::new();
    if transfer::is_elementwise(&node.domain, &node.op_type) {
        let operands: Vec<&Abs> = inputs.iter().flatten().collect();
        for (i, x) in operands.iter().enumerate() {
            for y in &operands[i + 1..] {
                pairs.extend(x.axes().iter().rev().cloned().zip(y.axes().iter().rev().cloned()));
            }
        }
        return pairs;
    }
    let axes = |i: usize| inputs.get(i).and_then(|x| x.as_ref()).map(|x| x.axes().to_vec());
    let bias = match (node.domain.as_str(), node.op_type.as_str()) {
        ("", "Attention") => Some(3),
        ("com.microsoft", "MultiHeadAttention") => Some(5),
        _ => None,
    };
    if let Some((bias, (query, key))) = bias.and_then(&axes).zip(axes(0).zip(axes(1))) {
        // [batch, heads, queries, keys]; tokens are the first but last axis of queries and keys.
        let tokens = |x: &[Axis]| x.len().checked_sub(2).map(|i| x[i].clone());
        let ends = bias.iter().rev().take(2).cloned();
        pairs.extend(ends.zip([tokens(&key), tokens(&query)]).filter_map(|(b, t)| Some((b, t?))));
        if bias.len() == 4 {
            pairs.extend(bias.first().cloned().zip(query.first().cloned()));
        }
        return pairs;
    }
    let Some((left, right)) = contraction::factors(node).and_then(|(l, r)| axes(l).zip(axes(r))) else { return pairs };
    if node.op_type == "Einsum" {
        let equation = node.str("equation").and_then(|e| contraction::equation(e, &[left.len(), right.len()]));
        for (i, letter) in equation.iter().flat_map(|e| e.terms[0].iter().enumerate()) {
            let other = equation.as_ref().and_then(|e| e.terms[1].iter().position(|c| c == letter));
            pairs.extend(other.map(|j| (left[i].clone(), right[j].clone())));
        }
    } else if let Some(product) = contraction::of(node)
        && left.len() > 1
        && right.len() > 1
    {
        let (left, right) = (product.left_order.arrange(left), product.right_order.arrange(right));
        let (m, n) = (left.len(), right.len());
        pairs.push((left[m - 1].clone(), right[n - 2].clone()));
        pairs.extend(left[..m - 2].iter().rev().cloned().zip(right[..n - 2].iter().rev().cloned()));
    }
    pairs
}
