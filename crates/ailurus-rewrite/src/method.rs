//! What the methods of clustering ask of a plan.

use crate::{
    error::Error,
    options::{Keep, Method, Metric, Options},
    plan::{ClusterPlan, DensityPeaksPlan, ExpeditPlan, WindowsPlan},
    windows,
};
use ailurus_analyze::{Analysis, Code, Refusal};
use ailurus_ops::{DensityPeaks, GridKMeans, Norm, TemperatureMode};

/// Refuses options that the method has no use for: they would be ignored.
pub fn check(options: &Options) -> Result<(), Error> {
    if options.method.grid().is_none() {
        return Ok(());
    }
    if options.proportional {
        return Err(Error::Options(
            "clusters that form a grid (expedit, pool) have no members to count, so attention cannot weigh them by their size",
        ));
    }
    match options.method {
        Method::Expedit(_) if options.metric == Metric::Keys => {
            Err(Error::Options("the method expedit measures distances on the stream, which it merges"))
        }
        Method::Pool(_) if options.metric == Metric::Keys => {
            Err(Error::Options("the method pool measures no distances"))
        }
        _ => Ok(()),
    }
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
        Method::Pool(p) => {
            known_grid(a, "pool")?;
            fits(p.grid, a.grid())?;
            let clusters = p.grid.0 * p.grid.1;
            Ok((Keep::Tokens(clusters), Some(clusters)))
        }
        Method::Windows => {
            let clusters = windows::clusters(known_grid(a, "windows")?, options.keep)?;
            Ok((options.keep, Some(clusters)))
        }
    }
}

/// The grid of patches, which has to be known when the model is rewritten.
fn known_grid(a: &Analysis, method: &str) -> Result<(usize, usize), Error> {
    a.grid().ok_or_else(|| {
        Refusal::new(
            Code::AIL0206,
            format!("the grid of patches is only known at run time, and --method {method} needs it when rewriting"),
            "fix the input size of the model, or use --method ailurus or expedit",
        )
        .into()
    })
}

/// Checks a grid of clusters over a grid of patches, as grid k-means does.
pub fn fits(clusters: (usize, usize), grid: Option<(usize, usize)>) -> Result<(), Error> {
    Ok(GridKMeans::new(0, 0, grid, clusters).validate()?)
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
        Method::Pool(pool) => ClusterPlan::Pool { pool },
        Method::Windows => ClusterPlan::Windows { windows: WindowsPlan {} },
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
