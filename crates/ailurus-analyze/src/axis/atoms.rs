//! The table of atoms.

use super::{Atom, AtomId, Axis, Factor, Origin, Run};
use crate::expr::{Expr, Symbols};
use std::collections::HashMap;

/// The atoms of one analysis, with the symbols their sizes are made of.
#[derive(Clone, Debug, Default)]
pub struct Atoms {
    /// Symbols of the sizes.
    pub symbols: Symbols,
    atoms: Vec<Atom>,
    pub(super) splits: HashMap<(AtomId, Expr), (AtomId, AtomId)>,
    pub(super) slices: HashMap<(AtomId, Expr, Expr), AtomId>,
    pub(super) pads: HashMap<(AtomId, Expr, Expr), AtomId>,
    pub(super) rolls: HashMap<(AtomId, i64), AtomId>,
    pub(super) picked: Vec<(AtomId, i64)>,
}

impl Atoms {
    /// The atom.
    pub fn get(&self, a: AtomId) -> &Atom {
        &self.atoms[a.0 as usize]
    }

    /// New root atom. Size 1 has no atom: see [`Atoms::axis`].
    pub fn root(&mut self, label: &str, size: Expr) -> AtomId {
        self.push(label.to_owned(), size, Origin::Root)
    }

    /// New axis that starts here; an axis of size 1 carries no atom.
    pub fn axis(&mut self, label: &str, size: Expr) -> Axis {
        match size.constant() {
            Some(1) => Axis::one(),
            Some(0) => Axis(Vec::new()),
            _ => Axis::atom(self.root(label, size)),
        }
    }

    /// New axis that counts rows or columns of a map.
    pub fn spatial_axis(&mut self, label: &str, size: Expr) -> Axis {
        let axis = self.axis(label, size);
        axis.for_each_atom(&mut |a| self.atoms[a.0 as usize].spatial = true);
        axis
    }

    /// New axis that takes the place of another one: it counts image positions when that one did.
    pub fn axis_from(&mut self, from: &Axis, label: &str, size: Expr) -> Axis {
        if self.is_spatial(from) { self.spatial_axis(label, size) } else { self.axis(label, size) }
    }

    /// True when the axis counts image positions in any way.
    pub fn is_spatial(&self, axis: &Axis) -> bool {
        let mut found = false;
        axis.for_each_atom(&mut |a| found |= self.get(a).spatial);
        found
    }

    /// New atom holding the elements of `run` in another order.
    pub fn permuted(&mut self, label: &str, run: Run, size: Expr) -> AtomId {
        self.push(label.to_owned(), size, Origin::Permuted(run))
    }

    pub(super) fn push(&mut self, label: String, size: Expr, origin: Origin) -> AtomId {
        let spatial = match &origin {
            Origin::Root => false,
            Origin::Major(p)
            | Origin::Minor(p)
            | Origin::Slice { of: p, .. }
            | Origin::Padded { of: p, .. }
            | Origin::Rolled { of: p, .. } => self.get(*p).spatial,
            Origin::Permuted(run) => self.is_spatial(&Axis(vec![run.clone()])),
        };
        self.atoms.push(Atom { label, size, origin, spatial });
        AtomId(self.atoms.len() as u32 - 1)
    }

    /// Size of an axis.
    pub fn size(&self, axis: &Axis) -> Expr {
        axis.0.iter().fold(Expr::default(), |sum, run| sum + self.run_size(run))
    }

    /// Size of a product.
    pub fn run_size(&self, run: &[Factor]) -> Expr {
        run.iter().fold(Expr::from(1), |p, f| p * self.factor_size(f))
    }

    pub(super) fn factor_size(&self, f: &Factor) -> Expr {
        match f {
            Factor::Atom(a) => self.get(*a).size.clone(),
            Factor::Cat(axis) => self.size(axis),
        }
    }

    /// Known number of elements.
    pub fn known(&self, axis: &Axis) -> Option<i64> {
        self.symbols.known(&self.size(axis))
    }

    /// What an atom was split, sliced, padded or rolled out of.
    pub fn parent(&self, atom: AtomId) -> Option<AtomId> {
        match &self.get(atom).origin {
            Origin::Major(p)
            | Origin::Minor(p)
            | Origin::Slice { of: p, .. }
            | Origin::Padded { of: p, .. }
            | Origin::Rolled { of: p, .. } => Some(*p),
            Origin::Root | Origin::Permuted(_) => None,
        }
    }

    /// True when `atom` is `root` or was made out of it ([`Atoms::parent`]), at any depth.
    pub fn descends(&self, atom: AtomId, root: AtomId) -> bool {
        std::iter::successors(Some(atom), |&a| self.parent(a)).any(|a| a == root)
    }

    /// The atom that was rolled and padded into this one.
    pub fn laid_out(&self, atom: AtomId) -> AtomId {
        let mut at = atom;
        while let Origin::Padded { of, .. } | Origin::Rolled { of, .. } = self.get(at).origin {
            at = of;
        }
        at
    }

    /// The other half of what a half was split out of.
    pub fn other_half(&self, half: AtomId) -> Option<AtomId> {
        let whole = self.parent(half)?;
        self.halves(whole).find_map(
            |(major, minor)| {
                if half == major { Some(minor) } else { (half == minor).then_some(major) }
            },
        )
    }

    /// Halves of an atom, as it was split: major and minor.
    pub fn halves(&self, whole: AtomId) -> impl Iterator<Item = (AtomId, AtomId)> + '_ {
        self.splits.iter().filter(move |((a, _), _)| *a == whole).map(|(_, &pair)| pair)
    }

    /// An atom rolled by this much, if there is one.
    pub fn rolled_by(&self, of: AtomId, by: i64) -> Option<AtomId> {
        self.rolls.get(&(of, by)).copied()
    }

    /// An axis with other elements around it.
    pub fn padded(&mut self, axis: &Axis, before: Expr, behind: Expr) -> Axis {
        let size = self.size(axis) + before.clone() + behind;
        let [run] = &axis.0[..] else { return self.axis_from(axis, "padded", size) };
        let [Factor::Atom(of)] = run[..] else { return self.axis_from(axis, "padded", size) };
        let key = (of, before.clone(), size.clone());
        let id = match self.pads.get(&key) {
            Some(&id) => id,
            None => {
                let id = self.push("padded".to_owned(), size, Origin::Padded { of, before });
                self.pads.insert(key, id);
                id
            }
        };
        Axis::atom(id)
    }

    /// Slices of size 1 taken since the last call, as (atom, index): they leave no trace in the axes.
    pub fn take_picked(&mut self) -> Vec<(AtomId, i64)> {
        std::mem::take(&mut self.picked)
    }

    /// Human text: `[1 | 12·12]`.
    pub fn show(&self, axis: &Axis) -> String {
        let runs: Vec<String> = axis
            .0
            .iter()
            .map(|r| {
                if r.is_empty() {
                    return "1".to_owned();
                }
                let f: Vec<String> = r
                    .iter()
                    .map(|f| match f {
                        Factor::Atom(a) => self.symbols.show(&self.get(*a).size),
                        Factor::Cat(inner) => format!("[{}]", self.show(inner)),
                    })
                    .collect();
                f.join("·")
            })
            .collect();
        runs.join(" | ")
    }
}
