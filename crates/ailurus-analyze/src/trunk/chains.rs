//! Chains of attention cores over the same tokens, and the one that is the encoder.

use super::{grids, streams::feeds};
use crate::{
    absent,
    axis::Axis,
    cores::{Core, Fault},
    interp::Interp,
    refusal::{Code, Refusal},
    walk::{NodeSet, ancestors},
    windows,
};
use ailurus_onnx::{Graph, ValueId};

/// Cores over the same tokens, each feeding a later one or standing beside it.
struct Chain {
    members: Vec<usize>,
    /// What the last core depends on.
    upstream: NodeSet,
}

impl Chain {
    fn of(g: &Graph, cores: &[Core], members: Vec<usize>) -> Self {
        let ends = members.iter().filter_map(|&i| g.node(cores[i].context).output(0));
        Self { upstream: ancestors(g, ends), members }
    }
}

/// The cores of the trunk and all others.
pub fn choose(interp: &Interp, cores: Vec<Core>, wish: Option<&str>) -> Result<(Vec<Core>, Vec<Core>), Refusal> {
    let g = &interp.model.graph;
    let global: Vec<usize> = (0..cores.len()).filter(|&i| cores[i].fault().is_none()).collect();
    let mut chains = chains(g, &cores, &global);
    let windowed = windowed(interp, g, &cores);
    // Attention to the whole grid with windows between is part of their chain, and no chain of its own.
    let belongs = |c: &Chain, w: &Chain| c.members.iter().all(|i| w.members.contains(i));
    chains.retain(|c| is_pure(g, &cores, c) || !windowed.iter().any(|w| belongs(c, w)));
    chains.extend(windowed);
    let chosen = match wish {
        Some(name) => named(interp, &cores, &chains, name)?,
        None => alone(interp, &cores, &chains)?,
    };
    let members = chains[chosen].members.clone();
    let (trunk, other): (Vec<_>, Vec<_>) = cores.into_iter().enumerate().partition(|(i, _)| members.contains(i));
    Ok((trunk.into_iter().map(|(_, c)| c).collect(), other.into_iter().map(|(_, c)| c).collect()))
}

fn chains(g: &Graph, cores: &[Core], members: &[usize]) -> Vec<Chain> {
    let before: Vec<NodeSet> = cores.iter().map(|c| ancestors(g, [c.query, c.key, c.value])).collect();
    let feeds = |a: usize, b: usize| before[b].contains(cores[a].context);
    // Side by side within a block: fed by the same attentions and feeding the same ones. Two encoders of one image are
    // not, since each only feeds its own.
    let beside = |a: usize, b: usize| {
        let mut linked = false;
        let alike = members.iter().filter(|&&k| k != a && k != b).all(|&k| {
            linked |= feeds(k, a) || feeds(a, k);
            feeds(k, a) == feeds(k, b) && feeds(a, k) == feeds(b, k)
        });
        alike && linked && !feeds(a, b) && !feeds(b, a)
    };
    let mut lists: Vec<Vec<usize>> = Vec::new();
    for &i in members {
        let joins = |l: &&mut Vec<usize>| {
            cores[l[0]].tokens == cores[i].tokens && l.iter().any(|&j| feeds(j, i) || beside(j, i))
        };
        match lists.iter_mut().find(joins) {
            Some(l) => l.push(i),
            None => lists.push(vec![i]),
        }
    }
    lists.into_iter().map(|members| Chain::of(g, cores, members)).collect()
}

/// Chains over one grid with windows in them.
fn windowed(interp: &Interp, g: &Graph, cores: &[Core]) -> Vec<Chain> {
    grids::windowed(interp, cores).into_iter().map(|members| Chain::of(g, cores, members)).collect()
}

