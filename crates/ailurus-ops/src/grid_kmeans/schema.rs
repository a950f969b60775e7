//! Schema and shape rule of `AilurusGridKMeans`.

use super::{GridKMeans, NAME};
use crate::attribute::GRID_ATTRIBUTE;
use crate::grid;
use crate::schema::{attr, optional, port, same};
use crate::{AttrKind, DOMAIN, Error, OutDim, PortType, Result, SINCE_VERSION, Schema};

impl GridKMeans {
    /// The schema.
    pub const SCHEMA: Schema = Schema {
        name: NAME,
        domain: DOMAIN,
        since_version: SINCE_VERSION,
        inputs: &[port("x", PortType::E, "B T C"), optional("grid", PortType::I64, "2")],
        outputs: &[
            port("z", PortType::E, "B R C"),
            port("index", PortType::I32, "B T K"),
            port("weight", PortType::F32, "B T K"),
            grid::OUTPUT,
        ],
        attributes: &[
            attr("prefix", AttrKind::Int, true),
            attr("suffix", AttrKind::Int, true),
            attr("grid_h", AttrKind::Int, false),
            attr("grid_w", AttrKind::Int, false),
            attr("cluster_h", AttrKind::Int, true),
            attr("cluster_w", AttrKind::Int, true),
            attr("iterations", AttrKind::Int, true),
            attr("window", AttrKind::Int, true),
            attr("neighbors", AttrKind::Int, true),
            attr("ties", AttrKind::Int, true),
            attr("temperature", AttrKind::Float, true),
            attr("temperature_mode", AttrKind::Str, true),
            attr("norm", AttrKind::Str, true),
            attr("plugin_namespace", AttrKind::Str, true),
            attr("plugin_version", AttrKind::Str, true),
            GRID_ATTRIBUTE,
        ],
        doc: "Clusters patch tokens by soft k-means into centres that are a smaller grid.",
    };

    /// Shapes of the outputs but `map`, `[z, index, weight]`, for the shapes of the inputs (`None`: size not known statically).
    pub fn output_shapes(&self, inputs: &[&[Option<usize>]]) -> Result<[Vec<OutDim>; 3]> {
        self.validate()?;
        let shape = |input, expected: &str, got: &[Option<usize>]| Error::Shape {
            operator: NAME,
            input,
            expected: expected.into(),
            got: format!("{got:?}"),
        };
        let x = match inputs.first() {
            Some(x) if x.len() == 3 => x,
            other => return Err(shape("x", "[B, T, C]", other.copied().unwrap_or(&[]))),
        };
        grid::check_input(NAME, self.grid.is_some(), inputs.get(1))?;
        let outside = self.prefix + self.suffix;
        let tokens = match (self.grid, x[1]) {
            (Some((h, w)), Some(total)) if h * w + outside != total => {
                return Err(shape("x", &format!("{} tokens on axis 1", h * w + outside), x));
            }
            (Some((h, w)), _) => OutDim::Known(h * w + outside),
            (None, Some(total)) if total < outside + self.tokens() => {
                return Err(shape("x", &format!("at least {} tokens on axis 1", outside + self.tokens()), x));
            }
            (None, Some(total)) => OutDim::Known(total),
            (None, None) => same(0, 1),
        };
        let choices = vec![same(0, 0), tokens, OutDim::Known(self.choices())];
        Ok([vec![same(0, 0), OutDim::Known(self.rows()), same(0, 2)], choices.clone(), choices])
    }
}
