//! The plugins and their fields.
#![allow(dead_code, reason = "every test program uses another part")]

use std::ffi::CStr;

use ailurus_ops::{AttrValue, Attributes, DensityPeaks, GridKMeans, Keep};
use ailurus_runtime::testing;
use ailurus_trt::bridge::{self, Field, Interface, Plugin};

pub const DENSITY_PEAKS: &CStr = c"AilurusDensityPeaks";
pub const GRID_KMEANS: &CStr = c"AilurusGridKMeans";
pub const MERGE: &CStr = c"AilurusMerge";
pub const UNFOLD: &CStr = c"AilurusUnfold";
pub const UNFOLD_RESIDUAL: &CStr = c"AilurusUnfoldResidual";

/// The interfaces that were compiled, or a visible skip (need `tensorrt`).
pub fn interfaces() -> Vec<&'static Interface> {
    let all = bridge::interfaces();
    if all.is_empty() {
        testing::skip(
            "tensorrt",
            "the plugins were built without TensorRT's headers; `cargo xtask tensorrt` fetches them",
        );
    }
    all
}

/// The newer interface, if there is one.
pub fn newer() -> Option<&'static Interface> {
    interfaces().into_iter().find(|interface| interface.name == "V3")
}

/// Attributes as TensorRT's parser hands them over: those for itself are left out.
pub fn fields(attributes: &Attributes) -> Vec<Field> {
    attributes
        .iter()
        .filter_map(|(name, value)| match value {
            AttrValue::Int(v) => Some(Field::int(name, i32::try_from(*v).unwrap())),
            AttrValue::Float(v) => Some(Field::float(name, *v)),
            AttrValue::Str(_) if name.starts_with("plugin_") => None,
            AttrValue::Str(v) => Some(Field::text(name, v)),
            AttrValue::Ints(_) => None,
        })
        .collect()
}

/// Parameters of a grid of 4 x 5 with a token before it, half of the patches kept.
pub fn half() -> DensityPeaks {
    DensityPeaks { window: 9, ..DensityPeaks::new(1, 0, Some((4, 5)), Keep::Ratio { num: 1, den: 2 }) }
}

/// A plugin for these parameters.
pub fn density_peaks<'a>(interface: &'a Interface, params: &DensityPeaks) -> Plugin<'a> {
    let plugin = interface.create(DENSITY_PEAKS, &fields(&params.attributes()));
    plugin.unwrap_or_else(|| panic!("{}: {}", interface.name, interface.log()))
}

/// Parameters of a grid of 4 x 6 with a token before it, and 2 x 3 centres.
pub fn sixth() -> GridKMeans {
    GridKMeans::new(1, 0, Some((4, 6)), (2, 3))
}

/// A plugin for these parameters.
pub fn grid_kmeans<'a>(interface: &'a Interface, params: &GridKMeans) -> Plugin<'a> {
    let plugin = interface.create(GRID_KMEANS, &fields(&params.attributes()));
    plugin.unwrap_or_else(|| panic!("{}: {}", interface.name, interface.log()))
}

/// A plugin of an operator without attributes.
pub fn plain<'a>(interface: &'a Interface, operator: &CStr) -> Plugin<'a> {
    interface.create(operator, &[]).unwrap_or_else(|| panic!("{}: {}", interface.name, interface.log()))
}
