//! Carries a plan out: one small pass per kind of change.

mod arranged;
mod build;
mod cluster;
mod corners;
mod declare;
mod gather;
mod metric;
mod open_corners;
mod operands;
mod pool;
mod proportional;
mod quantize;
mod tables;
mod unfold;
mod windows;

use crate::{DOMAIN, bodies, error::Error, options::Emit, plan::Plan, prepare, skip};
use ailurus_onnx::{GraphEdit, Model, NodeId, ValueId};
use ailurus_ops::Assignment;
pub use cluster::{density_peaks, grid_kmeans};

use arranged::Arranged;
use build::Build;
use std::collections::HashSet;

/// Values the passes hand to each other.
#[derive(Clone, Copy)]
struct Clusters {
    /// Row of each token: i32 `[B, T]`, or `[B, T, K]` where a token is made of several.
    index: ValueId,
    /// Weights of these: f32 `[B, T, K]`.
    weight: Option<ValueId>,
    /// Representative of each row: i32 `[B, R]`; clusters that form a grid have none.
    anchor: Option<ValueId>,
    /// The full stream at the cut, `[B, T, C]`.
    base: ValueId,
    /// Its merged form, `[B, R, C]`.
    start: ValueId,
    /// Tokens in each row: f32 `[B, R]`; known where every token belongs to one row.
    size: Option<ValueId>,
    /// Rows and columns of patches, where they are only known at run time: i64 `[2]`.
    grid: Option<ValueId>,
}

impl Clusters {
    fn assignment(&self) -> Assignment {
        if self.weight.is_some() { Assignment::Soft } else { Assignment::Hard }
    }

    fn anchor(&self) -> Result<ValueId, Error> {
        self.anchor.ok_or_else(|| Error::Plan("it asks for representatives of clusters that have none".into()))
    }

    fn size(&self) -> Result<ValueId, Error> {
        self.size.ok_or_else(|| Error::Plan("it asks for the size of clusters that have none".into()))
    }
}

/// The value of a rewritten model that holds the row of every token, or the rows that it is made of, the most important one
/// first.
pub fn index_name(plan: &Plan) -> String {
    format!("ailurus/{}/index", plan.layer)
}

/// Applies a plan to the model it was made for.
///
/// # Errors
/// When the plan does not fit the model.
pub fn apply(model: &Model, plan: &Plan, emit: Emit) -> Result<Model, Error> {
    let span = tracing::debug_span!("apply", layer = plan.layer);
    let _guard = span.enter();
    plan.validate()?;
    let mut b = Build::new(GraphEdit::new(prepare(model.clone())?), plan.layer);
    // Tables are computed from the model as it was.
    let original = (!plan.tables.is_empty()).then(|| b.edit.model().clone());
    // Names are looked up before anything is renamed.
    let targets = Targets::resolve(&b, plan)?;
    let clusters = cluster::insert(&mut b, plan, &targets)?;
    operands::rewrite(&mut b, plan, &targets, &clusters)?;
    gather::tables(&mut b, plan, &targets, &clusters)?;
    if let Some(original) = &original {
        tables::replace(&mut b, plan, original, &targets)?;
    }
    let mut arranged = Arranged::default();
    proportional::insert(&mut b, plan, &targets, &clusters, &mut arranged)?;
    unfold::insert(&mut b, plan, &targets, &clusters, &mut arranged)?;
    declare::shapes(&mut b, plan, &targets)?;
    b.sweep()?;
    let mut edit = b.edit;
    skip::join(&mut edit)?;
    match emit {
        Emit::Function => bodies::add(&mut edit, plan)?,
        Emit::Inline => {
            bodies::add(&mut edit, plan)?;
            edit.inline_functions(DOMAIN)?;
        }
        Emit::Custom => edit.import_opset(DOMAIN, 1),
    }
    edit.set_metadata("ailurus.version", env!("CARGO_PKG_VERSION"));
    let json = serde_json::to_string(plan).map_err(|e| Error::Plan(e.to_string()))?;
    edit.set_metadata("ailurus.plan", &json);
    Ok(edit.finish()?)
}

/// Everything a plan names, as ids.
struct Targets {
    cut: ValueId,
    region: HashSet<NodeId>,
    operands: Vec<NodeId>,
    gathers: Vec<NodeId>,
    tables: Vec<NodeId>,
    proportional: Vec<NodeId>,
    unfolds: Vec<ValueId>,
    reroutes: Vec<ValueId>,
    shapes: Vec<ValueId>,
}

impl Targets {
    fn resolve(b: &Build, plan: &Plan) -> Result<Self, Error> {
        Ok(Self {
            cut: b.value(&plan.cut.value)?,
            region: plan.region.iter().map(|n| b.node(n)).collect::<Result<_, _>>()?,
            operands: plan.operands.iter().map(|e| b.node(&e.node)).collect::<Result<_, _>>()?,
            gathers: plan.gathers.iter().map(|e| b.node(&e.node)).collect::<Result<_, _>>()?,
            tables: plan.tables.iter().map(|e| b.node(&e.node)).collect::<Result<_, _>>()?,
            proportional: plan.proportional.iter().map(|e| b.node(&e.node)).collect::<Result<_, _>>()?,
            unfolds: plan.unfolds.iter().map(|e| b.value(&e.value)).collect::<Result<_, _>>()?,
            reroutes: plan.reroutes.iter().map(|e| b.value(&e.value)).collect::<Result<_, _>>()?,
            shapes: plan.shapes.iter().map(|e| b.value(&e.value)).collect::<Result<_, _>>()?,
        })
    }
}