/// The longest chain, when nothing else competes with it.
fn alone(interp: &Interp, cores: &[Core], chains: &[Chain]) -> Result<usize, Refusal> {
    let g = &interp.model.graph;
    let faulty = cores.iter().find_map(|c| Some((c, c.fault()?)));
    if let Some((core, fault)) = faulty {
        return among_windows(interp, cores, chains, (core, fault));
    }
    let longest = chains.iter().map(|c| c.members.len()).max().unwrap_or(0);
    let Some(best) = chains.iter().position(|c| c.members.len() == longest) else { return Err(absent::why(interp)) };
    let first = |c: &Chain| &cores[c.members[0]];
    let last = |c: &Chain| &cores[c.members[c.members.len() - 1]];
    let trunk = &chains[best];
    super::tokens::of(interp, &first(trunk).tokens).map_err(|r| r.at(g, first(trunk).scores))?;
    for other in chains.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, c)| c) {
        let linked = feeds(g, last(trunk), first(other)) || feeds(g, last(other), first(trunk));
        if !linked && other.members.len() > 1 {
            return Err(several(interp, cores, chains));
        }
        if !linked {
            continue;
        }
        let (one, two) = (&first(trunk).tokens, &first(other).tokens);
        if !shares_patches(interp, one, two) {
            return Err(windows::stages(interp, first(trunk), first(other), &text(interp, cores, trunk)));
        }
    }
    Ok(best)
}

/// The chain of a model with windows: the longest with windows in it, where no attention of another kind stands between its
/// blocks. Stages of equal length are told apart by name only.
fn among_windows(interp: &Interp, cores: &[Core], chains: &[Chain], faulty: (&Core, Fault)) -> Result<usize, Refusal> {
    let g = &interp.model.graph;
    let has_windows = |c: &Chain| c.members.iter().any(|&i| cores[i].windowed);
    let length = |c: &Chain| if has_windows(c) { c.members.len() } else { 0 };
    let longest = chains.iter().map(length).max().unwrap_or(0);
    let best: Vec<usize> = (0..chains.len()).filter(|&i| longest > 1 && length(&chains[i]) == longest).collect();
    let refuse = |core, fault| Err(windows::refuse(interp, core, fault, stage(interp, cores, chains)));
    let [only] = best[..] else {
        return match best[..] {
            [one, two, ..] => {
                let first = |i: usize| &cores[chains[i].members[0]];
                Err(windows::stages(interp, first(one), first(two), &all(interp, cores, chains)))
            }
            _ => refuse(faulty.0, faulty.1),
        };
    };
    let members = &chains[only].members;
    let (first, last) = (&cores[members[0]], &cores[members[members.len() - 1]]);
    let between = |c: &&Core| feeds(g, first, c) && feeds(g, c, last);
    let foreign = cores.iter().enumerate().filter(|(i, _)| !members.contains(i)).map(|(_, c)| c).find(between);
    match foreign.and_then(|c| Some((c, c.fault()?))) {
        Some((core, fault)) => refuse(core, fault),
        None => Ok(only),
    }
}

/// True when two sequences hold the same patches, whatever stands beside them.
fn shares_patches(interp: &Interp, a: &Axis, b: &Axis) -> bool {
    a.0.iter().filter(|r| interp.atoms.is_spatial(&Axis(vec![(*r).clone()]))).all(|r| b.0.contains(r))
}

/// The chain of global attention that a model with windows or stages holds besides, if its blocks follow each other
/// without windows between.
fn stage(interp: &Interp, cores: &[Core], chains: &[Chain]) -> Option<String> {
    let g = &interp.model.graph;
    let pure = |c: &&Chain| {
        c.members.len() > 1 && c.members.iter().all(|&i| cores[i].fault().is_none()) && is_pure(g, cores, c)
    };
    let longest = chains.iter().filter(pure).max_by_key(|c| c.members.len())?;
    Some(text(interp, cores, longest))
}

/// True when no attention that keeps its tokens from being merged stands between the blocks of a chain.
fn is_pure(g: &Graph, cores: &[Core], chain: &Chain) -> bool {
    let (first, last) = (&cores[chain.members[0]], &cores[chain.members[chain.members.len() - 1]]);
    cores.iter().filter(|f| f.fault().is_some()).all(|f| !(feeds(g, first, f) && feeds(g, f, last)))
}

