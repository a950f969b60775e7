//! `AilurusDensityPeaks` in tract.

use std::hash::{Hash, Hasher};

use ailurus_ops::parallel::Rayon;
use ailurus_ops::{Keep, Schema, Windows, kernel};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::slices::{Both, axis, by_element, dims, objection, tensor};
use super::{Operator, attributes, slices};

#[derive(Debug, Clone)]
pub(super) struct DensityPeaks(ailurus_ops::DensityPeaks);

/// The parameters as text and numbers that can be compared: tract merges equal nodes.
impl DensityPeaks {
    fn key(&self) -> impl Hash + Eq + use<> {
        let p = &self.0;
        let counts = (p.prefix, p.suffix, p.grid, p.keep, p.neighbors, p.window);
        (counts, p.spatial_mix.to_bits())
    }
}

impl PartialEq for DensityPeaks {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for DensityPeaks {}

impl Hash for DensityPeaks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Operator for DensityPeaks {
    const SCHEMA: &'static Schema = &ailurus_ops::DensityPeaks::SCHEMA;

    fn from_node(node: &NodeProto) -> TractResult<Self> {
        let list = attributes::read(node)?;
        let list = attributes::lend(&list);
        let parameters = ailurus_ops::DensityPeaks::from_attributes(list).map_err(objection)?;
        Ok(DensityPeaks(parameters))
    }

    fn rows(&self, tokens: &TDim) -> Option<TDim> {
        let p = &self.0;
        let own = p.prefix + p.suffix;
        match p.keep {
            Keep::Tokens(m) => Some((own + m).to_dim()),
            // ceil(N · num / den), exact also where N is a symbol.
            Keep::Ratio { num, den } => {
                let patches = tokens.clone() - own as i64;
                let scaled = patches * i64::try_from(num).ok()? + i64::try_from(den - 1).ok()?;
                Some(scaled / u64::try_from(den).ok()? + own as i64)
            }
        }
    }

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (batch, tokens) = (axis(inputs[0], 3, 0)?, axis(inputs[0], 3, 1)?);
        let rows = self.rows(&tokens).ok_or_else(|| format_err!("a share beyond 64 bits"))?;
        Ok(tvec!(
            i32::fact([batch.clone(), tokens]),
            i32::fact([batch.clone(), rows.clone()]),
            f32::fact([batch, rows]),
        ))
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let grid = slices::grid(inputs.get(1))?;
        let grid = self.0.resolve_grid(grid).map_err(objection)?;
        let metric = &inputs[0];
        by_element!(metric, cluster(&self.0, metric, grid))
    }
}

fn cluster<E: Both>(
    parameters: &ailurus_ops::DensityPeaks,
    metric: &TValue,
    grid: (usize, usize),
) -> TractResult<TVec<TValue>> {
    let [batch, tokens, channels] = dims(metric)?;
    // A window per patch, small next to the distances that are measured over it.
    let windows = Windows::new(grid, parameters.window).map_err(objection)?;
    let metric = slices::slice::<E>(metric)?;
    let out = kernel::density_peaks(parameters, metric, batch, channels, &windows, &Rayon).map_err(objection)?;
    Ok(tvec!(
        tensor(&[batch, tokens], &out.index)?,
        tensor(&[batch, out.rows], &out.anchor)?,
        tensor(&[batch, out.rows], &out.size)?,
    ))
}
