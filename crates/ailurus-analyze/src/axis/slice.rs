//! Taking parts of an axis, and putting parts together.

use super::{AtomId, Atoms, Axis, Factor, Origin, Run};
use crate::expr::Expr;

impl Atoms {
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
            } else if let Some(k) =
                s.known(end).zip(s.known(start)).map(|(e, b)| e.saturating_sub(b)).filter(|&k| k <= 0)
            {
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
                // What was padded, without its padding.
                Origin::Padded { of, before } if *before == from && self.symbols.equal(&size, &self.get(*of).size) => {
                    return vec![Factor::Atom(*of)];
                }
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

    /// Concatenates axes, putting neighbouring slices of one atom back together. Rows or columns whose first ones follow
    /// the others are rolled.
    pub fn concat(&mut self, axes: &[Axis]) -> Axis {
        let joined = self.concat_runs(axes.iter().flat_map(|a| a.0.iter().cloned()).collect());
        self.rolled(&joined).unwrap_or(joined)
    }

    fn rolled(&mut self, axis: &Axis) -> Option<Axis> {
        let [front, back] = &axis.0[..] else { return None };
        let ([Factor::Atom(a)], [Factor::Atom(b)]) = (&front[..], &back[..]) else { return None };
        let slice = |x: AtomId| match &self.get(x).origin {
            Origin::Slice { of, start } => {
                Some((*of, self.symbols.known(start)?, self.symbols.known(&self.get(x).size)?))
            }
            _ => None,
        };
        let ((of, start, length), (other, zero, rest)) = (slice(*a)?, slice(*b)?);
        let whole = self.symbols.known(&self.get(of).size)?;
        if of != other || zero != 0 || start != rest || start + length != whole || !self.get(of).spatial {
            return None;
        }
        // Rolling twice is rolling once, by both.
        let (base, by) = match self.get(of).origin {
            Origin::Rolled { of, by } => (of, (by + start) % whole),
            _ => (of, start),
        };
        if by == 0 {
            return Some(Axis::atom(base));
        }
        let id = match self.rolls.get(&(base, by)) {
            Some(&id) => id,
            None => {
                let label = format!("{} rolled by {by}", self.get(base).label);
                let id = self.push(label, self.get(base).size.clone(), Origin::Rolled { of: base, by });
                self.rolls.insert((base, by), id);
                id
            }
        };
        Some(Axis::atom(id))
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
}
