//! Operators that act on each element, with broadcasting.

use crate::{
    abs::{Abs, MAX_TRACKED, Scalar},
    axis::{Atoms, Axis},
    expr::Expr,
    interp::Ctx,
};
use ailurus_onnx::DataType;

const UNARY: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BitwiseNot",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
];
const NARY: &[&str] = &[
    "Add",
    "And",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitShift",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "PRelu",
    "Pow",
    "Sub",
    "Sum",
    "Where",
    "Xor",
];
const QUANTIZE: &[&str] = &["QuantizeLinear", "DequantizeLinear"];
const MICROSOFT: &[&str] = &["BiasAdd", "BiasGelu", "BiasSplitGelu", "FastGelu", "Gelu", "QuickGelu"];

/// Operators whose operands stand among parameters (scales, zero points, rates): their positions, and that of a zero
/// point which has the element type of the result.
fn spread(domain: &str, op: &str) -> Option<(&'static [usize], Option<usize>)> {
    Some(match (domain, op) {
        ("com.microsoft", "QLinearAdd" | "QLinearMul") => (&[0, 3], Some(7)),
        ("com.microsoft", "QLinearSigmoid" | "QLinearLeakyRelu") => (&[0], Some(4)),
        ("com.microsoft", "QLinearWhere") => (&[0, 1, 4], Some(8)),
        ("com.microsoft", "MulInteger") => (&[0, 2], None),
        ("com.microsoft", "BiasDropout") => (&[0, 1, 2], None),
        _ => return None,
    })
}

/// True when the operator maps each element on its own (constants broadcast).
pub fn is_elementwise(domain: &str, op: &str) -> bool {
    match domain {
        "" => UNARY.contains(&op) || NARY.contains(&op) || QUANTIZE.contains(&op),
        "com.microsoft" => MICROSOFT.contains(&op) || QUANTIZE.contains(&op) || spread(domain, op).is_some(),
        _ => false,
    }
}

/// Merges what two broadcast operands know about one axis. Image positions win over a mask's view of them, and an
/// activation's view over a table's.
pub fn unify(atoms: &Atoms, a: &Axis, a_data: bool, b: &Axis, b_data: bool) -> Axis {
    if a.is_one() {
        return b.clone();
    }
    if !b.is_one() && atoms.is_spatial(a) != atoms.is_spatial(b) {
        return if atoms.is_spatial(a) { a.clone() } else { b.clone() };
    }
    if b.is_one() || a == b || a_data || !b_data {
        return a.clone();
    }
    let (x, y) = (atoms.known(a), atoms.known(b));
    if x.is_some() && y.is_some() && x != y { a.clone() } else { b.clone() }
}

/// Broadcast of several operands; axes are aligned from the right.
pub fn broadcast(atoms: &Atoms, operands: &[&Abs]) -> Option<Vec<Axis>> {
    let rank = operands.iter().map(|a| a.rank()).try_fold(0, |m, r| Some(m.max(r?)))?;
    let mut out = vec![(Axis::one(), false); rank];
    for o in operands {
        let axes = o.axes.as_ref()?;
        for (i, axis) in axes.iter().enumerate() {
            let slot = &mut out[rank - axes.len() + i];
            let axis = unify(atoms, &slot.0, slot.1, axis, o.activation);
            *slot = (axis, slot.1 || (o.activation && !axes[i].is_one()));
        }
    }
    Some(out.into_iter().map(|(a, _)| a).collect())
}

pub fn elementwise(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let op = ctx.node.op_type.clone();
    // Scales, zero points, bounds: parameters per tensor or channel, never the carrier of meaning.
    let parameters_only = op == "Clip" || (ctx.node.domain == "com.microsoft" && op != "BiasAdd");
    let apart = spread(&ctx.node.domain, &op);
    let operands: Vec<&Abs> = match apart {
        Some((slots, _)) => slots.iter().filter_map(|&i| ctx.input(i)).collect(),
        None => ctx.inputs.iter().flatten().take(if parameters_only { 1 } else { usize::MAX }).collect(),
    };
    let axes = broadcast(ctx.atoms, &operands)?;
    let dtype = match op.as_str() {
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Not" | "And" | "Or" | "Xor" | "IsNaN"
        | "IsInf" => DataType::Bool,
        "Where" => ctx.dtype(1),
        "QLinearWhere" => ctx.input(8).map_or(ctx.dtype(1), |z| z.dtype),
        "MulInteger" => DataType::I32,
        _ => apart.and_then(|(_, zero)| ctx.input(zero?)).map_or(ctx.dtype(0), |z| z.dtype),
    };
    let activation = operands.iter().any(|a| a.activation);
    let elements = if apart.is_none() { compute(&op, ctx, dtype) } else { None };
    let mut out = Abs::new(axes, dtype, activation);
    out.elements = elements;
    Some(vec![out])
}

