//! What the methods of clustering ask of a plan.

use crate::{
    error::Error,
    options::{Keep, Method, Metric, Options},
    plan::{ClusterPlan, DensityPeaksPlan, ExpeditPlan},
};
use ailurus_analyze::Analysis;
use ailurus_ops::{DensityPeaks, GridKMeans, Norm, TemperatureMode};

/// Refuses options that the method has no use for: they would be ignored.
pub fn check(options: &Options) -> Result<(), Error> {
    let Method::Expedit(_) = options.method else { return Ok(()) };
    if options.proportional {
        return Err(Error::Options(
            "clusters of the method expedit have no members to count, so attention cannot weigh them by their size",
        ));
    }
    if options.metric == Metric::Keys {
        return Err(Error::Options("the method expedit measures distances on the stream, which it merges"));
    }
    Ok(())
}

/// How many clusters there are: as a plan says it, and in numbers when static.
pub fn clusters(a: &Analysis, options: &Options) -> Result<(Keep, Option<usize>), Error> {
    let t = &a.trunk.tokens;
    match options.method {
        Method::Ailurus => {
            let plain = DensityPeaks::new(t.prefix, t.suffix, a.grid(), options.keep.into());
            let params = DensityPeaks {
                neighbors: options.neighbors,
                window: options.window,
                spatial_mix: options.spatial_mix,
                ..plain
            };
            params.validate()?;
            let clusters = match (a.patches(), options.keep) {
                (Some(n), _) => Some(params.tokens(n)?),
                (None, Keep::Tokens(m)) => Some(m),
                (None, _) => None,
            };
            Ok((options.keep, clusters))
        }
        Method::Expedit(e) => {
            let params = grid_kmeans(t.prefix, t.suffix, a.grid(), &e.into());
            params.validate()?;
            Ok((Keep::Tokens(params.tokens()), Some(params.tokens())))
        }
    }
}

/// The method in a plan.
pub fn plan(options: &Options) -> ClusterPlan {
    match options.method {
        Method::Ailurus => ClusterPlan::DensityPeaks(DensityPeaksPlan {
            neighbors: options.neighbors,
            window: options.window,
            spatial_mix: options.spatial_mix,
        }),
        Method::Expedit(e) => ClusterPlan::Expedit { expedit: e.into() },
    }
}

/// Parameters of grid k-means.
pub fn grid_kmeans(prefix: usize, suffix: usize, grid: Option<(usize, usize)>, plan: &ExpeditPlan) -> GridKMeans {
    let plain = GridKMeans {
        iterations: plan.iterations,
        window: plan.window,
        neighbors: plan.neighbors,
        temperature: plan.temperature,
        ..GridKMeans::new(prefix, suffix, grid, plan.grid)
    };
    if !plan.parity {
        return plain;
    }
    GridKMeans {
        temperature_mode: TemperatureMode::Absolute,
        norm: Norm::L2,
        // Places for every centre there is: that many may be as near as the last.
        ties: plan.grid.0.saturating_mul(plan.grid.1).saturating_sub(plan.neighbors),
        ..plain
    }
}
