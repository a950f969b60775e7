//! The operators: one file each, which reads the node, applies the shape rule and calls the kernel of `ailurus-ops`.

mod density_peaks;
mod grid_kmeans;
mod merge;
mod unfold;
mod unfold_residual;

use ailurus_ops::{AttrValue, Element, ElementType, Error as Objection, OutDim, Schema, UnfoldDims};

use crate::error::Result;
use crate::ort::{Call, Input};

/// Attributes of a node, as far as the schema knows them.
pub(crate) type Attributes = Vec<(&'static str, AttrValue)>;

/// Dimensions of the inputs of a node, as far as they are known.
pub(crate) type Shapes<'a> = &'a [&'a [Option<usize>]];

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// The processor.
    Cpu,
    /// A CUDA device.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl Provider {
    /// All there are.
    pub(crate) const ALL: &[Self] = &[
        Self::Cpu,
        #[cfg(feature = "cuda")]
        Self::Cuda,
    ];
}

/// A kernel of one node.
pub(crate) trait Kernel: Send + Sync {
    /// Computes the outputs. Several threads may call it at the same time.
    fn compute(&self, call: &Call<'_>) -> Result<()>;
}

/// An operator, as data.
pub(crate) struct Operator {
    /// Its schema.
    pub(crate) schema: &'static Schema,
    /// Its shape rule.
    pub(crate) shapes: fn(&Attributes, Shapes<'_>) -> Result<Vec<Vec<OutDim>>>,
    create_f32: fn(&Attributes) -> Result<Box<dyn Kernel>>,
    create_f16: fn(&Attributes) -> Result<Box<dyn Kernel>>,
}

impl Operator {
    /// Makes the kernel of a node of this element type.
    pub(crate) fn create(
        &self,
        provider: Provider,
        element: ElementType,
        attributes: &Attributes,
    ) -> Result<Box<dyn Kernel>> {
        match (provider, element) {
            (Provider::Cpu, ElementType::F32) => (self.create_f32)(attributes),
            (Provider::Cpu, ElementType::F16) => (self.create_f16)(attributes),
            #[cfg(feature = "cuda")]
            (Provider::Cuda, _) => crate::cuda::create(self.schema, element, attributes),
        }
    }
}

/// All operators.
pub(crate) const OPERATORS: [Operator; 5] =
    [density_peaks::OPERATOR, grid_kmeans::OPERATOR, merge::OPERATOR, unfold::OPERATOR, unfold_residual::OPERATOR];

/// What an operator's file provides for each element type.
trait Typed<E: Element>: Kernel + Sized + 'static {
    /// Reads a node.
    fn read(attributes: &Attributes) -> Result<Self>;

    /// Reads a node, and forgets what kind it is.
    fn boxed(attributes: &Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self::read(attributes)?))
    }
}

/// Attributes as the operators read them.
pub(crate) fn pairs(attributes: &Attributes) -> impl Iterator<Item = (&str, &AttrValue)> {
    attributes.iter().map(|(name, value)| (*name, value))
}

/// The dimensions of inputs.
pub(crate) fn shapes<'a>(inputs: &'a [Input<'_>]) -> Vec<&'a [Option<usize>]> {
    inputs.iter().map(|input| input.dims.as_slice()).collect()
}

/// Height and width from the input `grid` of an operator, which is in the processor's memory on every provider.
pub(crate) fn run_time_grid(schema: &Schema, input: &Input<'_>) -> Result<(usize, usize)> {
    // SAFETY: the schema says 64-bit integers, in the processor's memory.
    let values = unsafe { input.slice::<i64>() };
    match *values {
        [h, w] if h > 0 && w > 0 => Ok((h as usize, w as usize)),
        _ => Err(Objection::Shape {
            operator: schema.name,
            input: "grid",
            expected: "height and width, both at least 1".into(),
            got: format!("{values:?}"),
        }
        .into()),
    }
}

/// Makes the output `map` of an operator, if the node has it: its shape is the grid, and its values mean nothing.
///
/// # Safety
/// Memory is the processor's, and the output may be asked for only once in a call.
unsafe fn run_time_map(call: &Call<'_>, number: usize, (h, w): (usize, usize), inputs: &[Input<'_>]) -> Result<()> {
    if number < call.output_count()? {
        // SAFETY: the schema says 32-bit integers; the rest is the caller's promise.
        let (map, _) = unsafe { call.output::<i32>(number, &[OutDim::Known(h), OutDim::Known(w)], inputs) }?;
        map.fill(0);
    }
    Ok(())
}

/// The rank of an input; 0 where there is none, to which the operator objects.
pub(crate) fn rank(shapes: Shapes<'_>, input: usize) -> usize {
    shapes.get(input).map_or(0, |dims| dims.len())
}

/// Sizes of either way back.
pub(crate) fn unfold_dims(z: &Input<'_>, index: &Input<'_>) -> UnfoldDims {
    UnfoldDims {
        batch: z.dim(0),
        rows: z.dim(1),
        tokens: index.dim(1),
        choices: if index.dims.len() == 3 { index.dim(2) } else { 1 },
        channels: z.dim(2),
    }
}
