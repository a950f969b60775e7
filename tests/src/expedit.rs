//! What is checked on one file of the methods whose clusters form a grid: k-means and pooling.

use crate::{
    canonical::Stream,
    case::Case,
    deviation::{self, Precision},
    pool, probe, quantized,
    run::{self, Loader},
    structure,
};
use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{
    Emit, Error, Expedit, Method, Options, Plan, Pool, Tables, UnfoldAt, UnfoldMode, layout::Layout, plan::ClusterPlan,
};
use ailurus_runtime::{OnnxRuntime, Outputs, Session, testing};
use anyhow::{Context, Result, anyhow, bail, ensure};

/// What became of a file.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All is right: the deviation when every patch is a cluster.
    Verified(Option<f64>),
    /// It cannot be cut there.
    Refused(String),
    /// Something is wrong.
    Failed(String),
}

/// Checks one file; never panics on account of the file.
pub fn file(runtime: &OnnxRuntime, case: &Case) -> Outcome {
    inner(runtime, case).unwrap_or_else(|e| Outcome::Failed(format!("{e:#}").replace('\n', " ")))
}

struct Subject<'a> {
    usual: Loader<'a>,
    exact: Loader<'a>,
    model: &'a Model,
    analysis: &'a Analysis<'a>,
    case: &'a Case,
    original: &'a dyn Session,
    wanted: Outputs,
    precision: Precision,
}

fn inner(runtime: &OnnxRuntime, case: &Case) -> Result<Outcome> {
    let stored = Model::load(&case.path)?;
    let model = ailurus_rewrite::prepare(stored.clone())?;
    let Ok(analysis) = Analysis::of(&model) else { return Ok(Outcome::Refused("no encoder".into())) };
    let precision = Precision::of(&model);
    let usual = Loader::usual(runtime);
    let exact = if precision == Precision::Eight { Loader::literal(runtime) } else { usual };
    let original = usual.load(&stored).context("the original")?;
    let wanted = run::run(original.as_ref(), &case.inputs)?;
    let original = original.as_ref();
    let subject = Subject { usual, exact, model: &model, analysis: &analysis, case, original, wanted, precision };
    subject.check()
}

