//! What is computed inside the region from the number of tokens alone.
//!
//! A shape vector follows the reduced sequence, for it shapes activations. What has positions in it (a range, a table that is
//! re-cut or sliced, a triangle) is made for the full grid as before, and its rows are picked by representative token like
//! those of any other table. What is the same in every row (zeros, an expanded number) is simply made shorter.

use super::Simulator;
use crate::plan::{DimSpec, OperandEdit};
use ailurus_analyze::{
    Code, Refusal,
    abs::{Abs, Scalar},
    expr::Expr,
    transfer,
    walk::ancestors,
};
use ailurus_onnx::{Node, NodeId, ValueId};
use std::collections::HashSet;

impl Simulator<'_, '_> {
    /// A node of the region that no clusters go into.
    pub(super) fn untouched(&mut self, id: NodeId, node: &Node, inputs: Vec<Option<Abs>>) -> Result<(), Refusal> {
        let outcome = self.interp.step(id, node, inputs.clone());
        let old = |v: &Option<ValueId>| v.and_then(|v| self.a.interp.get(v));
        let pairs = || node.outputs.iter().map(old).zip(&outcome.outputs);
        let alike = pairs().all(|(before, now)| before.is_none_or(|b| self.same(b, now)));
        let from = |set: &HashSet<ValueId>| node.inputs.iter().flatten().any(|v| set.contains(v));
        self.check_followed(id, node, &outcome.outputs)?;
        let from_uniform = from(&self.uniform);
        // A list of numbers that stayed as it was may be part of a shape as well as a row of a table: what it is used for
        // tells.
        let is_list = |abs: &Option<Abs>| abs.as_ref().is_some_and(|a| a.elements.is_some() && a.rank() <= Some(1));
        let from_table = node
            .inputs
            .iter()
            .zip(&inputs)
            .any(|(v, abs)| v.is_some_and(|v| self.tables.contains(&v)) && !is_list(abs));
        if alike {
            // What is as it was is a table like those from outside the region.
            let set = if from_uniform && !from_table { &mut self.uniform } else { &mut self.tables };
            set.extend(node.outputs.iter().flatten());
            return self.store(node, outcome);
        }
        if !from_table && pairs().all(|(before, now)| before.is_none_or(|b| self.is_vector(b, now))) {
            if from_uniform {
                self.uniform.extend(node.outputs.iter().flatten());
            }
            return self.store(node, outcome);
        }
        if !from_table && !self.full.contains(id) && self.is_uniform(node, &inputs, &outcome.outputs) {
            self.uniform.extend(node.outputs.iter().flatten());
            // As long as it is now: that its axes count tokens is not known.
            let made = node.outputs.iter().zip(outcome.outputs);
            self.out.values.extend(made.filter_map(|(v, abs)| Some(((*v)?, abs))));
            return Ok(());
        }
        self.on_full_grid(id, node, &inputs)
    }