/// Elements of the result, where those of all operands are followed.
pub fn compute(op: &str, ctx: &mut Ctx, dtype: DataType) -> Option<Vec<Scalar>> {
    // Bounds of a `Clip` may be left out: then there is none.
    let list = |(i, abs): (usize, &Option<Abs>)| match (abs, i) {
        (None, 1) if op == "Clip" => Some(vec![Scalar::Float(f64::NEG_INFINITY)]),
        (None, 2) if op == "Clip" => Some(vec![Scalar::Float(f64::INFINITY)]),
        (other, _) => other.as_ref()?.elements.clone(),
    };
    let lists: Vec<Vec<Scalar>> = ctx.inputs.iter().enumerate().map(list).collect::<Option<_>>()?;
    let count = lists.iter().map(Vec::len).max()?;
    if count > MAX_TRACKED || lists.iter().any(|l| l.len() != 1 && l.len() != count) {
        return None;
    }
    let at = |l: &[Scalar], i: usize| l[if l.len() == 1 { 0 } else { i }].clone();
    Some(
        (0..count)
            .map(|i| {
                let args: Vec<Scalar> = lists.iter().map(|l| at(l, i)).collect();
                scalar(op, &args, ctx.atoms, dtype).filter(is_tame).unwrap_or(Scalar::Unknown)
            })
            .collect(),
    )
}

fn is_tame(s: &Scalar) -> bool {
    match s {
        Scalar::Int(e) | Scalar::Ratio(e, _) => e.is_tame(),
        Scalar::Float(_) | Scalar::Unknown => true,
    }
}

fn float(s: &Scalar, atoms: &Atoms) -> Option<f64> {
    match s {
        Scalar::Int(e) => atoms.symbols.known(e).map(|v| v as f64),
        Scalar::Ratio(e, d) => atoms.symbols.known(e).map(|v| v as f64 / *d as f64),
        Scalar::Float(f) => Some(*f),
        Scalar::Unknown => None,
    }
}

/// A fraction with a symbolic numerator; whole floats count as integers.
fn ratio(s: &Scalar) -> Option<(Expr, i64)> {
    match s {
        Scalar::Int(e) => Some((e.clone(), 1)),
        Scalar::Ratio(e, d) => Some((e.clone(), *d)),
        Scalar::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => Some((Expr::from(*f as i64), 1)),
        Scalar::Float(f) if *f != 0.0 && (1.0 / f).fract() == 0.0 && (1.0 / f).abs() < 1e15 => {
            let d = (1.0 / f) as i64;
            Some((Expr::from(d.signum()), d.abs()))
        }
        _ => None,
    }
}

