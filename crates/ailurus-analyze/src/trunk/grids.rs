//! Which grid an attention runs over, whether it sees all of it or a window.

use crate::{
    axis::{AtomId, Axis, Factor},
    cores::{Core, Fault},
    interp::Interp,
};

/// Atoms of rows and columns that an attention's positions were taken from, before padding, rolling and cutting into windows;
/// `None` where they are not those of one map, or where other tokens stand among them.
pub fn of(interp: &Interp, core: &Core) -> Option<(AtomId, AtomId)> {
    if !matches!(core.fault(), None | Some(Fault::Windows)) {
        return None;
    }
    let atoms = &interp.atoms;
    let [run] = &core.tokens.0[..] else { return None };
    let [Factor::Atom(a), Factor::Atom(b)] = run[..] else { return None };
    let mut around: Vec<AtomId> = Vec::new();
    for axis in interp.get(core.query)?.axes() {
        axis.for_each_atom(&mut |x| around.extend(atoms.get(x).spatial.then_some(x)));
    }
    let (mut rows, mut columns) = (a, b);
    for (inside, whole) in [(a, &mut rows), (b, &mut columns)] {
        // A window: the other half counts windows.
        if let Some(cut) = atoms.parent(inside)
            && let Some(other) = atoms.other_half(inside)
            && around.contains(&other)
        {
            around.retain(|&x| x != other);
            *whole = cut;
        }
        *whole = atoms.laid_out(*whole);
    }
    let fine = around.iter().all(|x| [a, b].contains(x));
    (fine && rows != columns && atoms.get(rows).spatial && atoms.get(columns).spatial).then_some((rows, columns))
}

/// Attentions over one grid of which some run inside windows: members of a chain.
pub fn windowed(interp: &Interp, cores: &[Core]) -> Vec<Vec<usize>> {
    let mut groups: Vec<((AtomId, AtomId), Vec<usize>)> = Vec::new();
    for (i, core) in cores.iter().enumerate() {
        let Some(grid) = of(interp, core) else { continue };
        match groups.iter_mut().find(|(g, _)| *g == grid) {
            Some((_, members)) => members.push(i),
            None => groups.push((grid, vec![i])),
        }
    }
    groups.retain(|(_, members)| members.iter().any(|&i| cores[i].windowed));
    groups.into_iter().map(|(_, members)| members).collect()
}

/// The sequence of all positions of the grid that an attention inside windows runs over.
pub fn sequence(interp: &Interp, core: &Core) -> Option<Axis> {
    let (rows, columns) = of(interp, core)?;
    Some(Axis(vec![vec![Factor::Atom(rows), Factor::Atom(columns)]]))
}
