//! What an axis means: a concatenation of row-major products of atoms.
//!
//! `[class | 12·12 patches]` is an [`Axis`] of two runs; a batch folded into heads, `B·H`, is one run of two factors; a
//! reshape re-cuts the factor list and never loses an origin. Numbers are compared only where positions already agree, so
//! a channel count that happens to equal the token count is never mistaken for it.

use crate::expr::{Expr, Symbols};
use std::collections::{HashMap, VecDeque};

/// Identifies an atom of an [`Atoms`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AtomId(u32);

/// How an atom came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Axis of a graph input, a constant, or an operator output that starts something new.
    Root,
    /// Slow-varying half of a split atom.
    Major(AtomId),
    /// Fast-varying half of a split atom.
    Minor(AtomId),
    /// Contiguous part of an atom.
    Slice {
        /// the whole
        of: AtomId,
        /// first element
        start: Expr,
    },
    /// The same elements in another order, or a computed subset of them.
    Permuted(Run),
}

/// An indivisible stretch of an axis.
#[derive(Clone, Debug)]
pub struct Atom {
    /// For people.
    pub label: String,
    /// Number of elements.
    pub size: Expr,
    /// How it came to be.
    pub origin: Origin,
    /// Counts rows or columns of an image, or pieces of them.
    pub spatial: bool,
}

/// A factor of a product.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Factor {
    /// An atom.
    Atom(AtomId),
    /// A concatenation used as a factor (the whole sequence in `B·T`).
    Cat(Axis),
}

/// A row-major product of factors, slowest first; empty for size 1.
pub type Run = Vec<Factor>;

/// A concatenation of runs. One empty run is an axis of size 1, no run an axis of size 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Axis(pub Vec<Run>);

impl Axis {
    /// Axis of size 1.
    pub fn one() -> Self {
        Self(vec![Vec::new()])
    }

    /// Axis that is one atom.
    pub fn atom(a: AtomId) -> Self {
        Self(vec![vec![Factor::Atom(a)]])
    }

    /// True for the axis of size 1 that carries nothing.
    pub fn is_one(&self) -> bool {
        self.0.len() == 1 && self.0[0].is_empty()
    }

    /// Factors for a reshape: a concatenation stays whole.
    fn factors(&self) -> Vec<Factor> {
        if self.0.len() == 1 { self.0[0].clone() } else { vec![Factor::Cat(self.clone())] }
    }

    /// Axis of a product.
    pub fn product(run: Run) -> Self {
        match run.as_slice() {
            [Factor::Cat(inner)] => inner.clone(),
            _ => Self(vec![run]),
        }
    }

    /// Calls `f` on every atom, depth first.
    pub fn for_each_atom(&self, f: &mut dyn FnMut(AtomId)) {
        for factor in self.0.iter().flatten() {
            match factor {
                Factor::Atom(a) => f(*a),
                Factor::Cat(inner) => inner.for_each_atom(f),
            }
        }
    }

    /// True when the atom occurs anywhere in the axis.
    pub fn mentions(&self, atom: AtomId) -> bool {
        let mut found = false;
        self.for_each_atom(&mut |a| found |= a == atom);
        found
    }

    /// True when `run` occurs as consecutive factors.
    pub fn contains_run(&self, run: &[Factor]) -> bool {
        self.0.iter().any(|r| {
            r.windows(run.len().max(1)).any(|w| w == run)
                || r.iter().any(|f| matches!(f, Factor::Cat(inner) if inner.contains_run(run)))
        })
    }

    /// The axis with every consecutive occurrence of `run` replaced by `with`.
    pub fn replace_run(&self, run: &[Factor], with: &[Factor]) -> Self {
        Self(
            self.0
                .iter()
                .map(|r| {
                    let mut out = Vec::with_capacity(r.len());
                    let mut i = 0;
                    while i < r.len() {
                        if !run.is_empty() && r[i..].starts_with(run) {
                            out.extend_from_slice(with);
                            i += run.len();
                            continue;
                        }
                        out.push(match &r[i] {
                            Factor::Cat(inner) => Factor::Cat(inner.replace_run(run, with)),
                            atom => atom.clone(),
                        });
                        i += 1;
                    }
                    out
                })
                .collect(),
        )
    }
}

/// A wanted dimension of a reshape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// this size
    Size(Expr),
    /// `-1`, or a size nobody could work out
    Infer,
}

/// Result of a reshape.
pub struct Reshaped {
    /// One per target.
    pub axes: Vec<Axis>,
    /// Factors whose row-major order the new shape cuts through: nothing is known about where their elements went.
    pub scrambled: Vec<Factor>,
}

