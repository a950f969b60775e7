//! The models of `fixtures/`, which are always there, in the same way as those of the zoo.

use ailurus_runtime::testing;
use ailurus_tests::{case, case::Case, check::Outcome, run, sweep};

#[test]
fn fixtures() {
    let Some(runtime) = run::onnx_runtime() else { return };
    // Kernels are checked where they are found, so it has to be certain that they are.
    testing::kernel_library();
    let cases = Case::all(&case::fixtures()).expect("fixtures/ can be read");
    let outcomes = sweep::run(&runtime, &cases);
    for (case, outcome) in cases.iter().zip(&outcomes) {
        let right = matches!(outcome, Outcome::Verified(n) if n.refused.is_empty());
        assert!(right, "{}: {}", case.name, sweep::describe(outcome));
    }
}
