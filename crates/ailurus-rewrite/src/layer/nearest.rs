//! What the user may have meant.

use super::names::{Meaning, Names};
use std::collections::BTreeSet;

/// Names compared, and their longest length: enough for every real model, and bounded for the others.
const COMPARED: usize = 20_000;
const LONGEST: usize = 200;

/// Names shown.
const SHOWN: usize = 3;

/// Names less alike are no help.
const ALIKE: f64 = 0.5;

/// `did you mean …` with the names most like this one that mean a block.
pub(super) fn suggest(names: &Names, wanted: &str) -> Option<String> {
    let wanted: String = wanted.chars().take(LONGEST).collect();
    let alike = |name: &str| strsim::normalized_damerau_levenshtein(&wanted, name);
    let mut scored: Vec<(f64, String)> =
        candidates(names).into_iter().map(|name| (alike(&name), name)).filter(|(score, _)| *score >= ALIKE).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let good = scored.into_iter().map(|(_, name)| name).take(8 * SHOWN);
    let last = names.a.blocks().saturating_sub(1);
    let good = good.filter(|name| matches!(names.meaning(name), Meaning::Cut(k) if (1..=last).contains(&k)));
    let list: Vec<String> = good.take(SHOWN).map(|name| format!("`{name}`")).collect();
    let list = match &list[..] {
        [] => return None,
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    };
    Some(format!("did you mean {list}? If not, "))
}

/// Names of nodes inside blocks, of what they make, and of the modules they lie in.
fn candidates(names: &Names) -> BTreeSet<String> {
    let g = &names.a.interp.model.graph;
    let mut out = BTreeSet::new();
    for (id, node) in g.nodes().filter(|(id, _)| !names.of(*id).is_empty()) {
        if out.len() > COMPARED {
            break;
        }
        let made = node.outputs.iter().flatten().map(|&v| g.name_of(v).to_owned());
        let paths = names.paths(id);
        let parts = paths.iter().flat_map(|path| path.split('/').map(str::to_owned).collect::<Vec<_>>());
        let all = made.chain(parts).chain(paths.iter().cloned());
        out.extend(all.filter(|name| !name.is_empty() && name.len() <= LONGEST));
    }
    out
}
