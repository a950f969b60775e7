//! `AilurusGridKMeans` in tract.

use std::hash::{Hash, Hasher};

use ailurus_ops::parallel::Rayon;
use ailurus_ops::{Schema, kernel};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::slices::{Both, axis, by_element, dims, objection, tensor};
use super::{Operator, attributes, slices};

#[derive(Debug, Clone)]
pub(super) struct GridKMeans(ailurus_ops::GridKMeans);

/// The parameters as text and numbers that can be compared: tract merges equal nodes.
impl GridKMeans {
    fn key(&self) -> impl Hash + Eq + use<> {
        let p = &self.0;
        let counts = (p.prefix, p.suffix, p.grid, p.clusters, p.iterations, p.window, p.neighbors, p.ties);
        (counts, p.temperature.to_bits(), p.temperature_mode, p.norm)
    }
}

impl PartialEq for GridKMeans {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for GridKMeans {}

impl Hash for GridKMeans {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Operator for GridKMeans {
    const SCHEMA: &'static Schema = &ailurus_ops::GridKMeans::SCHEMA;

    fn from_node(node: &NodeProto) -> TractResult<Self> {
        let list = attributes::read(node)?;
        let list = attributes::lend(&list);
        let parameters = ailurus_ops::GridKMeans::from_attributes(list).map_err(objection)?;
        Ok(GridKMeans(parameters))
    }

    fn rows(&self, _: &TDim) -> Option<TDim> {
        Some(self.0.rows().to_dim())
    }

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [batch, tokens, channels] = [axis(inputs[0], 3, 0)?, axis(inputs[0], 3, 1)?, axis(inputs[0], 3, 2)?];
        let choices = self.0.choices().to_dim();
        Ok(tvec!(
            inputs[0].datum_type.fact([batch.clone(), self.0.rows().to_dim(), channels]),
            i32::fact([batch.clone(), tokens.clone(), choices.clone()]),
            f32::fact([batch, tokens, choices]),
        ))
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let grid = self.0.resolve_grid(slices::grid(inputs.get(1))?).map_err(objection)?;
        let x = &inputs[0];
        by_element!(x, cluster(&self.0, x, grid))
    }
}

fn cluster<E: Both>(
    parameters: &ailurus_ops::GridKMeans,
    x: &TValue,
    grid: (usize, usize),
) -> TractResult<TVec<TValue>> {
    let [batch, tokens, channels] = dims(x)?;
    let x = slices::slice::<E>(x)?;
    let out = kernel::grid_kmeans(parameters, x, batch, channels, grid, &Rayon).map_err(objection)?;
    Ok(tvec!(
        tensor(&[batch, out.rows, channels], &out.z)?,
        tensor(&[batch, tokens, out.choices], &out.index)?,
        tensor(&[batch, tokens, out.choices], &out.weight)?,
    ))
}
