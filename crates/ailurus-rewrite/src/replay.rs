//! Saved plans. What people may edit in one is taken over; everything else must be what the analysis of the model gives,
//! because a plan that is wrong there makes a model that is wrong.

use crate::{
    error::Error,
    options::{Keep, Method, Metric, Options, UnfoldMode},
    plan::{ClusterPlan, DensityPeaksPlan, MetricPlan, Plan},
    planner,
};
use ailurus_analyze::Analysis;
use serde_json::Value;

/// Checks a saved plan against the model it is to be carried out on, and brings up to date what follows from an edit.
///
/// These may be edited: `tokens.keep` (all that depends on the number of clusters follows), `cluster`, `metric` from keys to
/// the stream, `mode` of each unfold from `residual` to `copy`, and entries of `proportional` may be left out.
///
/// # Errors
/// When the plan is of another format or for another model, and when it says something that this model does not.
pub fn replay(a: &Analysis, saved: &Plan) -> Result<Plan, Error> {
    saved.check_format()?;
    known_names(a, saved)?;
    let options = settings(saved);
    let mut fresh = planner::plan(a, &options)?;
    if saved.cluster.grid().is_some() && saved.tokens.keep != fresh.tokens.keep {
        // A number of clusters is no grid of them.
        let text = |keep| serde_json::to_value(keep).unwrap_or_default().to_string();
        return Err(edited("tokens.keep".into(), text(saved.tokens.keep), text(fresh.tokens.keep)));
    }
    if let Some(fault) = difference(saved, &fresh) {
        // Where only the share was edited, the rest is what the old share gave.
        let keep = saved.tokens.clusters.map_or(Keep::Ratio { num: 1, den: 2 }, Keep::Tokens);
        let before = (saved.tokens.clusters != fresh.tokens.clusters)
            .then(|| planner::plan(a, &Options { keep, ..options }))
            .and_then(Result::ok);
        if before.is_none_or(|before| difference(saved, &before).is_some()) {
            return Err(fault);
        }
    }
    for (at, (new, old)) in fresh.unfolds.iter_mut().zip(&saved.unfolds).enumerate() {
        if old.mode == UnfoldMode::Residual && new.mode == UnfoldMode::Copy {
            return Err(edited(format!("unfolds[{at}].mode"), "\"residual\"".into(), "\"copy\"".into()));
        }
        new.mode = old.mode;
    }
    if let Some(at) = saved.proportional.iter().position(|edit| !fresh.proportional.contains(edit)) {
        let text = serde_json::to_value(&saved.proportional[at]).unwrap_or_default();
        return Err(edited(format!("proportional[{at}]"), short(&text), "no such entry".into()));
    }
    fresh.proportional.clone_from(&saved.proportional);
    fresh.notes.clone_from(&saved.notes);
    Ok(fresh)
}

/// The options that make a plan like this one, with residual unfolding. Whatever an option decides about a plan has to be read back here.
pub fn settings(plan: &Plan) -> Options {
    let plain = Options::new(plan.layer);
    let plain = match plan.cluster {
        ClusterPlan::DensityPeaks(DensityPeaksPlan { neighbors, window, spatial_mix }) => {
            Options { neighbors, window, spatial_mix, ..plain }
        }
        ClusterPlan::Expedit { expedit } => Options { method: Method::Expedit(expedit.into()), ..plain },
        ClusterPlan::Pool { pool } => Options { method: Method::Pool(pool), ..plain },
        ClusterPlan::Windows { .. } => Options { method: Method::Windows, ..plain },
    };
    Options {
        keep: plan.tokens.keep,
        metric: match plan.metric {
            MetricPlan::Stream => Metric::Stream,
            MetricPlan::Keys(_) => Metric::Keys,
        },
        unfold_at: plan.unfold_at,
        // modes are compared one by one
        unfold: UnfoldMode::Residual,
        proportional: !plan.proportional.is_empty(),
        ..plain
    }
}

/// Fails on the first name that the model does not have: then the plan is another model's.
fn known_names(a: &Analysis, plan: &Plan) -> Result<(), Error> {
    let g = &a.interp.model.graph;
    let nodes = plan
        .region
        .iter()
        .chain(plan.operands.iter().map(|e| &e.node))
        .chain(plan.gathers.iter().map(|e| &e.node))
        .chain(plan.tables.iter().map(|e| &e.node));
    let values = [&plan.cut.value].into_iter().chain(plan.unfolds.iter().map(|e| &e.value));
    let foreign = |what, name: &String| Err(Error::Foreign { what, name: name.clone() });
    if let Some(name) = values.into_iter().find(|name| g.find(name).is_none()) {
        return foreign("the value", name);
    }
    match nodes.into_iter().find(|name| g.find(name).is_none()) {
        Some(name) => foreign("the node behind", name),
        None => Ok(()),
    }
}

/// The first field that may not be edited and was.
fn difference(saved: &Plan, fresh: &Plan) -> Option<Error> {
    let (saved, fresh) = (fixed(saved), fixed(fresh));
    let (path, saved, fresh) = first_difference("", &saved, &fresh)?;
    Some(edited(path, short(saved), short(fresh)))
}

/// A plan without what may be edited, and without what only informs.
fn fixed(plan: &Plan) -> Value {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    for key in ["cluster", "proportional", "flops", "notes"] {
        if let Some(fields) = value.as_object_mut() {
            fields.remove(key);
        }
    }
    if let Some(tokens) = value.get_mut("tokens").and_then(Value::as_object_mut) {
        tokens.remove("keep");
    }
    for unfold in value.get_mut("unfolds").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = unfold.as_object_mut() {
            fields.remove("mode");
        }
    }
    value
}

fn first_difference<'a>(path: &str, a: &'a Value, b: &'a Value) -> Option<(String, &'a Value, &'a Value)> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => x.iter().find_map(|(key, v)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            first_difference(&path, v, &y[key])
        }),
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let pairs = x.iter().zip(y).enumerate();
            pairs.into_iter().find_map(|(i, (v, w))| first_difference(&format!("{path}[{i}]"), v, w))
        }
        _ => (a != b).then(|| (path.to_owned(), a, b)),
    }
}

fn edited(field: String, saved: String, derived: String) -> Error {
    Error::Edited { field, saved, derived }
}

/// A value in a message.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Array(list) if list.len() > 4 => format!("a list of {}", list.len()),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
