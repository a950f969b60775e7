//! The metric that distances are measured on: head-mean keys of the next block.

use crate::{
    layout::Layout,
    plan::{KeyColumns, KeysPlan, Scales},
    quantize,
};
use ailurus_analyze::{
    Analysis,
    constants::Stored,
    keys,
    walk::{ancestors, descendants},
};

/// Plans head-mean keys of the block behind `layer`.
pub fn keys(a: &Analysis, layer: usize) -> Option<KeysPlan> {
    let found = keys::find(a, layer + 1)?;
    let g = &a.interp.model.graph;
    let cut = a.trunk.streams[layer];
    let axes = a.interp.get(found.input)?.axes().to_vec();
    let layout = Layout::of(&axes, &a.trunk.tokens, &a.interp.atoms)?;
    let between = descendants(g, [cut]).and(&ancestors(g, [found.input]));
    let name = |v| g.name_of(v).to_owned();
    let path = g
        .nodes()
        .filter(|(id, _)| between.contains(*id))
        .map(|(_, n)| n.outputs.iter().flatten().next().map(|&v| name(v)))
        .collect::<Option<Vec<_>>>()?;
    // A path that already holds an attention is no norm: the keys belong to another stream.
    if a.trunk.cores_behind(0).any(|c| between.contains(c.scores)) || found.input != cut && path.is_empty() {
        return None;
    }
    let scales = |s: &Stored| {
        s.scaled.map(|s| Scales { scale: name(s.scale), zero_point: s.zero_point.map(name), axis: s.axis })
    };
    Some(KeysPlan {
        input: name(found.input),
        quantization: found.quantization.map(|q| quantize::named(g, &q)),
        layout,
        path,
        weight: name(found.weight.value),
        weight_scales: scales(&found.weight),
        transposed: found.transposed,
        bias: found.bias.map(|b| name(b.value)),
        bias_scales: found.bias.as_ref().and_then(scales),
        columns: KeyColumns::of(&found.heads)?,
    })
}
