//! Every model of the zoo, rewritten and run, against the original and an independent evaluation.

use ailurus_runtime::testing;
use ailurus_tests::{case, case::Case, check::Outcome, expect, labels, run, support, sweep};

#[test]
fn zoo() {
    let Some(folder) = testing::zoo() else { return };
    let Some(runtime) = run::onnx_runtime() else { return };
    // Kernels are checked where they are found, so it has to be certain that they are.
    testing::kernel_library();
    let mut cases = Case::all(&folder).expect("the zoo can be read");
    // Fixtures that are not part of it belong to the table as well.
    let fixtures = Case::all(&case::fixtures()).expect("fixtures/ can be read");
    cases.extend(fixtures.into_iter().filter(|f| cases.iter().all(|c| c.name != f.name)).collect::<Vec<_>>());
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    // For work on a single model.
    let only = std::env::var("AILURUS_ONLY").unwrap_or_default();
    cases.retain(|c| c.name.contains(&only));
    let outcomes = sweep::run(&runtime, &cases);
    let named: Vec<_> = cases.iter().map(|c| c.name.clone()).zip(outcomes).collect();
    let mut faults: Vec<String> = named.iter().filter_map(|(n, o)| expect::fault(n, o)).collect();
    let verified = named.iter().filter_map(|(name, o)| match o {
        Outcome::Verified(n) => Some((name.as_str(), n)),
        _ => None,
    });
    faults.extend(labels::faults(&folder, verified).expect("labels can be read"));
    assert!(faults.is_empty(), "{} of {} files:\n{}", faults.len(), named.len(), faults.join("\n"));
    if only.is_empty() {
        support::settle(&named).unwrap_or_else(|e| panic!("{e:#}"));
    }
}
