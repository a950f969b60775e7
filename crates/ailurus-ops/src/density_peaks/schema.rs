//! Schema and shape rule of `AilurusDensityPeaks`.

use super::{DensityPeaks, NAME};
use crate::attribute::GRID_ATTRIBUTE;
use crate::grid;
use crate::schema::{attr, optional, port, same};
use crate::{AttrKind, DOMAIN, Error, OutDim, PortType, Result, SINCE_VERSION, Schema};

impl DensityPeaks {
    /// The schema.
    pub const SCHEMA: Schema = Schema {
        name: NAME,
        domain: DOMAIN,
        since_version: SINCE_VERSION,
        inputs: &[port("metric", PortType::E, "B T d"), optional("grid", PortType::I64, "2")],
        outputs: &[
            port("index", PortType::I32, "B T"),
            port("anchor", PortType::I32, "B R"),
            port("size", PortType::F32, "B R"),
            grid::OUTPUT,
        ],
        attributes: &[
            attr("prefix", AttrKind::Int, true),
            attr("suffix", AttrKind::Int, true),
            attr("grid_h", AttrKind::Int, false),
            attr("grid_w", AttrKind::Int, false),
            attr("tokens", AttrKind::Int, false),
            attr("keep_num", AttrKind::Int, false),
            attr("keep_den", AttrKind::Int, false),
            attr("neighbors", AttrKind::Int, true),
            attr("window", AttrKind::Int, true),
            attr("spatial_mix", AttrKind::Float, true),
            attr("plugin_namespace", AttrKind::Str, true),
            attr("plugin_version", AttrKind::Str, true),
            GRID_ATTRIBUTE,
        ],
        doc: "Partitions patch tokens into clusters by spatial-aware density peaks.",
    };

    /// Shapes of the outputs but `map`, `[index, anchor, size]`, for the shapes of the inputs (`None`: size not known statically).
    pub fn output_shapes(&self, inputs: &[&[Option<usize>]]) -> Result<[Vec<OutDim>; 3]> {
        self.validate()?;
        let shape = |input, expected: &str, got: &[Option<usize>]| Error::Shape {
            operator: NAME,
            input,
            expected: expected.into(),
            got: format!("{got:?}"),
        };
        let metric = match inputs.first() {
            Some(metric) if metric.len() == 3 => metric,
            other => return Err(shape("metric", "[B, T, d]", other.copied().unwrap_or(&[]))),
        };
        grid::check_input(NAME, self.grid.is_some(), inputs.get(1))?;
        let outside = self.prefix + self.suffix;
        let patches = match (self.grid, metric[1]) {
            (Some((h, w)), Some(total)) if h * w + outside != total => {
                return Err(shape("metric", &format!("{} tokens on axis 1", h * w + outside), metric));
            }
            (Some((h, w)), _) => Some(h * w),
            (None, Some(total)) if total <= outside => {
                return Err(shape("metric", &format!("more than {outside} tokens on axis 1"), metric));
            }
            (None, Some(total)) => Some(total - outside),
            (None, None) => None,
        };
        let rows = match patches {
            Some(n) => OutDim::Known(self.rows(n)?),
            // A fixed number of clusters gives a fixed number of rows whatever the grid.
            None => match self.keep {
                crate::Keep::Tokens(m) => OutDim::Known(m + outside),
                crate::Keep::Ratio { .. } => OutDim::Rows,
            },
        };
        let tokens = patches.map_or(same(0, 1), |n| OutDim::Known(n + outside));
        Ok([vec![same(0, 0), tokens], vec![same(0, 0), rows], vec![same(0, 0), rows]])
    }
}
