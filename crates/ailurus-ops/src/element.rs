//! Element types the operators take: `f32`, and `f16` with arithmetic in `f32`.

use half::{f16, slice::HalfFloatSliceExt};

/// Element type of a tensor, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit float
    F32,
    /// 16-bit IEEE float
    F16,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
}

/// `f32` or `f16`.
pub trait Element: sealed::Sealed + Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The type, as data.
    const TYPE: ElementType;
    /// Exact conversion.
    fn to_f32(self) -> f32;
    /// Conversion rounding to nearest, ties to even.
    fn from_f32(value: f32) -> Self;
    /// What [`Element::widen`] and [`Element::wide`] need for slices of this length: nothing, or as much.
    fn scratch(length: usize) -> Vec<f32>;
    /// The slice as `f32`: itself, or converted into `scratch` (which must be as long).
    fn widen<'a>(slice: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32];
    /// Where to write `f32` that [`Element::narrow`] brings into the slice: itself, or `scratch`.
    fn wide<'a>(slice: &'a mut [Self], scratch: &'a mut [f32]) -> &'a mut [f32];
    /// Converts a slice; both must be of the same length.
    fn narrow(from: &[f32], to: &mut [Self]);
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::F32;
    fn to_f32(self) -> f32 {
        self
    }
    fn from_f32(value: f32) -> Self {
        value
    }
    fn scratch(_: usize) -> Vec<f32> {
        Vec::new()
    }
    fn widen<'a>(slice: &'a [Self], _: &'a mut [f32]) -> &'a [f32] {
        slice
    }
    fn wide<'a>(slice: &'a mut [Self], _: &'a mut [f32]) -> &'a mut [f32] {
        slice
    }
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }
}

impl Element for f16 {
    const TYPE: ElementType = ElementType::F16;
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
    fn scratch(length: usize) -> Vec<f32> {
        vec![0.0; length]
    }
    fn widen<'a>(slice: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32] {
        slice.convert_to_f32_slice(scratch);
        scratch
    }
    fn wide<'a>(_: &'a mut [Self], scratch: &'a mut [f32]) -> &'a mut [f32] {
        scratch
    }
    fn narrow(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}
