//! From flags to options.

use ailurus_onnx::ExternalData;
use ailurus_rewrite::{Emit, Expedit, Layer, Method, Metric, Plan, Pool, Tables, UnfoldAt, UnfoldMode};
use ailurus_runtime::{Provider, SessionOptions};
use std::path::{Path, PathBuf};

use super::Outcome;
use super::args::{
    BenchArgs, EmitFlag, ExternalFlag, MethodFlag, MetricFlag, NativeArgs, PluginArg, ProviderFlag, RewriteArgs,
    RunArgs, RuntimeFlag, SourceArgs, TablesFlag, Tuning, UnfoldAtFlag, UnfoldFlag, VerifyArgs,
};
use super::failure::Failure;
use crate::bench::Bench;
use crate::inputs::{Normalization, Source};
use crate::verify::{Check, Engine};
use crate::{Error, Options, plugin};

impl Tuning {
    /// True when no flag says how tokens are merged. The trunk only says where.
    pub fn is_default(&self) -> bool {
        matches!(
            self,
            Tuning {
                method: None,
                grid: None,
                expedit_parity: false,
                preset: None,
                iterations: None,
                temperature: None,
                tables: None,
                keep: None,
                tokens: None,
                metric: None,
                unfold: None,
                unfold_at: None,
                trunk: _,
                proportional_attention: false,
                neighbors: None,
                window: None,
                spatial_mix: None,
            }
        )
    }

    /// The layer that was given, or that of the preset.
    pub fn layer(&self, given: Option<&Layer>) -> Option<Layer> {
        given.cloned().or_else(|| self.preset.map(|p| p.layer()))
    }

    /// Options for a cut at this layer, or at that of the preset.
    pub fn options_at(&self, given: Option<&Layer>) -> Outcome<Options> {
        let layer = self.layer(given).ok_or_else(|| Failure::Usage("--layer or --preset is needed".into()))?;
        self.options(layer)
    }

    /// The method, with its parameters.
    fn method(&self) -> Outcome<Method> {
        let usage = |text: &str| Err(Failure::Usage(text.into()));
        let wanted = self.method.or(self.preset.map(|_| MethodFlag::Expedit)).unwrap_or(MethodFlag::Ailurus);
        let means = self.expedit_parity || self.iterations.is_some() || self.temperature.is_some();
        if wanted != MethodFlag::Expedit && (means || self.preset.is_some()) {
            return usage("--preset, --expedit-parity, --iterations and --temperature go with --method expedit");
        }
        let peaks = self.neighbors.is_some() || self.window.is_some() || self.spatial_mix.is_some();
        match wanted {
            MethodFlag::Ailurus | MethodFlag::Windows if self.grid.is_some() || self.tables.is_some() => {
                return usage("--grid and --tables go with --method expedit and pool");
            }
            MethodFlag::Pool | MethodFlag::Windows if peaks => {
                return usage("--neighbors, --window and --spatial-mix go with --method ailurus and expedit");
            }
            MethodFlag::Ailurus => return Ok(Method::Ailurus),
            MethodFlag::Windows => return Ok(Method::Windows),
            MethodFlag::Pool | MethodFlag::Expedit => {}
        }
        if self.keep.is_some() || self.tokens.is_some() {
            return usage("the number of clusters of --method expedit and pool is that of their --grid");
        }
        let tables = self.tables.map(|tables| match tables {
            TablesFlag::Gather => Tables::Gather,
            TablesFlag::Resize => Tables::Resize,
        });
        if wanted == MethodFlag::Pool {
            if self.metric.is_some() || self.proportional_attention {
                return usage("--metric and --proportional-attention go with --method ailurus and windows");
            }
            let Some(grid) = self.grid else { return usage("--method pool needs --grid, such as --grid 28x28") };
            return Ok(Method::Pool(Pool { grid, tables: tables.unwrap_or_default() }));
        }
        if matches!(self.metric, Some(MetricFlag::Keys)) || self.spatial_mix.is_some() || self.proportional_attention {
            return usage("--metric keys, --spatial-mix and --proportional-attention go with --method ailurus");
        }
        let Some(grid) = self.grid.or(self.preset.map(|p| p.grid)) else {
            return usage("--method expedit needs --grid, such as --grid 28x28");
        };
        let plain = if self.expedit_parity { Expedit::parity(grid) } else { Expedit::new(grid) };
        let placed = match self.preset {
            Some(p) => Expedit { iterations: p.iterations, window: p.window, neighbors: p.neighbors, ..plain },
            None => plain,
        };
        Ok(Method::Expedit(Expedit {
            iterations: self.iterations.map_or(placed.iterations, |n| n as usize),
            window: self.window.map_or(placed.window, |n| n as usize),
            neighbors: self.neighbors.map_or(placed.neighbors, |n| n as usize),
            temperature: self.temperature.unwrap_or(placed.temperature),
            tables: tables.unwrap_or(placed.tables),
            ..placed
        }))
    }

