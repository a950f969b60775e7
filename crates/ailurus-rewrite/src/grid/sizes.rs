//! How long axes are on the smaller grid.

use super::{Meanings, Region, atoms_of};
use ailurus_analyze::{
    Code, Refusal,
    axis::{AtomId, Atoms, Axis, Factor, Origin, Run},
    expr::Expr,
};
use std::collections::BTreeSet;

/// Why an axis has no length on the smaller grid.
#[derive(Clone, Debug)]
pub enum Fault {
    /// So many rows or columns cannot be cut into windows of this size.
    Uneven {
        /// rows or columns
        what: &'static str,
        /// how many of them
        have: i64,
        /// of a window
        window: i64,
        /// the next numbers that can
        near: Vec<i64>,
    },
    /// It is made of rows and columns in a way that is not followed.
    Unknown(String),
}

impl Fault {
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Uneven { what, have, window, near } => {
                let near: Vec<String> = near.iter().map(i64::to_string).collect();
                Refusal::new(
                    Code::AIL0213,
                    format!(
                        "{have} {what} of clusters cannot be cut into windows of {window}, and nothing pads them here"
                    ),
                    format!("use a --grid with {} {what}", near.join(" or ")),
                )
            }
            Self::Unknown(axis) => Refusal::new(
                Code::AIL0207,
                format!("an axis of [{axis}] is made of rows and columns in a way that is not followed"),
                "choose a later --layer, so that this operator lies before the cut",
            ),
        }
    }
}

/// One direction of the grid.
#[derive(Clone, Copy)]
struct Side {
    atom: AtomId,
    what: &'static str,
    from: i64,
    to: i64,
}

/// Lengths on the smaller grid.
pub struct Sizes<'a, 'm> {
    meanings: &'a Meanings<'m>,
    sides: [Side; 2],
    /// What attention runs over: the half of a cut that is the window. In order, so that the same one is found every time.
    inside: BTreeSet<AtomId>,
}

/// Which part of a cut an atom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Not cut.
    Whole,
    /// Counts windows.
    Windows,
    /// Counts positions inside a window.
    Inside,
}

impl<'a, 'm> Sizes<'a, 'm> {
    pub fn new(region: &Region, meanings: &'a Meanings<'m>, grid: (usize, usize)) -> Self {
        let atoms = &meanings.interp.atoms;
        let (rows, columns) = region.a.trunk.tokens.grid;
        let side = |atom, what, to: usize| Side {
            atom,
            what,
            from: atoms.symbols.known(&atoms.get(atom).size).unwrap_or(1),
            to: to as i64,
        };
        let mut inside = BTreeSet::new();
        for core in region.a.trunk.cores_behind(region.layer) {
            inside.extend(atoms_of(&core.tokens).unwrap_or_default());
        }
        Self { meanings, sides: [side(rows, "rows", grid.0), side(columns, "columns", grid.1)], inside }
    }

