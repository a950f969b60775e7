//! Every model of the zoo with clusters that form a grid.

use ailurus_runtime::testing;
use ailurus_tests::{
    case::{self, Case},
    expedit::{self, Outcome},
    run, sweep,
};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Fewest files that are verified when all are there.
const FEWEST: usize = 15;

#[test]
fn expedit() {
    let Some(runtime) = run::onnx_runtime() else { return };
    let mut cases = Case::all(&case::fixtures()).expect("fixtures/ can be read");
    let zoo = testing::zoo();
    if let Some(folder) = &zoo {
        cases.extend(Case::all(folder).expect("the zoo can be read"));
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases.dedup_by(|a, b| a.name == b.name);
    // For work on a single model.
    let only = std::env::var("AILURUS_ONLY").unwrap_or_default();
    cases.retain(|c| c.name.contains(&only));
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = expedit::file(&runtime, case);
                    sweep::report(&format!("{}: {outcome:?}", case.name));
                    outcomes.lock().unwrap().push((case.name.clone(), outcome));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let faults: Vec<_> = outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Failed(_))).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let verified = outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Verified(_))).count();
    assert!(verified >= FEWEST || !only.is_empty(), "only {verified} files are verified");
}