    /// Options for a cut at this layer.
    pub fn options(&self, layer: impl Into<Layer>) -> Outcome<Options> {
        let mut options = Options::new(layer).method(self.method()?);
        if let Some(preset) = self.preset {
            options = options.unfold_at(preset.unfold_at);
        }
        if let Some(share) = self.keep {
            options = options.keep(share)?;
        }
        if let Some(tokens) = self.tokens {
            options = options.tokens(tokens as usize)?;
        }
        if let Some(metric) = self.metric {
            options = options.metric(match metric {
                MetricFlag::Auto => Metric::Auto,
                MetricFlag::Stream => Metric::Stream,
                MetricFlag::Keys => Metric::Keys,
            });
        }
        if let Some(unfold) = self.unfold {
            options = options.unfold(match unfold {
                UnfoldFlag::Residual => UnfoldMode::Residual,
                UnfoldFlag::Copy => UnfoldMode::Copy,
            });
        }
        if let Some(at) = self.unfold_at {
            options = options.unfold_at(match at {
                UnfoldAtFlag::Trunk => UnfoldAt::Trunk,
                UnfoldAtFlag::Latest => UnfoldAt::Latest,
            });
        }
        options.trunk.clone_from(&self.trunk);
        options = options.proportional_attention(self.proportional_attention);
        let r = &mut options.rewrite;
        r.neighbors = self.neighbors.map_or(r.neighbors, |k| k as usize);
        r.window = self.window.map_or(r.window, |n| n as usize);
        r.spatial_mix = self.spatial_mix.unwrap_or(r.spatial_mix);
        Ok(options)
    }
}

impl RunArgs {
    fn is_default(&self) -> bool {
        matches!(self, RunArgs { runtime: None, mean: None, std: None })
    }

    /// What runs the models.
    pub fn engine(&self) -> Engine {
        match self.runtime {
            None | Some(RuntimeFlag::Auto) => Engine::Auto,
            Some(RuntimeFlag::Ort) => Engine::Ort,
            Some(RuntimeFlag::Tract) => Engine::Tract,
        }
    }

    /// How pictures are normalised.
    pub fn normalization(&self) -> Outcome<Normalization> {
        let default = Normalization::default();
        let std = self.std.unwrap_or(default.std);
        if std.contains(&0.0) {
            return Err(Failure::Usage("--std must not hold a zero".into()));
        }
        Ok(Normalization { mean: self.mean.unwrap_or(default.mean), std })
    }

    /// Flags of pictures without a picture would do nothing.
    fn belongs_to(&self, source: &Source) -> Outcome {
        let picture = matches!(source, Source::Image(_) | Source::Images(_));
        if picture || (self.mean.is_none() && self.std.is_none()) {
            return Ok(());
        }
        Err(Failure::Usage("--mean and --std are about pictures, and no picture is given".into()))
    }
}

impl PluginArg {
    /// The libraries to register: none, or the one that is found.
    fn libraries(&self, engine: Engine) -> Outcome<Vec<PathBuf>> {
        let Some(given) = &self.plugin else {
            return Ok(Vec::new());
        };
        if engine == Engine::Tract {
            return Err(Failure::Usage("--plugin is for ONNX Runtime: tract has the operators built in".into()));
        }
        Ok(vec![plugin::find(given.as_deref())?])
    }
}

impl SourceArgs {
    fn source(&self) -> Source {
        match (&self.image, &self.inputs) {
            (Some(path), _) => Source::Image(path.clone()),
            (None, Some(path)) => Source::Arrays(path.clone()),
            (None, None) => Source::Noise(0),
        }
    }
}

/// What `rewrite` is to do.
pub struct Rewrite {
    /// Options; those that a plan fixes are of no account when there is one.
    pub options: Options,
    /// Plan to carry out.
    pub plan: Option<Plan>,
    /// Comparison to make.
    pub check: Option<Check>,
}

