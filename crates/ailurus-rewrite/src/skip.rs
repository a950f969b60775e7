//! Fused skip connections, apart and together.
//!
//! A fused skip connection adds and normalises in one operator. Its norm is the norm of a sum of *tokens*; after merging it
//! must be the norm of the merged sum, which is not the merged norm. So the two are separated before a model is looked at,
//! and joined again where the rewriting did not come between them.

use crate::error::Error;
use ailurus_onnx::{Attribute, Graph, GraphEdit, Node, NodeId, NodeSpec, ValueId};

const DOMAIN: &str = "com.microsoft";
const FUSED: &str = "SkipLayerNormalization";
const SIMPLIFIED: &str = "SkipSimplifiedLayerNormalization";
const NORMALIZATION: &str = "LayerNormalization";

/// Ends of the names of what a fusion is separated into, and of the values of one that is joined again.
const SUM: &str = "/sum";
const NORM: &str = "/norm";
const OUT: &str = "/out";

/// True for a fused skip connection.
pub fn is_fused(node: &Node) -> bool {
    node.domain == DOMAIN && matches!(node.op_type.as_str(), FUSED | SIMPLIFIED)
}

/// Takes a fused skip connection apart.
pub fn separate(edit: &mut GraphEdit, id: NodeId) -> Result<(), Error> {
    let node = edit.graph().node(id).clone();
    let simplified = node.op_type == SIMPLIFIED;
    // Statistics are training outputs; a model that reads them keeps its fusion.
    if [1, 2].into_iter().any(|s| node.output(s).is_some_and(|v| !edit.graph().uses(v).is_empty())) {
        return Ok(());
    }
    let (Some(x), Some(skip), Some(gamma), Some(out)) = (node.input(0), node.input(1), node.input(2), node.output(0))
    else {
        return Ok(());
    };
    let (beta, bias) = if simplified { (None, node.input(3)) } else { (node.input(3), node.input(4)) };
    let ty = edit.graph().value(out).ty.clone();
    let add = |edit: &mut GraphEdit, a: ValueId, b: ValueId| {
        let name = edit.fresh_name(&format!("{}{SUM}", node.name));
        edit.add(NodeSpec::new("Add", [a, b]).name(name.clone()).output(name, ty.clone()))
    };
    let mut sum = add(edit, x, skip)?;
    if let Some(bias) = bias {
        sum = add(edit, sum, bias)?;
    }
    let name = edit.fresh_name(&format!("{}{NORM}", node.name));
    let op = if simplified { "SimplifiedLayerNormalization" } else { NORMALIZATION };
    let spec = NodeSpec::new(op, [sum, gamma].into_iter().chain(beta))
        .name(name.clone())
        .output(name, ty.clone())
        .attribute("axis", Attribute::Int(-1))
        .attribute("epsilon", Attribute::Float(node.float("epsilon", 1e-12)));
    let norm = edit.add(spec)?;
    take_over(edit, &[(Some(out), norm), (node.output(3), sum)], &[id])
}

/// Fuses again what [`separate`] took apart and the rewriting left as it was. Runtimes do so where they can when they load
/// a model, but not where the sum is needed by others too, as it is in every block.
pub fn join(edit: &mut GraphEdit) -> Result<(), Error> {
    let norms: Vec<NodeId> = edit.graph().nodes().filter(|(_, n)| n.name.ends_with(NORM)).map(|(id, _)| id).collect();
    for id in norms {
        if let Some(pair) = Pair::of(edit.graph(), id) {
            pair.fuse(edit)?;
        }
    }
    Ok(())
}

/// A sum and its norm, as [`separate`] made them.
struct Pair {
    norm: NodeId,
    /// The additions, the last one first.
    sums: Vec<NodeId>,
    stem: String,
    /// What is added: stream, branch, and bias.
    terms: Vec<ValueId>,
}

impl Pair {
    /// The pair whose norm this is. The names are those that only [`separate`] gives.
    fn of(g: &Graph, norm: NodeId) -> Option<Self> {
        let node = g.node(norm);
        let stem = node.name.strip_suffix(NORM)?.to_owned();
        let first = format!("{stem}{SUM}");
        let sum_of = |value: ValueId| {
            let (id, _) = g.producer(value)?;
            let sum = g.node(id);
            let own = sum.op_type == "Add" && sum.name.starts_with(&first);
            own.then(|| Some((id, sum.name == first, sum.input(0)?, sum.input(1)?)))?
        };
        let (last, alone, a, b) = sum_of(node.input(0)?)?;
        if alone {
            return Some(Self { norm, sums: vec![last], stem, terms: vec![a, b] });
        }
        // The second of two, of which the first must still be there, and for nobody else.
        let (first, alone, x, skip) = sum_of(a)?;
        let whole = alone && g.uses(a).len() == 1;
        whole.then(|| Self { norm, sums: vec![last, first], stem, terms: vec![x, skip, b] })
    }

    fn fuse(self, edit: &mut GraphEdit) -> Result<(), Error> {
        let g = edit.graph();
        let node = g.node(self.norm).clone();
        let sum = g.node(self.sums[0]).output(0);
        let (Some(out), Some(sum), Some(gamma)) = (node.output(0), sum, node.input(1)) else {
            return Ok(());
        };
        let (out_type, sum_type) = (g.value(out).ty.clone(), g.value(sum).ty.clone());
        let simplified = node.op_type != NORMALIZATION;
        let mut spec =
            NodeSpec::new(if simplified { SIMPLIFIED } else { FUSED }, [self.terms[0], self.terms[1], gamma])
                .domain(DOMAIN)
                .name(edit.fresh_name(&self.stem))
                .attribute("epsilon", Attribute::Float(node.float("epsilon", 1e-5)));
        let bias = self.terms.get(2).copied();
        if !simplified && (node.input(2).is_some() || bias.is_some()) {
            spec = spec.input(node.input(2));
        }
        if let Some(bias) = bias {
            spec = spec.input(bias);
        }
        spec = spec.output(edit.fresh_name(&format!("{}{OUT}", self.stem)), out_type);
        // Beside the norm, the sum is an output of its own, after two that only training reads.
        let shared = edit.graph().uses(sum).len() > 1;
        if shared {
            let name = edit.fresh_name(&format!("{}{SUM}", self.stem));
            spec = spec.output("", None).output("", None).output(name, sum_type);
        }
        let fused = edit.add_node(spec)?;
        let made = edit.outputs(fused);
        let mut replaced = vec![(Some(out), made[0])];
        if shared {
            replaced.push((Some(sum), made[1]));
        }
        let mut old = vec![self.norm];
        old.extend(self.sums);
        take_over(edit, &replaced, &old)
    }
}

/// Puts new values in the place of old ones and removes the nodes that made those, the last one first. Values keep their
/// names, unless one already took over the name of a graph output.
fn take_over(edit: &mut GraphEdit, replaced: &[(Option<ValueId>, ValueId)], old: &[NodeId]) -> Result<(), Error> {
    for &(from, to) in replaced {
        if let Some(from) = from {
            edit.replace_uses(from, to, |_| true)?;
        }
    }
    let names: Vec<(String, ValueId)> =
        replaced.iter().filter_map(|&(from, to)| Some((edit.graph().name_of(from?).to_owned(), to))).collect();
    for &id in old {
        edit.remove_node(id)?;
    }
    for (name, value) in names {
        let public = edit.graph().outputs().contains(&value);
        if !public && edit.graph().find(&name).is_none() {
            edit.rename_value(value, &name)?;
        }
    }
    Ok(())
}