    fn atoms(&self) -> &'a Atoms {
        &self.meanings.interp.atoms
    }

    /// Length of an axis.
    pub fn of(&self, axis: &Axis) -> Result<Expr, Fault> {
        let mut sum = Expr::default();
        for run in &self.meanings.resolved(axis).0 {
            sum = sum + self.run(run)?;
        }
        Ok(sum)
    }

    fn run(&self, run: &Run) -> Result<Expr, Fault> {
        let mut product = Expr::from(1);
        for factor in run {
            product = product
                * match factor {
                    Factor::Atom(a) => self.atom(*a)?,
                    Factor::Cat(inner) => self.of(inner)?,
                };
        }
        Ok(product)
    }

    /// The direction an atom lies in.
    fn side(&self, a: AtomId) -> Option<Side> {
        self.sides.into_iter().find(|s| self.atoms().descends(a, s.atom))
    }

    /// 0 for rows, 1 for columns.
    pub fn direction(&self, a: AtomId) -> Option<usize> {
        self.sides.iter().position(|s| self.atoms().descends(a, s.atom))
    }

    /// Length before.
    pub fn before(&self, a: AtomId) -> Option<i64> {
        self.atoms().symbols.known(&self.atoms().get(a).size)
    }

    /// Length of an atom.
    pub fn atom(&self, a: AtomId) -> Result<Expr, Fault> {
        match self.side(a) {
            None => Ok(self.atoms().get(a).size.clone()),
            Some(side) => Ok(Expr::from(self.number(a, side)?)),
        }
    }

    fn unknown(&self, a: AtomId) -> Fault {
        Fault::Unknown(self.atoms().get(a).label.clone())
    }

    fn number(&self, a: AtomId, side: Side) -> Result<i64, Fault> {
        if a == side.atom {
            return Ok(side.to);
        }
        match self.atoms().get(a).origin.clone() {
            Origin::Rolled { of, .. } => self.number(of, side),
            Origin::Padded { of, before } => {
                let window = self.window_of(a, side).ok_or_else(|| self.unknown(a))?;
                let inner = self.number(of, side)?;
                // Padding in front would move the windows.
                if before != Expr::default() {
                    return Err(self.unknown(a));
                }
                Ok(inner.saturating_add(window - 1) / window * window)
            }
            Origin::Major(whole) | Origin::Minor(whole) => match self.part(a) {
                Part::Inside => Ok(self.window(a, side)),
                Part::Windows => {
                    let other = self.atoms().other_half(a).ok_or_else(|| self.unknown(a))?;
                    let (have, window) = (self.number(whole, side)?, self.window(other, side));
                    if have % window != 0 {
                        return Err(self.uneven(other, side, have, window));
                    }
                    Ok(have / window)
                }
                Part::Whole => Err(self.unknown(a)),
            },
            Origin::Slice { of, .. } => {
                let (start, length) = self.slice(a).ok_or_else(|| self.unknown(a))?;
                let whole = self.number(of, side)?;
                // The two pieces of a roll.
                let by = self.roll(of, if start == 0 { length } else { start }, side).ok_or_else(|| self.unknown(a))?;
                Ok(if start == 0 { by } else { whole - by })
            }
            Origin::Root | Origin::Permuted(_) => Err(self.unknown(a)),
        }
    }

    fn uneven(&self, window: AtomId, side: Side, have: i64, now: i64) -> Fault {
        let size = self.before(window).unwrap_or(1);
        let fits = |n: i64| n > 0 && n <= side.from && n % scaled(size, side.from, n) == 0;
        let below = (1..have).rev().find(|&n| fits(n));
        let above = (have + 1..=side.from).find(|&n| fits(n));
        Fault::Uneven { what: side.what, have, window: now, near: [below, above].into_iter().flatten().collect() }
    }

    /// Start and length of a slice, before.
    fn slice(&self, a: AtomId) -> Option<(i64, i64)> {
        let Origin::Slice { start, .. } = &self.atoms().get(a).origin else { return None };
        Some((self.atoms().symbols.known(start)?, self.before(a)?))
    }

    /// Positions inside a window.
    fn window(&self, inside: AtomId, side: Side) -> i64 {
        scaled(self.before(inside).unwrap_or(1), side.from, side.to)
    }

    /// Positions inside the windows that an atom is cut into, rolled or not.
    fn window_of(&self, whole: AtomId, side: Side) -> Option<i64> {
        Some(self.window(self.inside_of(whole)?, side))
    }

    fn inside_of(&self, whole: AtomId) -> Option<AtomId> {
        let atoms = self.atoms();
        self.inside.iter().copied().find(|&i| {
            let cut = atoms.parent(i).filter(|_| self.part(i) == Part::Inside);
            cut.is_some_and(|cut| std::iter::successors(Some(cut), |&c| self.laid_out_from(c)).any(|c| c == whole))
        })
    }

    /// What was rolled or padded into this.
    fn laid_out_from(&self, a: AtomId) -> Option<AtomId> {
        match self.atoms().get(a).origin {
            Origin::Rolled { of, .. } | Origin::Padded { of, .. } => Some(of),
            _ => None,
        }
    }

    /// Which part of a cut into windows an atom is.
    pub fn part(&self, a: AtomId) -> Part {
        // The grid itself may be half of an earlier one.
        let is_grid = self.sides.iter().any(|s| s.atom == a);
        match self.atoms().other_half(a) {
            Some(other) if !is_grid => match (self.inside.contains(&a), self.inside.contains(&other)) {
                (true, _) => Part::Inside,
                (false, true) => Part::Windows,
                (false, false) => Part::Whole,
            },
            _ => Part::Whole,
        }
    }

    /// By how much an atom is rolled, when it was rolled by this much before: half a window stays half a window.
    fn roll(&self, of: AtomId, by: i64, side: Side) -> Option<i64> {
        if let Origin::Rolled { of: base, by: first } = self.atoms().get(of).origin {
            // Back again.
            let whole = self.before(base)?;
            let length = self.number(base, side).ok()?;
            return (first + by == whole).then(|| Some(length - self.roll(base, first, side)?)).flatten();
        }
        let rolled = self.atoms().rolled_by(of, by)?;
        let inside = self.inside_of(rolled)?;
        Some(rolled_by(by, self.before(inside)?, self.window(inside, side)))
    }

    /// How far an atom is rolled that is cut into windows: before and after.
    pub fn shift(&self, half: AtomId) -> Option<(i64, i64)> {
        let side = self.side(half)?;
        let inside = if self.part(half) == Part::Inside { half } else { self.atoms().other_half(half)? };
        let cut = self.atoms().parent(half)?;
        let by = std::iter::successors(Some(cut), |&c| self.laid_out_from(c))
            .find_map(|c| if let Origin::Rolled { by, .. } = self.atoms().get(c).origin { Some(by) } else { None });
        let rolled = |by| Some((by, rolled_by(by, self.before(inside)?, self.window(inside, side))));
        by.map_or(Some((0, 0)), rolled)
    }
}

/// A window scaled with the grid, at least 1.
fn scaled(window: i64, from: i64, to: i64) -> i64 {
    rounded(window, to, from).clamp(1, to.max(1))
}

/// A roll scaled with its window; half a window is half a window again.
fn rolled_by(by: i64, window: i64, now: i64) -> i64 {
    if by == window / 2 { now / 2 } else { rounded(by, now, window) }
}

/// `n * to / from`, rounded to the nearest; halves up.
fn rounded(n: i64, to: i64, from: i64) -> i64 {
    let from = i128::from(from.max(1));
    let quotient = (2 * i128::from(n) * i128::from(to) + from) / (2 * from);
    i64::try_from(quotient).unwrap_or(i64::MAX)
}
