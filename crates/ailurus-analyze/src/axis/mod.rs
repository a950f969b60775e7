//! What an axis means: a concatenation of row-major products of atoms.
//!
//! `[class | 12·12 patches]` is an [`Axis`] of two runs; a batch folded into heads, `B·H`, is one run of two factors; a
//! reshape re-cuts the factor list and never loses an origin. Numbers are compared only where positions already agree, so
//! a channel count that happens to equal the token count is never mistaken for it.

mod atoms;
mod reshape;
mod slice;
#[cfg(test)]
mod tests;

use crate::expr::Expr;
pub use atoms::Atoms;
pub use reshape::{Reshaped, Target};

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
    /// An atom with other elements in front of it and behind it.
    Padded {
        /// the atom
        of: AtomId,
        /// elements in front
        before: Expr,
    },
    /// The elements of an atom of rows or columns, rolled: element `i` is element `i + by` of the atom, around its end.
    Rolled {
        /// the atom
        of: AtomId,
        /// at least 1 and less than its size
        by: i64,
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

    /// Number of factors, nested ones included.
    pub fn weight(&self) -> usize {
        let of = |f: &Factor| match f {
            Factor::Atom(_) => 1,
            Factor::Cat(inner) => inner.weight(),
        };
        self.0.iter().map(|r| 1 + r.iter().map(of).sum::<usize>()).sum()
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