fn scalar(op: &str, args: &[Scalar], atoms: &mut Atoms, dtype: DataType) -> Option<Scalar> {
    let truth = |b: bool| Some(Scalar::Int(Expr::from(i64::from(b))));
    let first = args.first()?;
    if op == "Where" {
        return match first.int()?.constant()? {
            0 => args.get(2).cloned(),
            _ => args.get(1).cloned(),
        };
    }
    let ints = || Some((first.int()?, args.get(1)?.int()?));
    match op {
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => {
            let (a, b) = ints()?;
            let s = &atoms.symbols;
            if let (Some(x), Some(y)) = (s.known(a), s.known(b)) {
                return truth(match op {
                    "Equal" => x == y,
                    "Less" => x < y,
                    "Greater" => x > y,
                    "LessOrEqual" => x <= y,
                    _ => x >= y,
                });
            }
            // Sizes are at least 1, so a size never equals -1 or 0 and is never below them.
            let differ = (a.clone() - b.clone()).is_positive() || (b.clone() - a.clone()).is_positive();
            return match op {
                "Equal" if a == b => truth(true),
                "Equal" if differ => truth(false),
                "Greater" if (a.clone() - b.clone()).is_positive() => truth(true),
                "Less" if (b.clone() - a.clone()).is_positive() => truth(true),
                "Greater" if s.at_least(b, a) => truth(false),
                "Less" if s.at_least(a, b) => truth(false),
                _ => None,
            };
        }
        "Not" => return truth(first.int()?.constant()? == 0),
        "And" => return truth(ints()?.0.constant()? != 0 && ints()?.1.constant()? != 0),
        "Or" => return truth(ints()?.0.constant()? != 0 || ints()?.1.constant()? != 0),
        _ => {}
    }
    if op == "DequantizeLinear" {
        // In the precision that runtimes compute it in: a range that starts there has a whole number of steps.
        let zero = args.get(2).map_or(Some(0.0), |z| float(z, atoms))?;
        let steps = (float(first, atoms)? - zero) as f32;
        return Some(Scalar::Float(f64::from(steps * float(args.get(1)?, atoms)? as f32)));
    }
    if !dtype.is_float() {
        return integer(op, args, atoms);
    }
    match (op, ratio(first), args.get(1).and_then(ratio)) {
        ("Add", Some((a, p)), Some((b, q))) => {
            return reduced(a * Expr::from(q) + b * Expr::from(p), p.checked_mul(q)?);
        }
        ("Sub", Some((a, p)), Some((b, q))) => {
            return reduced(a * Expr::from(q) - b * Expr::from(p), p.checked_mul(q)?);
        }
        ("Mul", Some((a, p)), Some((b, q))) => return reduced(a * b, p.checked_mul(q)?),
        ("Div", Some((a, p)), Some((b, q))) => {
            if let Some(c) = b.constant().filter(|&c| c > 0) {
                return reduced(a * Expr::from(q), p.checked_mul(c)?);
            }
        }
        ("Floor", Some((a, p)), _) => return Some(Scalar::Ratio(atoms.symbols.floor_div(&a, p), 1)),
        ("Ceil", Some((a, p)), _) => {
            return Some(Scalar::Ratio(atoms.symbols.floor_div(&(a + Expr::from(p - 1)), p), 1));
        }
        _ => {}
    }
    let x = float(first, atoms)?;
    if op == "Clip" {
        // A bound that is there but not known leaves the number unknown.
        let bound = |i: usize, none: f64| args.get(i).map_or(Some(none), |s| float(s, atoms));
        let raised = x.max(bound(1, f64::NEG_INFINITY)?);
        return Some(Scalar::Float(raised.min(bound(2, f64::INFINITY)?)));
    }
    let y = args.get(1).map(|s| float(s, atoms));
    Some(Scalar::Float(match (op, y) {
        ("Add", Some(y)) => x + y?,
        ("Sub", Some(y)) => x - y?,
        ("Mul", Some(y)) => x * y?,
        ("Div", Some(y)) => x / y?,
        ("Pow", Some(y)) => x.powf(y?),
        ("Max", Some(y)) => x.max(y?),
        ("Min", Some(y)) => x.min(y?),
        ("Sqrt", None) => x.sqrt(),
        ("Neg", None) => -x,
        ("Round", None) => x.round_ties_even(),
        ("Floor", None) => x.floor(),
        ("Ceil", None) => x.ceil(),
        ("Abs", None) => x.abs(),
        ("Reciprocal", None) => 1.0 / x,
        _ => return None,
    }))
}

fn reduced(e: Expr, d: i64) -> Option<Scalar> {
    if let Some(c) = e.constant() {
        return Some(if c % d == 0 { Scalar::Ratio(Expr::from(c / d), 1) } else { Scalar::Float(c as f64 / d as f64) });
    }
    Some(Scalar::Ratio(e, d))
}

fn integer(op: &str, args: &[Scalar], atoms: &mut Atoms) -> Option<Scalar> {
    let a = args.first()?.int()?.clone();
    if op == "Clip" {
        let mut x = Scalar::Int(a);
        for (bound, op) in args[1..].iter().zip(["Max", "Min"]) {
            if !matches!(bound, Scalar::Float(f) if f.is_infinite()) {
                x = integer(op, &[x, bound.clone()], atoms)?;
            }
        }
        return Some(x);
    }
    let b = args.get(1).and_then(Scalar::int).cloned();
    let s = &mut atoms.symbols;
    Some(Scalar::Int(match (op, b) {
        ("Add", Some(b)) => a + b,
        ("Sub", Some(b)) => a - b,
        ("Mul", Some(b)) => a * b,
        ("Sum", None) => a,
        ("Div", Some(b)) => match (s.divide(&a, &b), b.constant()) {
            (Some(q), _) => q,
            // Integer division truncates; sizes are not negative, so that is the floor.
            (None, Some(d)) if d > 0 && a.constant().is_none_or(|v| v >= 0) => s.floor_div(&a, d),
            (None, Some(d)) if d != 0 => Expr::from(a.constant()?.checked_div(d)?),
            _ => return None,
        },
        ("Mod", Some(b)) => {
            let d = b.constant().filter(|&d| d > 0)?;
            let q = s.floor_div(&a, d);
            a - q * Expr::from(d)
        }
        ("Pow", Some(b)) => match b.constant()? {
            0 => Expr::from(1),
            n @ 1..=3 => (1..n).fold(a.clone(), |p, _| p * a.clone()),
            _ => return None,
        },
        ("Max", Some(b)) if s.at_least(&a, &b) => a,
        ("Max", Some(b)) if s.at_least(&b, &a) => b,
        ("Min", Some(b)) if s.at_least(&a, &b) => b,
        ("Min", Some(b)) if s.at_least(&b, &a) => a,
        ("Neg", None) => Expr::default() - a,
        ("Abs", None) if s.at_least(&a, &Expr::default()) => a,
        _ => return None,
    }))
}
