//! Everything that is checked on one file.

use crate::{
    case::{self, Case, Inputs},
    clusters::{self, Names},
    deviation::{self, Precision},
    oracle::Oracle,
    probe, quantized,
    run::{self, Loader},
    structure,
    taps::places,
};
use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Emit, Error, Method, Metric, Options, Plan, UnfoldAt, UnfoldMode, options::Keep};
use ailurus_runtime::{OnnxRuntime, Outputs, Session, testing};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// What became of a file.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Every layer tried is right, or is refused.
    Verified(Numbers),
    /// Nothing can be merged in it.
    Refused {
        /// the code
        code: String,
        /// the whole message
        why: String,
    },
    /// Something is wrong.
    Failed(String),
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Blocks of the trunk.
    pub blocks: usize,
    /// Tokens before the patches.
    pub prefix: usize,
    /// Rows and columns of patches, when static.
    pub grid: Option<(usize, usize)>,
    /// Tokens behind them.
    pub suffix: usize,
    /// Layers that are right.
    pub layers: Vec<usize>,
    /// Layers that are refused, with code and message.
    pub refused: Vec<(usize, String, String)>,
    /// Largest deviation from the original at `keep = 1.0`.
    pub full: f64,
    /// Largest deviation from the oracle with fewer tokens.
    pub fewer: f64,
    /// Comparisons with the oracle.
    pub runs: usize,
    /// Nodes behind the encoder that run on clusters when unfolded as late as possible.
    pub beyond: usize,
    /// Of these, how many had patches in another cluster because of nearly equal distances.
    pub ties: usize,
}

/// One file under test.
struct Subject<'a> {
    /// For comparisons with the original.
    usual: Loader<'a>,
    /// For comparisons with the oracle.
    exact: Loader<'a>,
    /// Native kernels, where they were built.
    kernels: Option<&'a Path>,
    model: &'a Model,
    analysis: &'a Analysis<'a>,
    original: &'a dyn Session,
    precision: Precision,
    /// One image; three, and one of another size, where the file allows it; with what the original makes of them.
    images: Vec<(Inputs, Outputs)>,
}

/// Checks one file; never panics on account of the file.
pub fn file(runtime: &OnnxRuntime, case: &Case) -> Outcome {
    match inner(runtime, case) {
        Ok(outcome) => outcome,
        Err(e) => Outcome::Failed(format!("{e:#}").replace('\n', " ")),
    }
}

fn inner(runtime: &OnnxRuntime, case: &Case) -> Result<Outcome> {
    let stored = Model::load(&case.path)?;
    let model = ailurus_rewrite::prepare(stored.clone())?;
    let analysis = match Analysis::of(&model) {
        Ok(a) => a,
        Err(r) => return Ok(Outcome::Refused { code: format!("{:?}", r.code), why: r.to_string() }),
    };
    let precision = Precision::of(&model);
    let usual = Loader::usual(runtime);
    // ONNX Runtime replaces chains of 8-bit operators where it can. It can do so in the rewritten graph and not in the
    // masked one, and the replacements round differently: that would be compared, and not the rewriter.
    let exact = if precision == Precision::Eight { Loader::literal(runtime) } else { usual };
    let kernels = testing::find_kernel_library();
    let original = usual.load(&stored).context("the original")?;
    let mut images = vec![(case.inputs.clone(), run::run(original.as_ref(), &case.inputs)?)];
    if run::batch_is_open(original.as_ref(), &case.inputs) {
        let three = case::with_batch(&case.inputs, 3)?;
        // Some files declare an open batch and hold on to 1 inside.
        if let Ok(outputs) = run::run(original.as_ref(), &three) {
            images.push((three, outputs));
        }
    }
    if run::size_is_open(original.as_ref()) {
        let flat = case::with_size(&case.inputs)?;
        // Some files declare an open size and hold on to one inside.
        if let Ok(outputs) = run::run(original.as_ref(), &flat) {
            images.push((flat, outputs));
        }
    }
    let subject = Subject {
        usual,
        exact,
        kernels: kernels.as_deref(),
        model: &model,
        analysis: &analysis,
        original: original.as_ref(),
        precision,
        images,
    };
    subject.layers()
}