    /// Arithmetic on the number of tokens must be followed: nobody could tell otherwise whether its result is one of the
    /// reduced sequence or of the full grid.
    fn check_followed(&self, id: NodeId, node: &Node, outputs: &[Abs]) -> Result<(), Refusal> {
        let number = |a: &Abs| !a.activation && a.rank().is_some_and(|r| r <= 1);
        let lost = |a: &Abs| a.elements.as_ref().is_some_and(|list| list.contains(&Scalar::Unknown));
        let computes = transfer::is_elementwise(&node.domain, &node.op_type);
        let known = |v: ValueId| self.out.values.get(&v).is_some_and(|a| !lost(a) && a.elements.is_some());
        let source = node.inputs.iter().flatten().find(|&&v| known(v) && self.changed(v));
        match source {
            Some(&v) if computes && outputs.iter().any(|a| number(a) && lost(a)) => Err(self.refuse(
                Code::AIL0208,
                id,
                format!(
                    "`{}` depends on the number of tokens, and what becomes of it is not followed",
                    self.g.name_of(v)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Same sizes, and the same elements where they are followed.
    pub(super) fn same(&self, a: &Abs, b: &Abs) -> bool {
        self.same_sizes(a, b) && a.elements == b.elements
    }

    pub(super) fn same_sizes(&self, a: &Abs, b: &Abs) -> bool {
        let atoms = &self.interp.atoms;
        let equal = |(x, y)| atoms.symbols.equal(&atoms.size(x), &atoms.size(y));
        a.rank() == b.rank() && a.axes().iter().zip(b.axes()).all(equal)
    }

    /// A list of numbers that is as long as it was: a shape, or what one is made of.
    fn is_vector(&self, before: &Abs, now: &Abs) -> bool {
        self.same_sizes(before, now) && now.elements.is_some() && now.rank().is_some_and(|r| r <= 1)
    }

    /// True when the result is the same in every row that there are now fewer of.
    fn is_uniform(&self, node: &Node, inputs: &[Option<Abs>], outputs: &[Abs]) -> bool {
        let (Some(v), Some(now), true) = (node.output(0), outputs.first(), node.domain.is_empty()) else {
            return false;
        };
        let Some(before) = self.a.interp.get(v) else { return false };
        let data_is_uniform = || node.input(0).is_some_and(|v| self.uniform.contains(&v));
        match node.op_type.as_str() {
            "ConstantOfShape" => true,
            // Only axes of size 1 grow.
            "Expand" => self.expands(inputs),
            "Cast" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Identity" | "Flatten" => data_is_uniform(),
            op if transfer::is_elementwise("", op) => {
                let (axes, rank) = (now.axes(), now.axes().len());
                let atoms = &self.interp.atoms;
                let changed: Vec<usize> = (0..rank)
                    .filter(|&i| {
                        before.axes().get(i).is_none_or(|x| !atoms.symbols.equal(&atoms.size(x), &atoms.size(&axes[i])))
                    })
                    .map(|i| rank - i)
                    .collect();
                node.inputs.iter().zip(inputs).all(|(v, abs)| {
                    let (Some(v), Some(abs)) = (v, abs) else { return true };
                    let one = |back: &usize| abs.axes().len().checked_sub(*back).is_none_or(|i| abs.axes()[i].is_one());
                    self.uniform.contains(v) || changed.iter().all(one)
                })
            }
            _ => false,
        }
    }

    /// True where an expansion only makes axes of size 1 longer; a row per token does not fit a shorter shape.
    fn expands(&self, inputs: &[Option<Abs>]) -> bool {
        let atoms = &self.interp.atoms;
        let [Some(data), Some(shape)] = inputs else { return false };
        let Some(sizes) = &shape.elements else { return true };
        data.axes().iter().rev().zip(sizes.iter().rev()).all(|(axis, size)| {
            let fits = |e: &Expr| e.is_one() || atoms.symbols.equal(e, &atoms.size(axis));
            axis.is_one() || size.int().is_none_or(fits)
        })
    }

    /// Keeps a node on the full number of tokens: what it reads of the reduced sequence is replaced.
    fn on_full_grid(&mut self, id: NodeId, node: &Node, inputs: &[Option<Abs>]) -> Result<(), Refusal> {
        for (slot, now) in inputs.iter().enumerate() {
            let (Some(v), Some(now)) = (node.input(slot), now) else { continue };
            if self.tables.contains(&v) {
                continue;
            }
            if self.uniform.contains(&v) {
                self.make_full(v);
                continue;
            }
            let Some(before) = self.a.interp.get(v) else { continue };
            if self.same(before, now) {
                continue;
            }
            let (Some(wanted), Some(have)) = (before.ints(), now.ints()) else {
                return Err(self.refuse(
                    Code::AIL0208,
                    id,
                    format!("`{}` depends on the number of tokens in a way that is not followed", self.g.name_of(v)),
                ));
            };
            let dims = wanted
                .iter()
                .zip(&have)
                .map(|(full, reduced)| self.full_dim(id, full, reduced))
                .collect::<Result<Vec<_>, _>>()?;
            let scalar = before.rank() == Some(0);
            self.out.operands.push(OperandEdit { node: self.key(id), input: slot, dims, scalar });
        }
        for &v in node.outputs.iter().flatten() {
            if let Some(before) = self.a.interp.get(v) {
                self.out.values.insert(v, before.clone());
                self.tables.insert(v);
            }
        }
        Ok(())
    }

    /// Has a value that is the same in every row made for the full grid after all, in another pass.
    pub(super) fn make_full(&mut self, v: ValueId) {
        let makers = ancestors(self.g, [v]);
        for (n, _) in self.g.nodes().filter(|(n, _)| makers.contains(*n) && self.set.contains(*n)) {
            self.again |= self.full.insert(n);
        }
    }

    /// An element of a shape as it was on all tokens.
    fn full_dim(&self, id: NodeId, full: &Expr, reduced: &Expr) -> Result<DimSpec, Refusal> {
        let atoms = &self.interp.atoms;
        let s = &atoms.symbols;
        if let Some(n) = s.known(full) {
            return Ok(DimSpec::Number(n));
        }
        if s.equal(full, reduced) {
            return Ok(DimSpec::Same);
        }
        let t = &self.a.trunk.tokens;
        for (size, whole) in [(atoms.size(&t.sequence), true), (atoms.run_size(&t.patches), false)] {
            if let Some(n) = s.divide(full, &size).and_then(|q| q.constant()) {
                return Ok(if whole { DimSpec::Tokens(n) } else { DimSpec::Patches(n) });
            }
        }
        Err(self.refuse(Code::AIL0208, id, format!("the size {} cannot be computed at run time", s.show(full))))
    }
}
