//! Symbolic sizes: integer polynomials over named, positive variables.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

/// A variable of a [`Symbols`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(u32);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Definition {
    Free,
    FloorDiv(Expr, i64),
}

#[derive(Clone, Debug)]
struct VarInfo {
    name: String,
    known: Option<i64>,
    definition: Definition,
}

/// The variables of one analysis. A variable may have a known value (a static size whose *origin* matters), or be free
/// (a dynamic dimension), or stand for a floor division that no polynomial expresses.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    vars: Vec<VarInfo>,
    by_name: HashMap<String, Var>,
    divisions: HashMap<(Expr, i64), Var>,
    batches: Vec<String>,
}

impl Symbols {
    /// The free variable of this name (a symbolic input dimension).
    pub fn named(&mut self, name: &str) -> Var {
        if let Some(&v) = self.by_name.get(name) {
            return v;
        }
        let v = self.push(name.to_owned(), None, Definition::Free);
        self.by_name.insert(name.to_owned(), v);
        v
    }

    /// Says that this name counts images.
    pub fn mark_batch(&mut self, name: &str) {
        self.batches.push(name.to_owned());
    }

    /// Value assumed for a free dimension when operations are counted: one image, 512 pixels a side.
    pub fn assumed(&self, name: &str) -> Option<i64> {
        Some(if self.batches.iter().any(|b| b == name) { 1 } else { 512 })
    }

    /// A new variable; `known` gives its value where it is static.
    pub fn fresh(&mut self, hint: &str, known: Option<i64>) -> Var {
        self.push(hint.to_owned(), known, Definition::Free)
    }

    fn push(&mut self, name: String, known: Option<i64>, definition: Definition) -> Var {
        self.vars.push(VarInfo { name, known, definition });
        Var(self.vars.len() as u32 - 1)
    }

    /// Floor of `e / d` for positive `d`, simplified as far as polynomials go.
    pub fn floor_div(&mut self, e: &Expr, d: i64) -> Expr {
        if d <= 0 {
            return Expr::from(self.fresh("undefined", None));
        }
        let mut quotient = Expr::default();
        let mut rest = Expr::default();
        for (m, &c) in &e.0 {
            quotient.add_term(m.clone(), c.div_euclid(d));
            rest.add_term(m.clone(), c.rem_euclid(d));
        }
        if let Some(c) = rest.constant() {
            return quotient + Expr::from(c.div_euclid(d));
        }
        // floor((r + c) / d) with 0 <= c < d keeps its constant: it is part of the definition.
        let key = (rest.clone(), d);
        let v = match self.divisions.get(&key) {
            Some(&v) => v,
            None => {
                let known = self.known(&rest).map(|r| r.div_euclid(d));
                let name = format!("({})//{d}", self.show(&rest));
                let v = self.push(name, known, Definition::FloorDiv(rest, d));
                self.divisions.insert(key, v);
                v
            }
        };
        quotient + Expr::from(v)
    }

    /// The number, when every variable is known.
    pub fn known(&self, e: &Expr) -> Option<i64> {
        self.eval(e, &|_| None)
    }

    /// The number under an assignment of the free variables, by name.
    pub fn eval(&self, e: &Expr, assign: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        let mut sum = 0i64;
        for (m, &c) in &e.0 {
            let mut term = c;
            for &v in m {
                term = term.checked_mul(self.eval_var(v, assign)?)?;
            }
            sum = sum.checked_add(term)?;
        }
        Some(sum)
    }

    fn eval_var(&self, v: Var, assign: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        let info = &self.vars[v.0 as usize];
        if let Some(k) = info.known {
            return Some(k);
        }
        match &info.definition {
            Definition::Free => assign(&info.name),
            Definition::FloorDiv(e, d) => Some(self.eval(e, assign)?.div_euclid(*d)),
        }
    }

    /// Equal as polynomials, or as known numbers.
    pub fn equal(&self, a: &Expr, b: &Expr) -> bool {
        a == b || matches!((self.known(a), self.known(b)), (Some(x), Some(y)) if x == y)
    }

    /// `a >= b` for every positive assignment, as far as that can be shown.
    pub fn at_least(&self, a: &Expr, b: &Expr) -> bool {
        if let (Some(x), Some(y)) = (self.known(a), self.known(b)) {
            return x >= y;
        }
        (a.clone() - b.clone()).0.iter().all(|(_, &c)| c >= 0)
    }

    /// `a / b` when that is a polynomial.
    pub fn divide(&self, a: &Expr, b: &Expr) -> Option<Expr> {
        if let (Some(x), Some(y)) = (self.known(a), self.known(b)) {
            return (x.checked_rem(y) == Some(0)).then(|| Expr::from(x / y));
        }
        a.divide(b)
    }

    /// Human text.
    pub fn show(&self, e: &Expr) -> String {
        if let Some(k) = self.known(e) {
            return k.to_string();
        }
        let mut out = String::new();
        for (m, &c) in e.0.iter().rev() {
            if !out.is_empty() {
                out.push_str(if c < 0 { " - " } else { " + " });
            } else if c < 0 {
                out.push('-');
            }
            let names: Vec<&str> = m.iter().map(|v| self.vars[v.0 as usize].name.as_str()).collect();
            match (c.abs(), names.is_empty()) {
                (k, true) => write!(out, "{k}").expect("writing to a string cannot fail"),
                (1, false) => out.push_str(&names.join("*")),
                (k, false) => write!(out, "{k}*{}", names.join("*")).expect("writing to a string cannot fail"),
            }
        }
        out
    }
}