impl RewriteArgs {
    /// What was asked for.
    pub fn resolve(&self) -> Outcome<Rewrite> {
        if self.plan.is_some() && (!self.tuning.is_default() || self.tuning.trunk.is_some()) {
            return Err(Failure::Usage("a plan already says how tokens are merged: give --plan alone".into()));
        }
        if self.check.is_none() && !self.run.is_default() {
            return Err(Failure::Usage("--runtime, --mean and --std belong to --check".into()));
        }
        if self.check.is_none() && self.plugin.plugin.is_some() {
            return Err(Failure::Usage("--plugin belongs to --check".into()));
        }
        let image = self.check.as_ref().and_then(Option::as_ref);
        for source in self.plan.iter().chain(image) {
            if self.output.canonicalize().is_ok_and(|out| source.canonicalize().is_ok_and(|s| s == out)) {
                let text = format!("the output would replace `{}`", source.display());
                return Err(Failure::Usage(text));
            }
        }
        let plan = self.plan.as_deref().map(read_plan).transpose()?;
        let planned = plan.as_ref().map_or(0, |p| p.layer);
        let layer = self.tuning.layer(self.layer.as_ref()).unwrap_or(Layer::Index(planned));
        let options = self
            .tuning
            .options(layer)?
            .emit(match self.emit {
                EmitFlag::Function => Emit::Function,
                EmitFlag::Inline => Emit::Inline,
                EmitFlag::Custom => Emit::Custom,
            })
            .external_data(match self.external_data {
                ExternalFlag::Keep => ExternalData::Keep,
                ExternalFlag::Copy => ExternalData::Copy,
                ExternalFlag::Single => ExternalData::Single,
                ExternalFlag::Inline => ExternalData::Inline,
            })
            .overwrite_input(self.force);
        let check = match &self.check {
            Some(image) => {
                let source = image.clone().map_or(Source::Noise(0), Source::Image);
                Some(check(source, &self.run, &self.plugin, self.tolerance)?)
            }
            None => None,
        };
        Ok(Rewrite { options, plan, check })
    }
}

impl VerifyArgs {
    /// The comparison to make.
    pub fn resolve(&self) -> Outcome<Check> {
        let source = self.images.clone().map_or_else(|| self.source.source(), Source::Images);
        self.run.belongs_to(&source)?;
        check(source, &self.run, &self.plugin, self.tolerance)
    }
}

fn check(source: Source, run: &RunArgs, plugin: &PluginArg, tolerance: Option<f64>) -> Outcome<Check> {
    let engine = run.engine();
    let custom_op_libraries = plugin.libraries(engine)?;
    Ok(Check {
        source,
        normalization: run.normalization()?,
        engine,
        session: SessionOptions { custom_op_libraries, ..SessionOptions::default() },
        tolerance,
        ..Check::default()
    })
}

impl NativeArgs {
    /// What is measured, with the default number of runs.
    pub fn resolve(&self) -> Outcome<Bench> {
        let (source, engine) = (self.source.source(), self.run.engine());
        self.run.belongs_to(&source)?;
        let provider = match self.provider {
            None | Some(ProviderFlag::Cpu) => Provider::Cpu,
            Some(ProviderFlag::Cuda) => Provider::Cuda,
        };
        if engine == Engine::Tract && provider != Provider::Cpu {
            return Err(Failure::Usage("--provider cuda is for ONNX Runtime: tract computes on the processor".into()));
        }
        let session = SessionOptions {
            threads: self.threads.map(|n| n as usize),
            provider,
            custom_op_libraries: self.plugin.libraries(engine)?,
            ..SessionOptions::default()
        };
        Ok(Bench { source, normalization: self.run.normalization()?, engine, session, ..Bench::default() })
    }
}

impl BenchArgs {
    /// What is measured, and how often.
    pub fn resolve(&self) -> Outcome<Bench> {
        let mut bench = self.native.resolve()?;
        let rounds = &mut bench.rounds;
        rounds.pairs = self.rounds.map_or(rounds.pairs, |n| n as usize);
        rounds.warm_up = self.warm_up.map_or(rounds.warm_up, |n| n as usize);
        Ok(bench)
    }
}

/// Plans name every node of the region; this is far more than any model has.
const LONGEST_PLAN: u64 = 64 << 20;

fn read_plan(path: &Path) -> Outcome<Plan> {
    let fail = |reason: String| Error::PlanFile { path: path.to_owned(), reason };
    let meta = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
    if !meta.is_file() || meta.len() > LONGEST_PLAN {
        return Err(fail("it is no plan: a plan is a text file of at most 64 MB".into()).into());
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    Ok(serde_json::from_str(&text).map_err(|e| fail(e.to_string()))?)
}
