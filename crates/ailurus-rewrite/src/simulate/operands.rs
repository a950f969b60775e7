//! Shape operands that fixed the number of tokens.

use super::Simulator;
use crate::plan::{DimSpec, OperandEdit};
use ailurus_analyze::{
    Code, Refusal,
    abs::{Abs, Scalar},
    axis::{Factor, Run, Target},
    expr::Expr,
    interp::{Outcome, wrap},
};
use ailurus_onnx::{Node, NodeId};

impl Simulator<'_, '_> {
    /// A Reshape or Expand: the output must be the replaced one; the operand follows.
    pub(super) fn reshaped(&mut self, id: NodeId, node: &Node, inputs: &[Option<Abs>]) -> Result<Outcome, Refusal> {
        let v = node.output(0).ok_or_else(|| self.refuse(Code::AIL0208, id, ""))?;
        let want = self.expected(v).ok_or_else(|| self.refuse(Code::AIL0207, id, ""))?;
        let data = inputs.first().cloned().flatten().ok_or_else(|| self.refuse(Code::AIL0208, id, ""))?;
        let operand = inputs
            .get(1)
            .cloned()
            .flatten()
            .ok_or_else(|| self.refuse(Code::AIL0208, id, "the shape operand is missing"))?;
        let sizes: Vec<Expr> = want.axes().iter().map(|x| self.interp.atoms.size(x)).collect();
        if node.op_type == "Reshape" {
            let targets: Vec<_> = sizes.iter().cloned().map(Target::Size).collect();
            let cut = self.interp.atoms.reshape(data.axes(), &targets);
            if !cut.scrambled.is_empty() {
                return Err(self.refuse(Code::AIL0207, id, "this reshape cuts through the tokens"));
            }
        }
        self.operand(id, node, &data, &operand, &sizes)?;
        Ok(Outcome { outputs: vec![want], effects: Vec::new(), opaque: false })
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
                    if reshape
                        && !keep_zero
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
        self.out.operands.push(OperandEdit { node: self.key(id), input: 1, dims, scalar: false });
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
        Err(self.refuse(
            Code::AIL0208,
            id,
            format!("the size {} cannot be computed at run time", atoms.symbols.show(want)),
        ))
    }

    /// A Split along the tokens has its piece sizes in an operand.
    pub(super) fn split(&mut self, id: NodeId, node: &Node, inputs: Vec<Option<Abs>>) -> Result<Outcome, Refusal> {
        let axis = inputs.first().and_then(|d| {
            let d = d.as_ref()?;
            let at = wrap(node.int("axis", 0), d.rank()?)?;
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
            w.axes()[at].0.iter().all(|r| {
                !r.iter().any(
                    |f| matches!(f, Factor::Atom(x) if *x != self.cluster_atom && self.interp.atoms.get(*x).spatial),
                )
            })
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
    pub(super) fn slice(&mut self, id: NodeId, node: &Node, inputs: Vec<Option<Abs>>) -> Result<Outcome, Refusal> {
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
        let keep = |e: &Scalar| e.int().and_then(Expr::constant).map_or(DimSpec::Same, DimSpec::Number);
        let (mut from, mut to): (Vec<_>, Vec<_>) = (starts.iter().map(keep).collect(), ends.iter().map(keep).collect());
        for (i, &axis) in axes.iter().enumerate() {
            let Some(at) = wrap(axis, data.axes().len()) else { return Ok(outcome) };
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
            self.out.operands.push(OperandEdit { node: self.key(id), input, dims, scalar: false });
        }
        Ok(Outcome { outputs: vec![want], effects: Vec::new(), opaque: false })
    }
}