/// Polynomial with integer coefficients; keys are sorted products of variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expr(BTreeMap<Vec<Var>, i64>);

impl Expr {
    fn add_term(&mut self, m: Vec<Var>, c: i64) {
        if c == 0 {
            return;
        }
        let e = self.0.entry(m).or_insert(0);
        *e = e.wrapping_add(c);
        if *e == 0 {
            self.0.retain(|_, c| *c != 0);
        }
    }

    /// The number, when no variable occurs.
    pub fn constant(&self) -> Option<i64> {
        match self.0.len() {
            0 => Some(0),
            1 => self.0.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    /// A single variable, once.
    pub fn is_symbol(&self) -> bool {
        let mut terms = self.0.iter();
        matches!((terms.next(), terms.next()), (Some((m, 1)), None) if m.len() == 1)
    }

    /// Short enough to be a size; graphs made to do harm can multiply forever.
    pub fn is_tame(&self) -> bool {
        self.0.len() <= 64 && self.0.keys().all(|m| m.len() <= 16)
    }

    /// True for the literal 1.
    pub fn is_one(&self) -> bool {
        self.constant() == Some(1)
    }

    /// No negative coefficient and not zero: positive for every positive assignment.
    pub fn is_positive(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|&c| c > 0)
    }

    fn divide(&self, by: &Expr) -> Option<Expr> {
        if by.0.len() == 1 {
            let (bm, &bc) = by.0.iter().next()?;
            let mut out = Expr::default();
            for (m, &c) in &self.0 {
                let mut m = m.clone();
                for v in bm {
                    let at = m.iter().position(|x| x == v)?;
                    m.remove(at);
                }
                if c.checked_rem(bc) != Some(0) {
                    return None;
                }
                out.add_term(m, c / bc);
            }
            return Some(out);
        }
        // Long division by the leading term; sizes are short polynomials, so this ends quickly.
        let lead = Expr(BTreeMap::from([by.0.iter().next_back().map(|(m, &c)| (m.clone(), c))?]));
        let (mut rest, mut out) = (self.clone(), Expr::default());
        for _ in 0..16 {
            if rest.0.is_empty() {
                return Some(out);
            }
            let top = Expr(BTreeMap::from([rest.0.iter().next_back().map(|(m, &c)| (m.clone(), c))?]));
            let q = top.divide(&lead)?;
            rest = rest - q.clone() * by.clone();
            out = out + q;
        }
        None
    }
}

impl From<i64> for Expr {
    fn from(c: i64) -> Self {
        let mut e = Self::default();
        e.add_term(Vec::new(), c);
        e
    }
}

impl From<Var> for Expr {
    fn from(v: Var) -> Self {
        Self(BTreeMap::from([(vec![v], 1)]))
    }
}

impl std::ops::Add for Expr {
    type Output = Expr;
    fn add(mut self, other: Expr) -> Expr {
        for (m, c) in other.0 {
            self.add_term(m, c);
        }
        self
    }
}

impl std::ops::Sub for Expr {
    type Output = Expr;
    fn sub(mut self, other: Expr) -> Expr {
        for (m, c) in other.0 {
            self.add_term(m, c.wrapping_neg());
        }
        self
    }
}

impl std::ops::Mul for Expr {
    type Output = Expr;
    fn mul(self, other: Expr) -> Expr {
        let mut out = Expr::default();
        for (a, &x) in &self.0 {
            for (b, &y) in &other.0 {
                let mut m: Vec<Var> = a.iter().chain(b).copied().collect();
                m.sort_unstable();
                out.add_term(m, x.wrapping_mul(y));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolution_and_floor_division_agree() {
        let mut s = Symbols::default();
        let h = Expr::from(s.named("h"));
        let conv = s.floor_div(&(h.clone() - Expr::from(16)), 16) + Expr::from(1);
        assert_eq!(conv, s.floor_div(&h, 16));
        assert_eq!(s.eval(&conv, &|n| (n == "h").then_some(100)), Some(6));
    }

    #[test]
    fn exact_division_of_products_and_sums() {
        let mut s = Symbols::default();
        let (b, n) = (Expr::from(s.named("b")), Expr::from(s.named("n")));
        let t = n.clone() + Expr::from(1);
        let total = b.clone() * t.clone() * Expr::from(48);
        assert_eq!(s.divide(&total, &t), Some(b.clone() * Expr::from(48)));
        assert_eq!(s.divide(&total, &(b * Expr::from(48))), Some(t));
        assert_eq!(s.divide(&n, &Expr::from(2)), None);
        assert_eq!(s.show(&total), "48*b*n + 48*b");
    }

    #[test]
    fn known_variables_compare_by_value() {
        let mut s = Symbols::default();
        let g = Expr::from(s.fresh("gh", Some(12)));
        assert!(s.equal(&g, &Expr::from(12)));
        assert!(s.at_least(&(g.clone() + Expr::from(1)), &Expr::from(13)));
        assert!(!s.equal(&g, &Expr::from(13)));
    }
}
