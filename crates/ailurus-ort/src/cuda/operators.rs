//! Reads a node, applies the shape rule and enqueues the kernel.

use ailurus_cuda::launcher::{
    self, DensityPeaksCall, DensityPeaksTensors, Element, GridKMeansCall, GridKMeansTensors, ResidualStreams, Stream,
};
use ailurus_ops::{DensityPeaks, ElementType, GridKMeans, Merge, MergeDims, OutDim, Schema, Unfold, UnfoldResidual};

use super::workspace::Workspaces;
use crate::error::Result;
use crate::operators::{Attributes, Kernel, pairs, rank, run_time_grid, shapes, unfold_dims};
use crate::ort::{Call, Input};

/// Makes the kernel of a node.
pub(crate) fn create(schema: &Schema, element: ElementType, attributes: &Attributes) -> Result<Box<dyn Kernel>> {
    let element = Element::from(element);
    Ok(match schema.name {
        name if name == DensityPeaks::SCHEMA.name => {
            let params = DensityPeaks::from_attributes(pairs(attributes))?;
            Box::new(Peaks { params, element, workspaces: Workspaces::default() })
        }
        name if name == GridKMeans::SCHEMA.name => {
            let params = GridKMeans::from_attributes(pairs(attributes))?;
            Box::new(Centres { params, element, workspaces: Workspaces::default() })
        }
        name if name == Merge::SCHEMA.name => {
            Box::new(Means { merge: Merge::from_attributes(pairs(attributes))?, element })
        }
        name if name == Unfold::SCHEMA.name => Box::new(Copies { attributes: attributes.clone(), element }),
        _ => Box::new(Updates { attributes: attributes.clone(), element }),
    })
}

struct Peaks {
    params: DensityPeaks,
    element: Element,
    workspaces: Workspaces,
}

impl Kernel for Peaks {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let [index, anchor, size] = self.params.output_shapes(&shapes(&inputs))?;
        let metric = &inputs[0];
        // The one input that is in the processor's memory: sizes of launches depend on it.
        let grid = self
            .params
            .resolve_grid(inputs.get(1).map(|grid| run_time_grid(&DensityPeaks::SCHEMA, grid)).transpose()?)?;
        let (index, index_dims) = call.allocate(0, &index, &inputs)?;
        let (anchor, _) = call.allocate(1, &anchor, &inputs)?;
        let (size, _) = call.allocate(2, &size, &inputs)?;
        run_time_map(call, 3, grid, &inputs)?;
        same_tokens(&self.params, grid, index_dims[1])?;
        let (batch, channels) = (metric.dim(0), metric.dim(2));
        if batch == 0 {
            return Ok(());
        }
        let peaks = DensityPeaksCall { params: &self.params, grid, element: self.element, batch, channels };
        let (stream, bytes) = (call.stream()?, peaks.workspace()?);
        self.workspaces.with(call, metric, stream, bytes, |workspace, workspace_bytes| {
            let tensors = DensityPeaksTensors {
                metric: metric.address(),
                index: index.cast(),
                anchor: anchor.cast(),
                size: size.cast(),
                workspace,
                workspace_bytes,
            };
            // SAFETY: inputs and outputs are those of this call, of the sizes that the shape rule gave, on the device;
            // ONNX Runtime keeps them until the stream has done the work.
            Ok(unsafe { peaks.enqueue(&tensors, Stream(stream)) }?)
        })
    }
}

/// Makes the output `map`, if the node has it: its shape is the grid, and its values mean nothing and are not written.
fn run_time_map(call: &Call<'_>, number: usize, (h, w): (usize, usize), inputs: &[Input<'_>]) -> Result<()> {
    if number < call.output_count()? {
        call.allocate(number, &[OutDim::Known(h), OutDim::Known(w)], inputs)?;
    }
    Ok(())
}

/// Compares the grid of this call with the tokens there are: kernels on a device cannot object.
fn same_tokens(params: &DensityPeaks, grid: (usize, usize), tokens: usize) -> Result<()> {
    let fixed = DensityPeaks { grid: Some(grid), ..*params };
    fixed.output_shapes(&[&[None, Some(tokens), None]])?;
    Ok(())
}

