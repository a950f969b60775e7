//! What two runs differ by, in values.

use serde::{Deserialize, Serialize};

use crate::{DataType, Error, Result, Tensor};

/// How one output differs from its reference.
///
/// Positions where both are NaN, or both the same infinity, count as equal. Positions where only
/// one is NaN are counted in `nan_mismatches` and left out of the rest. JSON has no infinities:
/// there they are `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The output's name.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// The largest absolute difference.
    pub max_abs: f64,
    /// ‖other − reference‖ / ‖reference‖; 0 when both are zero.
    pub relative_l2: f64,
    /// The cosine between the two; 1 when both are zero.
    pub cosine: f64,
    /// Positions where exactly one of the two is NaN.
    pub nan_mismatches: usize,
    /// The share of positions with the same label: the same arg-max over the label axis where one was asked for, and for
    /// integers and booleans, which are labels themselves, the same value.
    pub label_agreement: Option<f64>,
    /// Peak signal-to-noise ratio in decibels: 10·log₁₀(range² / mean square difference), where the range is the largest
    /// less the smallest element of the reference. What is infinite or NaN on either side is left out. Infinite for equal
    /// outputs; `None` where the reference is constant and the other differs, and for labels.
    #[serde(default)]
    pub psnr_db: Option<f64>,
}

/// How far two outputs may differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// The largest `relative_l2`.
    pub relative_l2: f64,
    /// The largest `max_abs`.
    pub max_abs: f64,
}

impl Difference {
    /// True when the outputs agree to this tolerance and in their NaNs.
    pub fn is_within(&self, tolerance: Tolerance) -> bool {
        // Written so that a NaN is never within.
        self.nan_mismatches == 0 && self.relative_l2 <= tolerance.relative_l2 && self.max_abs <= tolerance.max_abs
    }
}

/// Compares `other` with `reference`. `label_axis` is the axis of class scores, if there is one; outputs of integers and
/// booleans need none.
pub fn tensors(name: &str, reference: &Tensor, other: &Tensor, label_axis: Option<usize>) -> Result<Difference> {
    let fail = |reason: String| Error::Incomparable { name: name.to_owned(), reason };
    if reference.dims() != other.dims() {
        return Err(fail(format!("its shape is {:?}, not {:?}", other.dims(), reference.dims())));
    }
    if let Some(axis) = label_axis.filter(|a| *a >= reference.dims().len()) {
        return Err(fail(format!("it has no axis {axis}")));
    }
    let (a, b) = (reference.to_f64(), other.to_f64());
    let mut sums = Sums::default();
    for (a, b) in a.iter().zip(&b) {
        sums.add(*a, *b);
    }
    let labels = is_label(reference.data_type()) && is_label(other.data_type());
    Ok(Difference {
        name: name.to_owned(),
        dims: reference.dims().to_vec(),
        max_abs: sums.max_abs,
        relative_l2: sums.relative_l2(),
        cosine: sums.cosine(),
        nan_mismatches: sums.nan_mismatches,
        label_agreement: match label_axis {
            _ if labels => Some(value_agreement(&a, &b)),
            Some(axis) => Some(label_agreement(reference.dims(), axis, &a, &b)),
            None => None,
        },
        psnr_db: if labels { None } else { sums.psnr_db() },
    })
}

/// Integers and booleans are labels; everything else measures something.
fn is_label(data_type: DataType) -> bool {
    !matches!(data_type, DataType::F32 | DataType::F16 | DataType::F64)
}

/// Compares every output of `reference` with the one of the same name in `other`.
///
/// `label_axis` gives the class axis of an output, or `None`.
pub fn outputs(
    reference: &[(String, Tensor)],
    other: &[(String, Tensor)],
    label_axis: impl Fn(&str, &Tensor) -> Option<usize>,
) -> Result<Vec<Difference>> {
    reference
        .iter()
        .map(|(name, a)| {
            let (_, b) = other.iter().find(|(n, _)| n == name).ok_or_else(|| Error::Incomparable {
                name: name.clone(),
                reason: "only one of the two has it".into(),
            })?;
            tensors(name, a, b, label_axis(name, a))
        })
        .collect()
}