impl Subject<'_> {
    fn check(&self) -> Result<Outcome> {
        let layer = (self.analysis.blocks() / 2).max(1);
        let grid = self.analysis.grid();
        let small = grid.map_or((2, 2), |(h, w)| (h.div_ceil(2), w.div_ceil(2)));
        let options = |e| Options { method: Method::Expedit(e), ..Options::new(layer) };
        let pooled = |grid, tables| Options { method: Method::Pool(Pool { grid, tables }), ..Options::new(layer) };
        let half = match ailurus_rewrite::plan(self.analysis, &options(Expedit::new(small))) {
            Ok(plan) => plan,
            Err(e @ Error::Refused(_)) => return Ok(Outcome::Refused(e.code())),
            Err(e) => return Err(e.into()),
        };
        ensure!(ailurus_rewrite::replay(self.analysis, &half)? == half, "the plan is another one when it is replayed");
        self.fewer(&half, true).context("half")?;
        let others = [
            Options { unfold: UnfoldMode::Copy, ..options(Expedit { tables: Tables::Gather, ..Expedit::new(small) }) },
            Options { unfold_at: UnfoldAt::Latest, ..options(Expedit { neighbors: 1, ..Expedit::new(small) }) },
            options(Expedit { neighbors: 2, ..Expedit::parity(small) }),
        ];
        for options in others {
            let plan = ailurus_rewrite::plan(self.analysis, &options)?;
            self.fewer(&plan, false).with_context(|| format!("{options:?}"))?;
        }
        let Some(grid) = grid else {
            let refused = ailurus_rewrite::plan(self.analysis, &pooled(small, Tables::Resize)).err().map(|e| e.code());
            ensure!(refused.as_deref() == Some("AIL0206"), "with an open grid, pooling gives {refused:?}");
            return self.open(&half).map(|error| Outcome::Verified(Some(error)));
        };
        let plan = ailurus_rewrite::plan(self.analysis, &pooled(small, Tables::Resize))?;
        ensure!(ailurus_rewrite::replay(self.analysis, &plan)? == plan, "the plan is another one when it is replayed");
        self.fewer(&plan, true).context("pooled")?;
        let plan = Options { unfold: UnfoldMode::Copy, unfold_at: UnfoldAt::Latest, ..pooled(small, Tables::Gather) };
        self.fewer(&ailurus_rewrite::plan(self.analysis, &plan)?, false).context("pooled, copies")?;
        let mut worst = 0f64;
        let whole = [Tables::Resize, Tables::Gather].map(|tables| options(Expedit { tables, ..Expedit::new(grid) }));
        for options in whole.into_iter().chain([pooled(grid, Tables::Resize)]) {
            let plan = ailurus_rewrite::plan(self.analysis, &options)?;
            let rewritten = ailurus_rewrite::apply(self.model, &plan, Emit::Function)?;
            let got = run::run(self.usual.load(&rewritten)?.as_ref(), &self.case.inputs)?;
            let error = deviation::outputs(&self.wanted, &got)?;
            ensure!(error <= self.precision.at_full(), "every patch a cluster, {options:?}: off by {error:.1e}");
            worst = worst.max(error);
        }
        Ok(Outcome::Verified(Some(worst)))
    }

    /// With a grid that is only known at run time: the deviation when every patch of the image is a cluster; and with fewer
    /// clusters the same as from the model with sizes declared for the image.
    fn open(&self, half: &Plan) -> Result<f64> {
        let options = |e| Options { method: Method::Expedit(e), ..Options::new(half.layer) };
        let run = |model: &Model| run::run(self.usual.load(model)?.as_ref(), &self.case.inputs);
        let rewritten = ailurus_rewrite::apply(self.model, half, Emit::Function)?;
        let name = format!("ailurus/{}/grid", half.layer);
        let shown = run(&probe::with_outputs(&rewritten, [name.as_str()])?)?;
        let sides = run::output(&shown, &name)?.as_i64().context("not i64")?;
        let [h, w] = *sides else { bail!("{sides:?} is no grid") };
        let grid = (usize::try_from(h)?, usize::try_from(w)?);

        let declared = ailurus_rewrite::prepare(probe::declared(self.model, &self.case.inputs)?)?;
        let declared_analysis = Analysis::of(&declared).map_err(|e| anyhow!("with declared sizes: {e}"))?;
        ensure!(
            declared_analysis.grid() == Some(grid),
            "with declared sizes the grid is {:?}",
            declared_analysis.grid()
        );
        let small = (grid.0.div_ceil(2), grid.1.div_ceil(3));
        let mut worst = 0f64;
        for tables in [Tables::Resize, Tables::Gather] {
            let of = |grid| options(Expedit { tables, ..Expedit::new(grid) });
            let make = |model, analysis, grid| -> Result<Model> {
                let plan = ailurus_rewrite::plan(analysis, &of(grid))?;
                Ok(ailurus_rewrite::apply(model, &plan, Emit::Function)?)
            };
            let error = deviation::outputs(&self.wanted, &run(&make(self.model, self.analysis, grid)?)?)?;
            ensure!(error <= self.precision.at_full(), "every patch a cluster, {tables:?}: off by {error:.1e}");
            worst = worst.max(error);
            let fixed = run(&make(&declared, &declared_analysis, small)?)?;
            let error = deviation::outputs(&fixed, &run(&make(self.model, self.analysis, small)?)?)?;
            ensure!(
                error <= self.precision.at_fewer(),
                "{tables:?}: with declared sizes the outputs differ by {error:.1e}"
            );
        }
        Ok(worst)
    }

    /// With fewer clusters: the same interface, fewer tokens behind the cut, other outputs; the same in every form.
    fn fewer(&self, plan: &Plan, every_form: bool) -> Result<()> {
        let rewritten = ailurus_rewrite::apply(self.model, plan, Emit::Function)?;
        structure::interface(self.model, &rewritten)?;
        structure::refused_again(&rewritten)?;
        let rewritten = quantized::spelled_out(&rewritten)?;
        let session = self.exact.load(&rewritten).context("the rewritten file")?;
        ensure!(session.inputs() == self.original.inputs(), "ONNX Runtime sees other inputs");
        let got = run::run(session.as_ref(), &self.case.inputs)?;
        let changed = deviation::outputs(&self.wanted, &got)?;
        ensure!(changed > 1e-6 && changed.is_finite(), "merging changes the outputs by {changed}");

        let counters = structure::counters(self.analysis)?;
        let [z, index, weight] = ["merged", "index", "weight"].map(|what| format!("ailurus/{}/{what}", plan.layer));
        let own = [&z, &index, &weight, &plan.cut.value].map(String::as_str);
        let names = counters.iter().map(|(_, v, _)| v.as_str()).chain(own);
        let open = self.exact.load(&probe::with_outputs(&rewritten, names)?).context("with clusters shown")?;
        let shown = run::run(open.as_ref(), &self.case.inputs)?;
        let (batch, full) = (run::output(&shown, &index)?.dims()[0], run::output(&shown, &index)?.dims()[1]);
        let rows = run::output(&shown, &z)?.dims()[1];
        ensure!(plan.tokens.sequence().is_none_or(|n| n == full), "{full} tokens");
        ensure!(plan.tokens.rows() == Some(rows), "{rows} rows");
        // Inside windows attention runs on fewer tokens than there are; the sizes there are looked at in `tests/attention_windows.rs`.
        if self.analysis.trunk.window_behind(0).is_none() {
            structure::tokens(&counters, &shown, plan, full, rows)?;
        }
        if let (ClusterPlan::Pool { pool }, None) = (&plan.cluster, &plan.cut.quantization) {
            let merged = Stream::read(run::output(&shown, &z)?, Layout::BatchTokenChannel, batch)?;
            let base = Stream::read(run::output(&shown, &plan.cut.value)?, plan.cut.layout, batch)?;
            let index = run::output(&shown, &index)?.as_i32().context("not i32")?;
            let weight = run::output(&shown, &weight)?.as_f32().context("not f32")?;
            let error = pool::check(plan, pool, &base, &merged, index, weight)?;
            ensure!(error <= self.precision.at_metric(), "pooling is off by {error:.1e}");
        }
        if !every_form {
            return Ok(());
        }
        let make = |emit| quantized::spelled_out(&ailurus_rewrite::apply(self.model, plan, emit)?);
        let inlined = run::run(self.exact.load(&make(Emit::Inline)?)?.as_ref(), &self.case.inputs)?;
        let error = deviation::outputs(&got, &inlined)?;
        ensure!(error <= 1e-6, "inlined, the outputs are off by {error:.1e}");
        if let Some(library) = testing::find_kernel_library() {
            let native = self.exact.with_kernels(&library).load(&make(Emit::Custom)?).context("with kernels")?;
            let error = deviation::outputs(&got, &run::run(native.as_ref(), &self.case.inputs)?)?;
            ensure!(error <= self.precision.at_fewer(), "as kernels, the outputs are off by {error:.1e}");
        }
        Ok(())
    }
}
