//! Numbers that are computed from sizes of the grid, and so become others on a smaller one.

use super::{Meanings, Region, Sizes};
use ailurus_analyze::abs::Abs;
use ailurus_onnx::{Node, ValueId};
use std::collections::HashMap;

/// Which elements of which values change, of those that are no activations.
pub struct Changed(HashMap<ValueId, Vec<bool>>);

impl Changed {
    pub fn of(region: &Region, meanings: &Meanings, sizes: &Sizes) -> Self {
        let mut me = Self(HashMap::new());
        for (_, node) in region.g.nodes().filter(|(id, _)| region.nodes.contains(*id)) {
            let Some(flags) = me.flags(region, meanings, sizes, node) else { continue };
            if flags.contains(&true) {
                me.0.extend(node.outputs.iter().flatten().map(|&v| (v, flags.clone())));
            }
        }
        me
    }

    /// True when any of its elements changes.
    pub fn touches(&self, v: ValueId) -> bool {
        self.0.contains_key(&v)
    }

    fn flags(&self, region: &Region, meanings: &Meanings, sizes: &Sizes, node: &Node) -> Option<Vec<bool>> {
        let constants = |i: usize| node.input(i).and_then(|v| region.a.interp.get(v)).and_then(Abs::constants);
        if let ("Shape" | "Size", Some(abs)) =
            (node.op_type.as_str(), node.input(0).and_then(|v| meanings.values.get(&v)))
        {
            let atoms = &meanings.interp.atoms;
            let changes = |x| !sizes.of(x).is_ok_and(|now| atoms.symbols.equal(&now, &atoms.size(x)));
            let flags: Vec<bool> = abs.axes().iter().map(changes).collect();
            return Some(if node.op_type == "Size" { vec![flags.contains(&true)] } else { flags });
        }
        let read = |v: ValueId| match self.0.get(&v) {
            Some(flags) => flags.clone(),
            None => vec![false; region.a.interp.get(v).and_then(|x| x.elements.as_ref()).map_or(1, Vec::len)],
        };
        if !node.inputs.iter().flatten().any(|&v| self.touches(v)) {
            return None;
        }
        let first = read(node.input(0)?);
        // Operators that only pick, join or pass on single numbers; in all others every number depends on every other.
        let followed = match node.op_type.as_str() {
            "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" => Some(first),
            "Gather" => constants(1).and_then(|which| {
                let n = first.len() as i64;
                which
                    .iter()
                    .map(|&i| first.get(usize::try_from(if i < 0 { i + n } else { i }).ok()?).copied())
                    .collect()
            }),
            "Concat" => Some(node.inputs.iter().flatten().flat_map(|&v| read(v)).collect()),
            _ => None,
        };
        Some(followed.unwrap_or_else(|| vec![true]))
    }
}
