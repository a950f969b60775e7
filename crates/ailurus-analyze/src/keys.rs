//! The projection that makes the keys of a block, and which of its columns belong to which head.

mod projection;

use crate::{
    Analysis,
    axis::{AtomId, Atoms, Origin},
    constants::Stored,
    interp::How,
    quantization::Quantization,
};
use ailurus_onnx::{NodeId, ValueId};
use std::collections::BTreeMap;

/// Where the keys of a block come from.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The projection (a matrix product), or the fused operator that holds the weights.
    pub projection: NodeId,
    /// What is projected: the normalised stream.
    pub input: ValueId,
    /// How it is stored, where it exists in 8 bits only.
    pub quantization: Option<Quantization>,
    /// Constant weights.
    pub weight: Stored,
    /// Weights are stored `[out, in]`.
    pub transposed: bool,
    /// Constant bias over all columns, if there is one.
    pub bias: Option<Stored>,
    /// Columns of the weights, by head: equal counts, matching positions.
    pub heads: Vec<Vec<usize>>,
}

/// More columns than any projection has: a stored shape may say anything where there are no elements to count.
const MOST_COLUMNS: usize = 1 << 20;

/// Finds the key projection of block `block` (counted from 1); `None` when the keys are not a projection with constant
/// weights.
pub fn find(a: &Analysis, block: usize) -> Option<Keys> {
    let core = a.trunk.blocks.get(block.checked_sub(1)?)?.cores.first()?;
    let g = &a.interp.model.graph;
    let fused = g.node(core.scores);
    if fused.domain == "com.microsoft" && matches!(fused.op_type.as_str(), "Attention" | "QAttention") {
        let p = projection::held(a, core.scores)?;
        let width = *p.weight.shape(a.interp.model)?.get(1).filter(|&&w| w <= MOST_COLUMNS)?;
        let (q, k) = match fused.ints("qkv_hidden_sizes") {
            Some(s) => (usize::try_from(*s.first()?).ok()?, usize::try_from(*s.get(1)?).ok()?),
            None => (width / 3, width / 3),
        };
        let heads = chunks((q..q.checked_add(k)?.min(width)).collect(), fused.int("num_heads", 1))?;
        return Some(p.into_keys(core.scores, heads));
    }
    let (at, made) = walk_back(a, core.key)?;
    let p = projection::of(a, at)?;
    let [rows, width] = p.weight.shape(a.interp.model)?[..] else { return None };
    let columns = if p.transposed { rows } else { width };
    if columns > MOST_COLUMNS {
        return None;
    }
    let heads = heads(a, core, made, columns)?;
    Some(p.into_keys(at, heads))
}

/// From keys back through layout changes, scales, biases and rotations to the contraction that made them.
fn walk_back(a: &Analysis, key: ValueId) -> Option<(NodeId, ValueId)> {
    let g = &a.interp.model.graph;
    let mut v = key;
    for _ in 0..256 {
        let (n, _) = g.producer(v)?;
        let next = g.node(n).inputs.iter().enumerate().find_map(|(slot, i)| {
            Some((slot, (*i)?))
                .filter(|&(_, i)| a.interp.get(i).is_some_and(|x| x.activation) && a.interp.is_spatial(i))
        });
        let (slot, next) = next?;
        // Whatever sums over something makes the keys, understood or not: what lies before it is not keys.
        if a.interp.effects.iter().any(|e| e.node == n && e.input == slot && e.how == How::Contract) {
            return Some((n, v));
        }
        v = next;
    }
    None
}

fn heads(a: &Analysis, core: &crate::cores::Core, made: ValueId, columns: usize) -> Option<Vec<Vec<usize>>> {
    let atoms = &a.interp.atoms;
    let g = &a.interp.model.graph;
    let key = a.interp.get(core.key)?;
    let mut root = None;
    a.interp.get(made)?.axes().last()?.for_each_atom(&mut |x| root = Some(x));
    let root = root?;
    let scores = g.node(core.scores);
    let slot = scores.inputs.iter().position(|&i| i == Some(core.key))?;
    let summed: Vec<AtomId> = {
        let mut list = Vec::new();
        let contracted = a.interp.effects.iter().filter(|e| {
            e.node == core.scores && e.input == slot && e.how == How::Contract && !atoms.is_spatial(&e.axis)
        });
        contracted.for_each(|e| e.axis.for_each_atom(&mut |x| list.push(x)));
        list
    };
    let mut head_atoms: Vec<AtomId> = Vec::new();
    let last = key.axes().len().checked_sub(1)?;
    for (i, axis) in key.axes().iter().enumerate() {
        let fused = scores.op_type == "Attention" || scores.op_type == "MultiHeadAttention";
        axis.for_each_atom(&mut |x| {
            let of_element = summed.contains(&x) || (fused && i == last);
            if atoms.descends(x, root) && !of_element && !head_atoms.contains(&x) {
                head_atoms.push(x);
            }
        });
    }
    let mut limits: Vec<AtomId> = summed.iter().copied().filter(|&x| atoms.descends(x, root)).collect();
    limits.extend(&head_atoms);
    if summed.is_empty() {
        key.axes()[last].for_each_atom(&mut |x| {
            if atoms.descends(x, root) {
                limits.push(x);
            }
        });
    }
    let picks: Vec<(AtomId, i64)> = key.picked.iter().copied().filter(|(x, _)| atoms.descends(*x, root)).collect();
    let mut by_head: BTreeMap<Vec<i64>, Vec<usize>> = BTreeMap::new();
    'column: for j in 0..columns {
        let at = |x: AtomId| coordinate(atoms, x, root, j as i64);
        for &(x, want) in &picks {
            if at(x)? != want {
                continue 'column;
            }
        }
        for &x in &limits {
            let c = at(x)?;
            if c < 0 || c >= atoms.symbols.known(&atoms.get(x).size)? {
                continue 'column;
            }
        }
        let head = head_atoms.iter().map(|&x| at(x)).collect::<Option<Vec<_>>>()?;
        by_head.entry(head).or_default().push(j);
    }
    let mut heads: Vec<Vec<usize>> = by_head.into_values().collect();
    if let [only] = &heads[..] {
        let n = scores.int("kv_num_heads", scores.int("num_heads", 1));
        heads = chunks(only.clone(), n)?;
    }
    let width = heads.first()?.len();
    (width > 0 && heads.iter().all(|h| h.len() == width)).then_some(heads)
}

fn chunks(columns: Vec<usize>, heads: i64) -> Option<Vec<Vec<usize>>> {
    let heads = usize::try_from(heads).ok().filter(|&h| h > 0 && columns.len().is_multiple_of(h))?;
    Some(columns.chunks(columns.len() / heads).map(<[usize]>::to_vec).collect())
}

/// Position within `atom` of element `j` of `root`.
fn coordinate(atoms: &Atoms, atom: AtomId, root: AtomId, j: i64) -> Option<i64> {
    if atom == root {
        return Some(j);
    }
    let size = |x: AtomId| atoms.symbols.known(&atoms.get(x).size);
    match &atoms.get(atom).origin {
        Origin::Major(p) => {
            let minor = size(*p)? / size(atom)?.max(1);
            Some(coordinate(atoms, *p, root, j)?.div_euclid(minor.max(1)))
        }
        Origin::Minor(p) => Some(coordinate(atoms, *p, root, j)?.rem_euclid(size(atom)?.max(1))),
        Origin::Slice { of, start } => Some(coordinate(atoms, *of, root, j)? - atoms.symbols.known(start)?),
        Origin::Root | Origin::Permuted(_) | Origin::Padded { .. } | Origin::Rolled { .. } => None,
    }
}