impl Subject<'_> {
    fn layers(&self) -> Result<Outcome> {
        let blocks = self.analysis.blocks();
        let middle = (blocks / 2).max(1);
        let mut layers = vec![1, middle, blocks.saturating_sub(1).max(1)];
        layers.dedup();
        let mut n = Numbers { blocks, ..Numbers::default() };
        for layer in layers {
            match self.layer(layer, layer == middle, &mut n).with_context(|| format!("layer {layer}"))? {
                None => n.layers.push(layer),
                Some((code, why)) => n.refused.push((layer, code, why)),
            }
        }
        Ok(match n.refused.first() {
            Some((_, code, why)) if n.layers.is_empty() => Outcome::Refused { code: code.clone(), why: why.clone() },
            _ => Outcome::Verified(n),
        })
    }

    /// Checks a layer; the middle one in every way, the others on one image.
    fn layer(&self, layer: usize, every_way: bool, n: &mut Numbers) -> Result<Option<(String, String)>> {
        let images = if every_way { &self.images[..] } else { &self.images[..1] };
        let mut options = Options::new(layer);
        let half = match self.plan(&options)? {
            Ok(plan) => plan,
            Err(refused) => return Ok(Some(refused)),
        };
        (n.prefix, n.grid, n.suffix) = (half.tokens.prefix, half.tokens.grid, half.tokens.suffix);
        options.keep = Keep::Ratio { num: 1, den: 1 };
        self.full(&self.planned(&options)?, images, n).context("keep 1.0")?;
        self.fewer(&half, images, every_way, n).context("keep 0.5")?;
        if every_way {
            // The published form: distances on the stream, copies at the end. An odd number divides nothing.
            let published = Options {
                keep: Keep::Tokens(half.tokens.patches.map_or(37, |p| p.min(74) / 2).max(1) | 1),
                metric: Metric::Stream,
                unfold: UnfoldMode::Copy,
                ..options
            };
            let plan = self.planned(&published)?;
            self.fewer(&plan, images, false, n).with_context(|| format!("{:?}, stream, copy", published.keep))?;
            self.weighed(layer, &half, images, n)?;
            self.windows(layer, &images[..1], n).context("windows")?;
        }
        Ok(None)
    }

    /// The same for windows instead of density peaks, where the grid is known.
    fn windows(&self, layer: usize, images: &[(Inputs, Outputs)], n: &mut Numbers) -> Result<()> {
        let half = Options { method: Method::Windows, ..Options::new(layer) };
        if self.analysis.grid().is_none() {
            let refused = self.plan(&half)?.err().map(|(code, _)| code);
            ensure!(refused.as_deref() == Some("AIL0206"), "with an open grid, windows give {refused:?}");
            return Ok(());
        }
        self.full(&self.planned(&Options { keep: Keep::Ratio { num: 1, den: 1 }, ..half.clone() })?, images, n)?;
        let plan = self.planned(&half)?;
        ensure!(ailurus_rewrite::replay(self.analysis, &plan)? == plan, "the plan is another one when it is replayed");
        self.fewer(&plan, images, true, n)
    }

    /// Attention in which clusters weigh as much as their members; refused just where there are no numbers to add to. The
    /// same with the grid made again as late as possible.
    fn weighed(&self, layer: usize, half: &Plan, images: &[(Inputs, Outputs)], n: &mut Numbers) -> Result<()> {
        let cores = || self.analysis.trunk.cores_behind(layer);
        let stored = places(self.analysis, cores())?.iter().any(|p| p.is_stored(self.analysis));
        let mut options = Options { proportional: true, ..Options::new(layer) };
        match self.plan(&options)? {
            Err((code, _)) => {
                ensure!(stored && code == "AIL0208", "proportional attention is refused: {code}");
                options.proportional = false;
            }
            Ok(plan) => {
                ensure!(!stored, "cluster sizes are added to scores that exist in 8 bits only");
                ensure!(plan.proportional.len() >= cores().count(), "cluster sizes do not reach every attention");
                self.fewer(&plan, images, false, n).context("proportional attention")?;
            }
        }
        options.unfold_at = UnfoldAt::Latest;
        if options.proportional && self.plan(&options)?.is_err() {
            // A decoder may have its scores in 8 bits.
            options.proportional = false;
        }
        let plan = self.planned(&options)?;
        ensure!(plan.region.len() >= half.region.len(), "a later end makes the region smaller");
        n.beyond = plan.region.len() - half.region.len();
        self.fewer(&plan, images, false, n).context("unfolded as late as possible")
    }

    /// A plan, or code and message of the refusal.
    fn plan(&self, options: &Options) -> Result<Result<Plan, (String, String)>> {
        match ailurus_rewrite::plan(self.analysis, options) {
            Ok(plan) => Ok(Ok(plan)),
            Err(e @ Error::Refused(_)) => Ok(Err((e.code(), e.to_string()))),
            Err(e) => Err(e.into()),
        }
    }

    /// A plan for a layer that can be planned.
    fn planned(&self, options: &Options) -> Result<Plan> {
        Ok(ailurus_rewrite::plan(self.analysis, options)?)
    }

    /// With every patch a cluster of its own, the outputs are those of the original.
    fn full(&self, plan: &Plan, images: &[(Inputs, Outputs)], n: &mut Numbers) -> Result<()> {
        let rewritten = ailurus_rewrite::apply(self.model, plan, Emit::Function)?;
        let session = self.usual.load(&rewritten)?;
        for (inputs, wanted) in images {
            let got = run::run(session.as_ref(), inputs)?;
            let error = deviation::outputs(wanted, &got)?;
            ensure!(error <= self.precision.at_full(), "off by {error:.1e} with {} images", case::batch(inputs));
            n.full = n.full.max(error);
        }
        Ok(())
    }

    /// With fewer clusters, the outputs are those of the oracle.
    fn fewer(&self, plan: &Plan, images: &[(Inputs, Outputs)], every_form: bool, n: &mut Numbers) -> Result<()> {
        let rewritten = ailurus_rewrite::apply(self.model, plan, Emit::Function)?;
        structure::interface(self.model, &rewritten)?;
        structure::refused_again(&rewritten)?;
        let rewritten = quantized::spelled_out(&rewritten)?;
        let session = self.exact.load(&rewritten).context("the rewritten file")?;
        ensure!(session.inputs() == self.original.inputs(), "ONNX Runtime sees other inputs");
        let declared = |s: &dyn Session| s.outputs().iter().map(|o| (o.name.clone(), o.data_type)).collect::<Vec<_>>();
        ensure!(declared(session.as_ref()) == declared(self.original), "ONNX Runtime sees other outputs");

        let (names, counters) = (Names::of(&rewritten, plan)?, structure::counters(self.analysis)?);
        let wanted = names.all().chain(counters.iter().map(|(_, v, _)| v.as_str()));
        let open = self.exact.load(&probe::with_outputs(&rewritten, wanted)?).context("with clusters shown")?;
        let forms = if every_form { self.forms(plan)? } else { Vec::new() };
        let oracle = Oracle::new(self.exact, self.analysis, plan).context("oracle")?;
        for (inputs, untouched) in images {
            let got = run::run(session.as_ref(), inputs)?;
            let shown = run::run(open.as_ref(), inputs)?;
            // Some models run on an image and its mirror image side by side.
            let batch = run::output(&shown, &names.index)?.dims().first().copied().context("an index without batch")?;
            let made = names.read(&shown)?;
            clusters::validate(&made, plan, batch)?;
            structure::tokens(&counters, &shown, plan, made.index.len() / batch, made.rows)?;

            let before = oracle.before(inputs, batch)?;
            let metric = run::output(&shown, &names.metric)?;
            let own = before.metric.write(ailurus_rewrite::layout::Layout::BatchTokenChannel, metric.data_type())?;
            let error = deviation::tensor("metric", &own, metric)?;
            ensure!(error <= self.precision.at_metric(), "the metric is off by {error:.1e}");
            let differ = clusters::disagreement(&oracle.clusters(&before)?, &made, batch);
            ensure!(differ <= self.precision.ties(), "{:.1} % of the tokens are in another cluster", differ * 100.0);
            n.runs += 1;
            n.ties += usize::from(differ > 0.0);

            let stored = names.start.as_deref().map(|name| run::output(&shown, name)).transpose()?;
            let wanted = oracle.outputs(inputs, &before, &made, stored)?;
            let error = deviation::outputs(&wanted, &got)?;
            ensure!(error <= self.precision.at_fewer(), "off the oracle by {error:.1e} with {batch} images");
            n.fewer = n.fewer.max(error);
            // Otherwise all of this would be true of a rewriter that does nothing.
            ensure!(deviation::outputs(untouched, &got)? > 1e-6, "merging changes nothing");
            for form in &forms {
                let error = deviation::outputs(&got, &run::run(form.session.as_ref(), inputs)?)?;
                ensure!(error <= form.tolerance, "operators {} change the outputs by {error:.1e}", form.how);
            }
        }
        Ok(())
    }

    /// The other forms that a rewritten file comes in.
    fn forms(&self, plan: &Plan) -> Result<Vec<Form>> {
        let make = |emit| quantized::spelled_out(&ailurus_rewrite::apply(self.model, plan, emit)?);
        let inlined = self.exact.load(&make(Emit::Inline)?).context("inlined")?;
        let mut forms = vec![Form { how: "inlined", session: inlined, tolerance: 1e-6 }];
        if let Some(library) = self.kernels {
            // Without bodies in the file nothing but the kernels can have run. They add the members of a row in another
            // order than the body does, and what is made of that differs by as much as other orders do elsewhere.
            let session = self.exact.with_kernels(library).load(&make(Emit::Custom)?).context("with kernels")?;
            forms.push(Form { how: "as kernels", session, tolerance: self.precision.at_fewer() });
        }
        Ok(forms)
    }
}

/// A form of a rewritten file.
struct Form {
    how: &'static str,
    session: Box<dyn Session>,
    /// How far its outputs may be from those of a file with functions.
    tolerance: f64,
}
