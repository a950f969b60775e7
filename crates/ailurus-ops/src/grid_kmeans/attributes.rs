//! Attributes of `AilurusGridKMeans`.

use super::{GridKMeans, NAME, Norm, TemperatureMode};
use crate::attribute::{Reader, grid_attribute, plugin_attributes};
use crate::{AttrValue, Attributes, Error, Result};

impl TemperatureMode {
    /// Name in attributes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::Relative => "relative",
        }
    }
}

impl Norm {
    /// Name in attributes.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
        }
    }
}

impl GridKMeans {
    /// Attributes of the node, in writing order; `grid_h` and `grid_w` are left out where the grid is an input.
    pub fn attributes(&self) -> Attributes {
        let int = |v: usize| AttrValue::Int(i64::try_from(v).unwrap_or(i64::MAX));
        let text = |v: &str| AttrValue::Str(v.into());
        let mut list = vec![("prefix", int(self.prefix)), ("suffix", int(self.suffix))];
        if let Some((h, w)) = self.grid {
            list.extend([("grid_h", int(h)), ("grid_w", int(w))]);
        }
        list.extend([
            ("cluster_h", int(self.clusters.0)),
            ("cluster_w", int(self.clusters.1)),
            ("iterations", int(self.iterations)),
            ("window", int(self.window)),
            ("neighbors", int(self.neighbors)),
            ("ties", int(self.ties)),
            ("temperature", AttrValue::Float(self.temperature)),
            ("temperature_mode", text(self.temperature_mode.name())),
            ("norm", text(self.norm.name())),
        ]);
        list.extend(plugin_attributes());
        list.extend(self.grid.is_none().then(grid_attribute));
        list
    }

    /// Reads the attributes of a node. Zero for `grid_h` and `grid_w` means absent. Result is validated.
    pub fn from_attributes<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a AttrValue)>) -> Result<Self> {
        let mut read = Reader::new(NAME, attributes)?;
        let missing = |name| Error::MissingAttribute { operator: NAME, name };
        let some = |v: Option<usize>| v.filter(|&v| v != 0);
        let prefix = read.size("prefix")?.unwrap_or(0);
        let suffix = read.size("suffix")?.unwrap_or(0);
        let grid = match (some(read.size("grid_h")?), some(read.size("grid_w")?)) {
            (Some(h), Some(w)) => Some((h, w)),
            (None, None) => None,
            (None, Some(_)) => return Err(missing("grid_h")),
            (Some(_), None) => return Err(missing("grid_w")),
        };
        let cluster_h = read.size("cluster_h")?.ok_or_else(|| missing("cluster_h"))?;
        let cluster_w = read.size("cluster_w")?.ok_or_else(|| missing("cluster_w"))?;
        let params = Self {
            prefix,
            suffix,
            grid,
            clusters: (cluster_h, cluster_w),
            iterations: read.size("iterations")?.unwrap_or(Self::ITERATIONS),
            window: read.size("window")?.unwrap_or(Self::WINDOW),
            neighbors: read.size("neighbors")?.unwrap_or(Self::NEIGHBORS),
            ties: read.size("ties")?.unwrap_or(0),
            temperature: read.float("temperature")?.unwrap_or(Self::TEMPERATURE),
            temperature_mode: read
                .choice("temperature_mode", &[TemperatureMode::Absolute, TemperatureMode::Relative], |m| m.name())?
                .unwrap_or_default(),
            norm: read.choice("norm", &[Norm::L1, Norm::L2], |n| n.name())?.unwrap_or_default(),
        };
        read.finish()?;
        params.validate()?;
        Ok(params)
    }
}