struct Sums {
    /// Positions where both are finite.
    finite: usize,
    /// The smallest and largest element of the reference at these.
    range: (f64, f64),
    /// Σ (b − a)² over these.
    finite_error: f64,
    max_abs: f64,
    /// Σ (b − a)²
    error: f64,
    /// Σ a²
    aa: f64,
    /// Σ b²
    bb: f64,
    /// Σ a·b
    ab: f64,
    nan_mismatches: usize,
}

impl Default for Sums {
    fn default() -> Self {
        Sums {
            finite: 0,
            range: (f64::INFINITY, f64::NEG_INFINITY),
            finite_error: 0.0,
            max_abs: 0.0,
            error: 0.0,
            aa: 0.0,
            bb: 0.0,
            ab: 0.0,
            nan_mismatches: 0,
        }
    }
}

impl Sums {
    fn add(&mut self, a: f64, b: f64) {
        match (a.is_nan(), b.is_nan()) {
            (true, true) => return,
            (false, false) => {}
            _ => {
                self.nan_mismatches += 1;
                return;
            }
        }
        // The same infinity is the same value, but its difference would be NaN.
        if a.is_infinite() && a == b {
            return;
        }
        let d = b - a;
        self.max_abs = self.max_abs.max(d.abs());
        self.error += d * d;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
        if a.is_finite() && b.is_finite() {
            self.finite += 1;
            self.range = (self.range.0.min(a), self.range.1.max(a));
            self.finite_error += d * d;
        }
    }

    fn psnr_db(&self) -> Option<f64> {
        if self.finite_error == 0.0 {
            return (self.finite > 0).then_some(f64::INFINITY);
        }
        let range = self.range.1 - self.range.0;
        let mean = self.finite_error / self.finite as f64;
        (range > 0.0).then(|| 10.0 * (range * range / mean).log10())
    }

    fn relative_l2(&self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else if self.error.is_infinite() {
            f64::INFINITY
        } else {
            (self.error / self.aa).sqrt()
        }
    }

    fn cosine(&self) -> f64 {
        if self.error == 0.0 {
            1.0
        } else if self.aa == 0.0 || self.bb == 0.0 || !self.error.is_finite() {
            0.0
        } else {
            self.ab / (self.aa.sqrt() * self.bb.sqrt())
        }
    }
}

/// The share of positions whose largest value along `axis` is at the same index (ties: the first).
fn label_agreement(dims: &[usize], axis: usize, a: &[f64], b: &[f64]) -> f64 {
    let classes = dims[axis];
    let inner: usize = dims[axis + 1..].iter().product();
    let positions = dims[..axis].iter().product::<usize>() * inner;
    if classes == 0 || positions == 0 {
        return 1.0;
    }
    let label = |v: &[f64], position: usize| {
        let start = position / inner * classes * inner + position % inner;
        let mut best = 0;
        for class in 1..classes {
            if v[start + class * inner] > v[start + best * inner] {
                best = class;
            }
        }
        best
    };
    let equal = (0..positions).filter(|p| label(a, *p) == label(b, *p)).count();
    equal as f64 / positions as f64
}