/// The atoms of one analysis, with the symbols their sizes are made of.
#[derive(Clone, Debug, Default)]
pub struct Atoms {
    /// Symbols of the sizes.
    pub symbols: Symbols,
    atoms: Vec<Atom>,
    splits: HashMap<(AtomId, Expr), (AtomId, AtomId)>,
    slices: HashMap<(AtomId, Expr, Expr), AtomId>,
    picked: Vec<(AtomId, i64)>,
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

    fn push(&mut self, label: String, size: Expr, origin: Origin) -> AtomId {
        let spatial = match &origin {
            Origin::Root => false,
            Origin::Major(p) | Origin::Minor(p) | Origin::Slice { of: p, .. } => self.get(*p).spatial,
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

    fn factor_size(&self, f: &Factor) -> Expr {
        match f {
            Factor::Atom(a) => self.get(*a).size.clone(),
            Factor::Cat(axis) => self.size(axis),
        }
    }

    /// Known number of elements.
    pub fn known(&self, axis: &Axis) -> Option<i64> {
        self.symbols.known(&self.size(axis))
    }

    /// True when `atom` is `root` or was split or sliced out of it, at any depth.
    pub fn descends(&self, mut atom: AtomId, root: AtomId) -> bool {
        loop {
            if atom == root {
                return true;
            }
            match &self.get(atom).origin {
                Origin::Major(p) | Origin::Minor(p) | Origin::Slice { of: p, .. } => atom = *p,
                Origin::Root | Origin::Permuted(_) => return false,
            }
        }
    }

    /// Slices of size 1 taken since the last call, as (atom, index): they leave no trace in the axes.
    pub fn take_picked(&mut self) -> Vec<(AtomId, i64)> {
        std::mem::take(&mut self.picked)
    }

    /// Re-cuts the row-major element order of `axes` into the target dimensions.
    pub fn reshape(&mut self, axes: &[Axis], targets: &[Target]) -> Reshaped {
        let mut left: VecDeque<Factor> = axes.iter().flat_map(Axis::factors).collect();
        let mut out: Vec<Option<Axis>> = vec![None; targets.len()];
        let (mut from, mut to) = (0, targets.len());
        while from < to {
            let Target::Size(size) = &targets[from] else { break };
            let Some(run) = self.take(&mut left, size, true) else { break };
            out[from] = Some(self.tidy_run(run));
            from += 1;
        }
        while to > from {
            let Target::Size(size) = &targets[to - 1] else { break };
            let Some(run) = self.take(&mut left, size, false) else { break };
            out[to - 1] = Some(self.tidy_run(run));
            to -= 1;
        }
        let mut scrambled = Vec::new();
        let rest: Run = left.into();
        let mixed = Axis(vec![rest.clone()]);
        match to - from {
            0 => scrambled = rest,
            1 => {
                let size = self.run_size(&rest);
                match &targets[from] {
                    Target::Size(want) if !self.symbols.equal(&size, want) => {
                        out[from] = Some(self.axis_from(&mixed, "reshaped", want.clone()));
                        scrambled = rest;
                    }
                    _ => out[from] = Some(self.tidy_run(rest)),
                }
            }
            _ => {
                let total = self.run_size(&rest);
                let known = targets[from..to].iter().fold(Expr::from(1), |p, t| match t {
                    Target::Size(s) => p * s.clone(),
                    Target::Infer => p,
                });
                for i in from..to {
                    let size = match &targets[i] {
                        Target::Size(s) => s.clone(),
                        Target::Infer => match self.symbols.divide(&total, &known) {
                            Some(q) => q,
                            None => Expr::from(self.symbols.fresh("inferred", None)),
                        },
                    };
                    out[i] = Some(self.axis_from(&mixed, "reshaped", size));
                }
                scrambled = rest;
            }
        }
        Reshaped { axes: out.into_iter().map(|a| a.unwrap_or_else(Axis::one)).collect(), scrambled }
    }

    /// Takes factors worth exactly `size` from one end, splitting an atom where needed; `None` leaves the list untouched.
    fn take(&mut self, list: &mut VecDeque<Factor>, size: &Expr, front: bool) -> Option<Run> {
        let saved = list.clone();
        let mut need = size.clone();
        let mut run: Run = Vec::new();
        let ok = loop {
            if self.symbols.equal(&need, &Expr::from(1)) {
                break true;
            }
            let Some(f) = (if front { list.pop_front() } else { list.pop_back() }) else { break false };
            let have = self.factor_size(&f);
            if self.symbols.equal(&have, &need) {
                push_at(&mut run, f, front);
                break true;
            }
            if let Some(q) = self.symbols.divide(&need, &have) {
                push_at(&mut run, f, front);
                need = q;
                continue;
            }
            let (Factor::Atom(a), Some(other)) = (&f, self.symbols.divide(&have, &need)) else { break false };
            let (taken, back) = if front {
                let (major, minor) = self.split(*a, other);
                (major, minor)
            } else {
                let (major, minor) = self.split(*a, need.clone());
                (minor, major)
            };
            push_at(&mut run, Factor::Atom(taken), front);
            if front { list.push_front(Factor::Atom(back)) } else { list.push_back(Factor::Atom(back)) }
            break true;
        };
        if !ok {
            *list = saved;
        }
        ok.then_some(run)
    }

    /// Splits an atom into `size / minor` and `minor`; the same split gives the same atoms.
    fn split(&mut self, a: AtomId, minor: Expr) -> (AtomId, AtomId) {
        if let Some(&pair) = self.splits.get(&(a, minor.clone())) {
            return pair;
        }
        let atom = self.get(a).clone();
        let major = self.symbols.divide(&atom.size, &minor).unwrap_or_else(|| Expr::from(1));
        let hi = self.push(format!("{}/", atom.label), major, Origin::Major(a));
        let lo = self.push(format!("{}%", atom.label), minor.clone(), Origin::Minor(a));
        self.splits.insert((a, minor), (hi, lo));
        (hi, lo)
    }

    /// Puts neighbouring halves of one split back together.
    fn tidy_run(&self, run: Run) -> Axis {
        let mut out: Run = Vec::with_capacity(run.len());
        for f in run {
            out.push(f);
            while let [.., Factor::Atom(a), Factor::Atom(b)] = out[..] {
                match (&self.get(a).origin, &self.get(b).origin) {
                    (Origin::Major(p), Origin::Minor(q)) if p == q && self.is_pair(*p, a, b) => {
                        let whole = *p;
                        out.truncate(out.len() - 2);
                        out.push(Factor::Atom(whole));
                    }
                    _ => break,
                }
            }
        }
        Axis::product(out)
    }

    fn is_pair(&self, parent: AtomId, major: AtomId, minor: AtomId) -> bool {
        self.splits.get(&(parent, self.get(minor).size.clone())) == Some(&(major, minor))
    }

    /// Elements `start..end` of an axis; `None` when the bounds cannot be compared with the parts.
    /// The flag tells whether every run was kept or dropped whole.
    pub fn slice(&mut self, axis: &Axis, start: &Expr, end: &Expr) -> Option<(Axis, bool)> {
        let mut parts: Vec<Run> = Vec::new();
        let mut clean = true;
        let mut at = Expr::default();
        for run in &axis.0 {
            let size = self.run_size(run);
            let stop = at.clone() + size.clone();
            let s = &self.symbols;
            if s.at_least(&at, start) && s.at_least(end, &stop) {
                parts.push(run.clone());
            } else if s.at_least(&at, end) || s.at_least(start, &stop) {
                // outside
            } else if let Some(k) = s.known(end).zip(s.known(start)).map(|(e, b)| e - b).filter(|&k| k <= 0) {
                debug_assert!(k <= 0);
            } else {
                let from = if s.at_least(&at, start) { Expr::default() } else { start.clone() - at.clone() };
                let to = if s.at_least(end, &stop) { size.clone() } else { end.clone() - at.clone() };
                if !(s.at_least(&size, &to) && s.at_least(&to, &from)) {
                    return None;
                }
                clean = false;
                parts.push(self.slice_run(run, from, to));
            }
            at = stop;
        }
        Some((self.concat_runs(parts), clean))
    }

    fn slice_run(&mut self, run: &Run, from: Expr, to: Expr) -> Run {
        let size = to.clone() - from.clone();
        if let [Factor::Atom(a)] = run[..] {
            if size.is_one() {
                if let Some(i) = from.constant() {
                    self.picked.push((a, i));
                }
                return Vec::new();
            }
            let (of, start) = match &self.get(a).origin {
                Origin::Slice { of, start } => (*of, start.clone() + from),
                _ => (a, from),
            };
            let key = (of, start.clone(), size.clone());
            let id = match self.slices.get(&key) {
                Some(&id) => id,
                None => {
                    let label = format!("{}[{}..]", self.get(of).label, self.symbols.show(&start));
                    let id = self.push(label, size, Origin::Slice { of, start });
                    self.slices.insert(key, id);
                    id
                }
            };
            return vec![Factor::Atom(id)];
        }
        if size.is_one() {
            return Vec::new();
        }
        vec![Factor::Atom(self.permuted("part", run.clone(), size))]
    }

    /// Concatenates axes, putting neighbouring slices of one atom back together.
    pub fn concat(&self, axes: &[Axis]) -> Axis {
        self.concat_runs(axes.iter().flat_map(|a| a.0.iter().cloned()).collect())
    }

    fn concat_runs(&self, parts: Vec<Run>) -> Axis {
        let mut out: Vec<Run> = Vec::with_capacity(parts.len());
        for run in parts {
            out.push(run);
            if let [.., first, second] = &out[..]
                && let ([Factor::Atom(a)], [Factor::Atom(b)]) = (&first[..], &second[..])
                && let (Origin::Slice { of, start }, Origin::Slice { of: p, start: next }) =
                    (&self.get(*a).origin, &self.get(*b).origin)
                && of == p
                && *next == start.clone() + self.get(*a).size.clone()
            {
                let size = self.get(*a).size.clone() + self.get(*b).size.clone();
                let whole = if *start == Expr::default() && self.symbols.equal(&size, &self.get(*of).size) {
                    Some(*of)
                } else {
                    self.slices.get(&(*of, start.clone(), size)).copied()
                };
                if let Some(w) = whole {
                    out.truncate(out.len() - 2);
                    out.push(vec![Factor::Atom(w)]);
                }
            }
        }
        match out.as_slice() {
            [run] => Axis::product(run.clone()),
            _ => Axis(out),
        }
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

fn push_at(run: &mut Run, f: Factor, back: bool) {
    if back { run.push(f) } else { run.insert(0, f) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(v: &[i64]) -> Vec<Target> {
        v.iter().map(|&d| if d < 0 { Target::Infer } else { Target::Size(Expr::from(d)) }).collect()
    }

    fn sequence(a: &mut Atoms) -> (Axis, Axis, Axis, Run) {
        let b = Expr::from(a.symbols.named("b"));
        let batch = a.axis("batch", b);
        let (gh, gw) = (a.root("gh", Expr::from(12)), a.root("gw", Expr::from(12)));
        let patches = vec![Factor::Atom(gh), Factor::Atom(gw)];
        let tokens = a.concat(&[Axis::one(), Axis(vec![patches.clone()])]);
        let channels = a.axis("c", Expr::from(144));
        (batch, tokens, channels, patches)
    }

    #[test]
    fn heads_split_and_join_without_touching_tokens() {
        let mut a = Atoms::default();
        let (batch, tokens, channels, _) = sequence(&mut a);
        let r = a.reshape(&[batch.clone(), tokens.clone(), channels.clone()], &sizes(&[-1, 145, 3, 3, 16]));
        assert!(r.scrambled.is_empty());
        assert_eq!((&r.axes[0], &r.axes[1]), (&batch, &tokens));
        let back = a.reshape(&r.axes, &sizes(&[-1, 145, 144]));
        assert_eq!(back.axes, vec![batch, tokens, channels]);
    }

    #[test]
    fn flattened_stream_comes_back() {
        let mut a = Atoms::default();
        let (batch, tokens, channels, _) = sequence(&mut a);
        let flat = a.reshape(&[batch.clone(), tokens.clone(), channels.clone()], &sizes(&[-1, 144]));
        assert_eq!(a.show(&flat.axes[0]), "b·[1 | 12·12]");
        let back = a.reshape(&flat.axes, &sizes(&[-1, 145, 144]));
        assert_eq!(back.axes, vec![batch, tokens, channels]);
    }

    #[test]
    fn prefix_comes_off_and_goes_back_on() {
        let mut a = Atoms::default();
        let (_, tokens, _, patches) = sequence(&mut a);
        let (p, clean) = a.slice(&tokens, &Expr::from(1), &Expr::from(145)).unwrap();
        assert!(clean);
        assert_eq!(p, Axis(vec![patches.clone()]));
        let (cls, _) = a.slice(&tokens, &Expr::from(0), &Expr::from(1)).unwrap();
        assert_eq!(a.concat(&[cls, p.clone()]), tokens);
        let grid = a.reshape(&[p], &sizes(&[12, 12]));
        assert_eq!(grid.axes[0], Axis(vec![vec![patches[0].clone()]]));
        assert!(!a.slice(&tokens, &Expr::from(3), &Expr::from(9)).unwrap().1);
    }

    #[test]
    fn windows_split_the_grid_atoms() {
        let mut a = Atoms::default();
        let (_, _, channels, patches) = sequence(&mut a);
        let grid = Axis(vec![patches]);
        let r = a.reshape(&[grid.clone(), channels], &sizes(&[3, 4, 3, 4, 144]));
        assert!(r.scrambled.is_empty());
        let again = a.reshape(&r.axes, &sizes(&[144, 144]));
        assert_eq!(again.axes[0], grid);
    }

    #[test]
    fn cutting_through_atoms_is_reported() {
        let mut a = Atoms::default();
        let (x, y) = (a.axis("x", Expr::from(6)), a.axis("y", Expr::from(4)));
        let r = a.reshape(&[x, y], &sizes(&[8, 3]));
        assert!(!r.scrambled.is_empty());
    }
}
