//! Running the kernels on the host: memory with guards around it, element types, operators on slices.
#![allow(dead_code, reason = "every test program uses another part")]

pub mod refusals;

use ailurus_cuda::launcher::{
    self, DensityPeaksCall, DensityPeaksTensors, Element, GridKMeansCall, GridKMeansTensors, ResidualStreams, Stream,
};
use ailurus_cuda::{Result, shim};
use ailurus_ops::{Clusters, DensityPeaks, GridClusters, GridKMeans, MergeDims, UnfoldDims};
use half::{bf16, f16};
use proptest::prelude::*;

/// An element type of the kernels, and the type by which the reference is evaluated.
pub trait Value: Copy + Default + std::fmt::Debug + PartialEq {
    const ELEMENT: Element;
    type Reference: ailurus_ops::Element;
    fn to_reference(self) -> Self::Reference;
    fn from_reference(value: Self::Reference) -> Self;
    fn from_f32(value: f32) -> Self;
    fn wide(self) -> f32;
}

macro_rules! same_type {
    ($type:ty, $element:ident, $from:expr, $wide:expr) => {
        impl Value for $type {
            const ELEMENT: Element = Element::$element;
            type Reference = $type;
            fn to_reference(self) -> $type {
                self
            }
            fn from_reference(value: $type) -> $type {
                value
            }
            fn from_f32(value: f32) -> Self {
                $from(value)
            }
            fn wide(self) -> f32 {
                $wide(self)
            }
        }
    };
}
same_type!(f32, F32, std::convert::identity, std::convert::identity);
same_type!(f16, F16, f16::from_f32, f16::to_f32);

/// The operators do not know this type; as they round once, at the end, rounding what they give for f32 is the same.
impl Value for bf16 {
    const ELEMENT: Element = Element::Bf16;
    type Reference = f32;
    fn to_reference(self) -> f32 {
        self.to_f32()
    }
    fn from_reference(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn from_f32(value: f32) -> Self {
        bf16::from_f32(value)
    }
    fn wide(self) -> f32 {
        self.to_f32()
    }
}

pub fn to_reference<E: Value>(values: &[E]) -> Vec<E::Reference> {
    values.iter().map(|v| v.to_reference()).collect()
}

pub fn from_reference<E: Value>(values: &[E::Reference]) -> Vec<E> {
    values.iter().map(|&v| E::from_reference(v)).collect()
}

pub fn narrow<E: Value>(values: &[f32]) -> Vec<E> {
    values.iter().map(|&v| E::from_f32(v)).collect()
}

/// Bits by which results are compared. Every NaN is the same NaN: which one an addition of two gives is not defined.
pub fn bits<E: Value>(values: &[E]) -> Vec<u32> {
    values.iter().map(|v| v.wide()).map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

/// Memory for the kernels, filled with garbage, with guards around it that tell writes out of bounds.
pub struct Memory {
    words: Vec<u128>,
    offset: usize,
    bytes: usize,
}

const GUARD: usize = 256;
const GARBAGE: u8 = 0xa5;

impl Memory {
    /// `bytes` bytes, `offset` bytes beyond an address aligned to 16.
    pub fn new(bytes: usize, offset: usize) -> Self {
        let words = (bytes + offset + 2 * GUARD).div_ceil(16);
        Self { words: vec![u128::from_ne_bytes([GARBAGE; 16]); words], offset: GUARD + offset, bytes }
    }

    pub fn holding<T: Copy>(values: &[T], offset: usize) -> Self {
        let mut memory = Self::new(size_of_val(values), offset);
        // SAFETY: the memory has room for the values; bytes need no alignment.
        unsafe {
            let from = values.as_ptr().cast::<u8>();
            std::ptr::copy_nonoverlapping(from, memory.pointer::<u8>(), memory.bytes);
        }
        memory
    }

    pub fn pointer<T>(&mut self) -> *mut T {
        self.words.as_mut_ptr().cast::<u8>().wrapping_add(self.offset).cast()
    }

    fn all(&self) -> &[u8] {
        // SAFETY: all bytes of the words are initialised.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 16) }
    }

    /// What it holds, after a look at the guards.
    pub fn read<T: Copy>(&self) -> Vec<T> {
        let all = self.all();
        let outside = all[..self.offset].iter().chain(&all[self.offset + self.bytes..]);
        assert!(outside.copied().all(|b| b == GARBAGE), "a kernel wrote outside its tensor");
        let from = all[self.offset..].as_ptr();
        // SAFETY: the bytes are in bounds, and all values of the types used here are valid.
        (0..self.bytes / size_of::<T>()).map(|i| unsafe { from.cast::<T>().add(i).read_unaligned() }).collect()
    }
}

/// How a call is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The order in which threads run.
    pub schedule: u64,
    /// Elements by which tensors of elements miss alignment to 16 bytes.
    pub misaligned: usize,
}

impl How {
    pub fn scheduled(schedule: u64) -> Self {
        Self { schedule, misaligned: 0 }
    }