/// The name by which a chain can be asked for: the scores of its first core.
fn handle<'g>(g: &'g Graph, cores: &[Core], chain: &Chain) -> &'g str {
    g.node(cores[chain.members[0]].scores).output(0).map_or("", |v| g.name_of(v))
}

fn text(interp: &Interp, cores: &[Core], chain: &Chain) -> String {
    let tokens = windows::positions(interp, &cores[chain.members[0]]);
    let n = chain.members.len();
    let blocks = if n == 1 { "1 attention".to_owned() } else { format!("{n} attentions") };
    format!("`{}` ({blocks} over {tokens})", handle(&interp.model.graph, cores, chain))
}

fn several(interp: &Interp, cores: &[Core], chains: &[Chain]) -> Refusal {
    let g = &interp.model.graph;
    let long: Vec<&Chain> = chains.iter().filter(|c| c.members.len() > 1).collect();
    let list: Vec<String> = long.iter().map(|c| text(interp, cores, c)).collect();
    let example = long.first().map_or("", |c| handle(g, cores, c));
    Refusal::new(
        Code::AIL0204,
        format!("{} chains of transformer blocks do not feed each other: {}", long.len(), list.join(", ")),
        format!(
            "choose one with --trunk NAME, a tensor, node or input that only it depends on, for example --trunk {example}"
        ),
    )
}

/// The chain that a name belongs to.
fn named(interp: &Interp, cores: &[Core], chains: &[Chain], name: &str) -> Result<usize, Refusal> {
    let g = &interp.model.graph;
    // The names that refusals list.
    if let Some(at) = chains.iter().position(|c| handle(g, cores, c) == name) {
        return Ok(at);
    }
    let hits: Vec<usize> = (0..chains.len()).filter(|&i| owns(g, &chains[i], name)).collect();
    let last = |c: &Chain| &cores[c.members[c.members.len() - 1]];
    let first = |c: &Chain| &cores[c.members[0]];
    // A stage behind another depends on everything the first one does: the name belongs to the first.
    let own = |i: usize| hits.iter().all(|&j| i == j || !feeds(g, last(&chains[j]), first(&chains[i])));
    let hits: Vec<usize> = hits.iter().copied().filter(|&i| own(i)).collect();
    match hits[..] {
        [only] => Ok(only),
        [] if chains.is_empty() => {
            let faulty = cores.iter().find_map(|c| Some((c, c.fault()?)));
            Err(faulty.map_or_else(|| absent::why(interp), |(c, f)| windows::refuse(interp, c, f, None)))
        }
        [] => Err(Refusal::new(
            Code::AIL0204,
            format!("no chain of transformer blocks depends on anything named `{name}`"),
            format!("the chains are {}", all(interp, cores, chains)),
        )),
        _ => Err(Refusal::new(
            Code::AIL0204,
            format!("several chains of transformer blocks depend on `{name}`"),
            format!("name something that only one depends on: {}", all(interp, cores, chains)),
        )),
    }
}

fn all(interp: &Interp, cores: &[Core], chains: &[Chain]) -> String {
    chains.iter().map(|c| text(interp, cores, c)).collect::<Vec<_>>().join(", ")
}

/// True when a chain depends on a tensor, a node, an input, or a module scope of this name.
fn owns(g: &Graph, chain: &Chain, name: &str) -> bool {
    if let Some(v) = g.find(name) {
        return touches(g, chain, v);
    }
    let wanted: Vec<&str> = parts(name).collect();
    !wanted.is_empty()
        && g.nodes().any(|(id, n)| {
            chain.upstream.contains(id)
                && (n.name == name || parts(&n.name).collect::<Vec<_>>().windows(wanted.len()).any(|w| w == wanted))
        })
}

fn touches(g: &Graph, chain: &Chain, v: ValueId) -> bool {
    g.producer(v).is_some_and(|(n, _)| chain.upstream.contains(n))
        || g.consumers(v).iter().any(|&n| chain.upstream.contains(n))
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['/', '.']).filter(|p| !p.is_empty())
}