/// The share of equal elements.
fn value_agreement(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() {
        return 1.0;
    }
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(a: &[f32], b: &[f32]) -> Difference {
        let t = |v: &[f32]| Tensor::new([v.len()], v.to_vec()).unwrap();
        tensors("x", &t(a), &t(b), None).unwrap()
    }

    #[test]
    fn equal_values() {
        let d = diff(&[1.0, f32::NAN, f32::INFINITY, 0.0], &[1.0, f32::NAN, f32::INFINITY, 0.0]);
        assert_eq!((d.max_abs, d.relative_l2, d.cosine, d.nan_mismatches), (0.0, 0.0, 1.0, 0));
        assert_eq!(diff(&[0.0; 3], &[0.0; 3]).cosine, 1.0);
        assert!(d.is_within(Tolerance { relative_l2: 0.0, max_abs: 0.0 }));
    }

    #[test]
    fn different_values() {
        let d = diff(&[3.0, 4.0], &[3.0, 4.5]);
        assert_eq!(d.max_abs, 0.5);
        assert!((d.relative_l2 - 0.1).abs() < 1e-12);
        assert!(d.cosine > 0.99 && d.cosine < 1.0);
        assert_eq!(diff(&[1.0, f32::NAN], &[1.0, 2.0]).nan_mismatches, 1);
        let loose = Tolerance { relative_l2: 1e9, max_abs: 1e9 };
        assert!(!diff(&[1.0, f32::NAN], &[1.0, 2.0]).is_within(loose));
        assert!(!diff(&[1.0], &[f32::INFINITY]).is_within(loose));
        assert!(!diff(&[f32::INFINITY], &[f32::NEG_INFINITY]).is_within(loose));
        assert_eq!(diff(&[0.0], &[1.0]).relative_l2, f64::INFINITY);
        assert_eq!(diff(&[0.0], &[1.0]).cosine, 0.0);
    }

    #[test]
    fn labels() {
        let a = Tensor::new([1, 2, 3], vec![0f32, 5.0, 1.0, 1.0, 2.0, 2.0]).unwrap();
        let b = Tensor::new([1, 2, 3], vec![0f32, 1.0, 1.0, 1.0, 2.0, 2.0]).unwrap();
        let d = tensors("x", &a, &b, Some(1)).unwrap();
        assert_eq!(d.label_agreement, Some(2.0 / 3.0));
        assert_eq!(tensors("x", &a, &b, Some(3)).unwrap_err().code(), "AIL0513");
    }

    #[test]
    fn integers_are_labels() {
        let t = |v: [i64; 4]| Tensor::new([2, 2], v.to_vec()).unwrap();
        let d = tensors("x", &t([1, 2, 3, 4]), &t([1, 2, 0, 4]), None).unwrap();
        assert_eq!((d.label_agreement, d.psnr_db), (Some(0.75), None));
        let t = |v: [bool; 2]| Tensor::new([1, 2], v.to_vec()).unwrap();
        assert_eq!(tensors("x", &t([true, true]), &t([true, false]), Some(1)).unwrap().label_agreement, Some(0.5));
    }

    /// Range 4 and a mean square difference of (0.25 + 0 + 0 + 0.15) / 4 = 0.1 give 10·log₁₀(160) dB.
    #[test]
    fn psnr() {
        let t = |v: [f64; 4]| Tensor::new([4], v.to_vec()).unwrap();
        let d = tensors("x", &t([-1.0, 0.0, 1.0, 3.0]), &t([-0.5, 0.0, 1.0, 3.0 + 0.15f64.sqrt()]), None).unwrap();
        assert!((d.psnr_db.unwrap() - 22.041_199_826_559_25).abs() < 1e-9, "{d:?}");
        // The peak is the range of the reference, so neither an offset nor a scale of both changes anything.
        let moved = |v: f64| 10.0 * v + 7.0;
        let (a, b) = ([-1.0, 0.0, 1.0, 3.0].map(moved), [-0.5, 0.0, 1.0, 3.0 + 0.15f64.sqrt()].map(moved));
        let e = tensors("x", &t(a), &t(b), None).unwrap();
        assert!((d.psnr_db.unwrap() - e.psnr_db.unwrap()).abs() < 1e-9);
        assert_eq!(diff(&[1.0, 2.0], &[1.0, 2.0]).psnr_db, Some(f64::INFINITY));
        assert_eq!(diff(&[2.0, 2.0], &[2.0, 2.5]).psnr_db, None);
        assert_eq!(diff(&[], &[]).psnr_db, None);
        // What is not finite on one side is left out: range 2, mean square difference 0.5.
        let d = diff(&[0.0, 2.0, f32::INFINITY, 9.0], &[1.0, 2.0, f32::INFINITY, f32::NAN]);
        assert!((d.psnr_db.unwrap() - 9.030_899_869_919_436).abs() < 1e-9, "{d:?}");
    }

    #[test]
    fn missing_and_reshaped_outputs() {
        let t = |n: usize| Tensor::new([n], vec![0f32; n]).unwrap();
        let a = [("y".to_owned(), t(2))];
        assert_eq!(outputs(&a, &[], |_, _| None).unwrap_err().code(), "AIL0513");
        let b = [("y".to_owned(), t(3))];
        assert_eq!(outputs(&a, &b, |_, _| None).unwrap_err().code(), "AIL0513");
    }
}