    fn begin(self) {
        shim::load().expect("the driver without a device loads").set_schedule(self.schedule);
    }

    fn offset<E>(self) -> usize {
        self.misaligned * size_of::<E>()
    }
}

pub fn density_peaks<E: Value>(
    params: &DensityPeaks,
    grid: (usize, usize),
    metric: &[E],
    batch: usize,
    channels: usize,
    how: How,
) -> Result<Clusters> {
    how.begin();
    let call = DensityPeaksCall { params, grid, element: E::ELEMENT, batch, channels };
    let (rows, tokens) = (call.rows()?, params.prefix + grid.0 * grid.1 + params.suffix);
    let mut metric = Memory::holding(metric, how.offset::<E>());
    let mut index = Memory::new(batch * tokens * 4, 4);
    let mut anchor = Memory::new(batch * rows * 4, 8);
    let mut size = Memory::new(batch * rows * 4, 12);
    let bytes = call.workspace()?;
    let mut workspace = Memory::new(bytes, 0);
    let tensors = DensityPeaksTensors {
        metric: metric.pointer(),
        index: index.pointer(),
        anchor: anchor.pointer(),
        size: size.pointer(),
        workspace: workspace.pointer(),
        workspace_bytes: bytes,
    };
    // SAFETY: the tensors have these sizes, and the driver without a device works on host memory, at once.
    unsafe { call.enqueue(&tensors, Stream::DEFAULT)? };
    metric.read::<E>();
    workspace.read::<u8>();
    Ok(Clusters { rows, index: index.read(), anchor: anchor.read(), size: size.read() })
}

pub fn grid_kmeans<E: Value>(
    params: &GridKMeans,
    grid: (usize, usize),
    x: &[E],
    batch: usize,
    channels: usize,
    how: How,
) -> Result<GridClusters<E>> {
    how.begin();
    let call = GridKMeansCall { params, grid, element: E::ELEMENT, batch, channels };
    let ((rows, choices), tokens) = (call.sizes()?, params.prefix + grid.0 * grid.1 + params.suffix);
    let mut x = Memory::holding(x, how.offset::<E>());
    let mut z = Memory::new(batch * rows * channels * size_of::<E>(), how.offset::<E>());
    let mut index = Memory::new(batch * tokens * choices * 4, 4);
    let mut weight = Memory::new(batch * tokens * choices * 4, 12);
    let bytes = call.workspace()?;
    let mut workspace = Memory::new(bytes, 0);
    let tensors = GridKMeansTensors {
        x: x.pointer(),
        z: z.pointer(),
        index: index.pointer(),
        weight: weight.pointer(),
        workspace: workspace.pointer(),
        workspace_bytes: bytes,
    };
    // SAFETY: as in `density_peaks`.
    unsafe { call.enqueue(&tensors, Stream::DEFAULT)? };
    x.read::<E>();
    workspace.read::<u8>();
    Ok(GridClusters { rows, choices, z: z.read(), index: index.read(), weight: weight.read() })
}

pub fn merge<E: Value>(x: &[E], index: &[i32], sizes: &[f32], dims: MergeDims, how: How) -> Result<Vec<E>> {
    how.begin();
    let mut x = Memory::holding(x, how.offset::<E>());
    let mut index = Memory::holding(index, 4);
    let mut sizes = Memory::holding(sizes, 8);
    let mut y = Memory::new(dims.batch * dims.rows * dims.channels * size_of::<E>(), how.offset::<E>());
    // SAFETY: as in `density_peaks`.
    unsafe {
        let (x, index, sizes) = (x.pointer(), index.pointer(), sizes.pointer());
        launcher::merge(E::ELEMENT, dims, x, index, sizes, y.pointer(), Stream::DEFAULT)?;
    }
    Ok(y.read())
}

pub fn unfold<E: Value>(z: &[E], index: &[i32], weight: Option<&[f32]>, dims: UnfoldDims, how: How) -> Result<Vec<E>> {
    how.begin();
    let mut z = Memory::holding(z, how.offset::<E>());
    let mut index = Memory::holding(index, 4);
    let mut weight = weight.map(|w| Memory::holding(w, 12));
    let weight = weight.as_mut().map_or(std::ptr::null_mut(), |w| w.pointer());
    let mut y = Memory::new(dims.batch * dims.tokens * dims.channels * size_of::<E>(), how.offset::<E>());
    // SAFETY: as in `density_peaks`.
    unsafe {
        launcher::unfold(E::ELEMENT, dims, z.pointer(), index.pointer(), weight, y.pointer(), Stream::DEFAULT)?;
    }
    Ok(y.read())
}

pub fn unfold_residual<E: Value>(
    (z, start, base): (&[E], &[E], &[E]),
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
    how: How,
    in_place: bool,
) -> Result<Vec<E>> {
    how.begin();
    let mut z = Memory::holding(z, how.offset::<E>());
    let mut start = Memory::holding(start, how.offset::<E>());
    let mut base = Memory::holding(base, how.offset::<E>());
    let mut index = Memory::holding(index, 4);
    let mut weight = weight.map(|w| Memory::holding(w, 12));
    let weight = weight.as_mut().map_or(std::ptr::null_mut(), |w| w.pointer());
    let mut y = Memory::new(dims.batch * dims.tokens * dims.channels * size_of::<E>(), how.offset::<E>());
    let streams = ResidualStreams { z: z.pointer(), start: start.pointer(), base: base.pointer() };
    let to = if in_place { base.pointer() } else { y.pointer() };
    // SAFETY: as in `density_peaks`; each thread reads its part of `base` before it writes there.
    unsafe {
        launcher::unfold_residual(E::ELEMENT, dims, streams, index.pointer(), weight, to, Stream::DEFAULT)?;
    }
    Ok(if in_place { base.read() } else { y.read() })
}

/// Values of every kind: numbers, few distinct numbers (ties), what arithmetic can go wrong with, all equal.
pub fn value(kind: u8) -> BoxedStrategy<f32> {
    match kind {
        0 => (-2.0f32..2.0).boxed(),
        1 => prop_oneof![Just(0.0f32), Just(1.0), Just(2.0)].boxed(),
        2 => prop_oneof![
            8 => -1.0f32..1.0,
            1 => Just(f32::NAN),
            1 => Just(f32::INFINITY),
            1 => Just(f32::NEG_INFINITY),
            1 => Just(f32::MAX),
            1 => Just(1e-30f32),
        ]
        .boxed(),
        _ => Just(0.5f32).boxed(),
    }
}

/// Pseudo-random numbers in -1..1.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }
    pub fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }
    pub fn value(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1u64 << 23) as f32 - 1.0
    }
    pub fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }
}