struct Centres {
    params: GridKMeans,
    element: Element,
    workspaces: Workspaces,
}

impl Kernel for Centres {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let [z, index, weight] = self.params.output_shapes(&shapes(&inputs))?;
        let x = &inputs[0];
        // In the processor's memory, as for `Peaks`.
        let given = inputs.get(1).map(|grid| run_time_grid(&GridKMeans::SCHEMA, grid)).transpose()?;
        let grid = self.params.resolve_grid(given)?;
        let (z, _) = call.allocate(0, &z, &inputs)?;
        let (index, index_dims) = call.allocate(1, &index, &inputs)?;
        let (weight, _) = call.allocate(2, &weight, &inputs)?;
        run_time_map(call, 3, grid, &inputs)?;
        let fixed = GridKMeans { grid: Some(grid), ..self.params };
        fixed.output_shapes(&[&[None, Some(index_dims[1]), None]])?;
        let (batch, channels) = (x.dim(0), x.dim(2));
        if batch == 0 {
            return Ok(());
        }
        let means = GridKMeansCall { params: &self.params, grid, element: self.element, batch, channels };
        let (stream, bytes) = (call.stream()?, means.workspace()?);
        self.workspaces.with(call, x, stream, bytes, |workspace, workspace_bytes| {
            let tensors = GridKMeansTensors {
                x: x.address(),
                z,
                index: index.cast(),
                weight: weight.cast(),
                workspace,
                workspace_bytes,
            };
            // SAFETY: as for `Peaks`.
            Ok(unsafe { means.enqueue(&tensors, Stream(stream)) }?)
        })
    }
}

struct Means {
    merge: Merge,
    element: Element,
}

impl Kernel for Means {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let [shape] = self.merge.output_shapes(&shapes(&inputs))?;
        let [x, index, size] = [&inputs[0], &inputs[1], &inputs[2]];
        let dims = MergeDims { batch: x.dim(0), tokens: x.dim(1), rows: size.dim(1), channels: x.dim(2) };
        let (y, made) = call.allocate(0, &shape, &inputs)?;
        if made.contains(&0) {
            return Ok(());
        }
        let (x, index, size) = (x.address(), index.address().cast(), size.address().cast());
        // SAFETY: as for `Peaks`.
        Ok(unsafe { launcher::merge(self.element, dims, x, index, size, y, Stream(call.stream()?)) }?)
    }
}

struct Copies {
    attributes: Attributes,
    element: Element,
}

impl Kernel for Copies {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let known = shapes(&inputs);
        let [shape] = Unfold::from_attributes(pairs(&self.attributes), rank(&known, 1))?.output_shapes(&known)?;
        let (y, made) = call.allocate(0, &shape, &inputs)?;
        if made.contains(&0) {
            return Ok(());
        }
        let (z, index) = (&inputs[0], &inputs[1]);
        let weight = inputs.get(2).map_or(std::ptr::null(), |weight| weight.address().cast());
        let (dims, z, index) = (unfold_dims(z, index), z.address(), index.address().cast());
        // SAFETY: as for `Peaks`.
        Ok(unsafe { launcher::unfold(self.element, dims, z, index, weight, y, Stream(call.stream()?)) }?)
    }
}

struct Updates {
    attributes: Attributes,
    element: Element,
}

impl Kernel for Updates {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let known = shapes(&inputs);
        let unfold = UnfoldResidual::from_attributes(pairs(&self.attributes), rank(&known, 3))?;
        let [shape] = unfold.output_shapes(&known)?;
        let (y, made) = call.allocate(0, &shape, &inputs)?;
        if made.contains(&0) {
            return Ok(());
        }
        let [z, start, base, index] = [&inputs[0], &inputs[1], &inputs[2], &inputs[3]];
        let weight = inputs.get(4).map_or(std::ptr::null(), |weight| weight.address().cast());
        let streams = ResidualStreams { z: z.address(), start: start.address(), base: base.address() };
        let (dims, index) = (unfold_dims(z, index), index.address().cast());
        let stream = Stream(call.stream()?);
        // SAFETY: as for `Peaks`.
        Ok(unsafe { launcher::unfold_residual(self.element, dims, streams, index, weight, y, stream) }?)
    }
}
