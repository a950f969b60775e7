//! Re-cutting the row-major order of elements into other axes.

use super::{AtomId, Atoms, Axis, Factor, Origin, Run};
use crate::expr::Expr;
use std::collections::VecDeque;

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

impl Atoms {
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
                    // All other dimensions are accounted for, so this one takes the rest; it can only differ where the
                    // reshape fails. (A constant for a size that the graph leaves open.)
                    Target::Size(want)
                        if !self.symbols.equal(&size, want)
                            && (self.symbols.known(&size).is_some() || want.constant().is_none()) =>
                    {
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
            if front {
                list.push_front(Factor::Atom(back))
            } else {
                list.push_back(Factor::Atom(back))
            }
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
}

fn push_at(run: &mut Run, f: Factor, back: bool) {
    if back { run.push(f) } else { run.insert(0, f) }
}
