//! Random vision transformers in random spellings: found, planned, rewritten, and run.
//!
//! Each switch of a [`Case`] is a spelling that some exporter, library or optimizer writes. To look for more:
//! `PROPTEST_CASES=2000` for longer, or `AILURUS_SURVEY=2000 cargo test … survey -- --ignored --nocapture`, which goes on
//! behind a failure and prints the smallest case of each kind.

mod vit;

use ailurus_runtime::{OnnxRuntime, testing};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::LazyLock,
};
use vit::{case::Case, check::check, draw::Draw};

/// Found once, or skipped once.
static RUNTIME: LazyLock<Option<OnnxRuntime>> = LazyLock::new(testing::onnx_runtime);

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn is_found_and_rewritten(case in Case::draw().prop_map(Case::normal), seed in any::<u32>()) {
        if let Err(e) = check(&case, seed, RUNTIME.as_ref(), None) {
            prop_assert!(false, "{e}");
        }
    }
}

fn tried(case: &Case, seed: u32, dump: Option<&Path>) -> Result<(), String> {
    let all = catch_unwind(AssertUnwindSafe(|| check(case, seed, RUNTIME.as_ref(), dump)));
    all.unwrap_or_else(|e| Err(format!("PANIC {:?}", e.downcast_ref::<String>())))
}

/// Looks for failures of all kinds, and for the smallest case of each.
#[test]
#[ignore = "takes as long as it is asked to"]
#[expect(clippy::print_stdout, reason = "this is its result")]
fn survey() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(or);
    let (cases, salt) = (number("AILURUS_SURVEY", 100), number("AILURUS_SALT", 0));
    let mut seed = [7u8; 32];
    seed[..8].copy_from_slice(&salt.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = Case::draw().prop_map(Case::normal);
    let mut failed = 0;
    for i in 0..cases {
        let mut tree = strategy.new_tree(&mut runner).expect("nothing is rejected");
        let Err(mut why) = tried(&tree.current(), i as u32, None) else { continue };
        failed += 1;
        let kind = |why: &str| why.split([' ', ',']).next().map(str::to_owned);
        let (wanted, mut smallest) = (kind(&why), tree.current());
        let mut go = tree.simplify();
        while go {
            match tried(&tree.current(), i as u32, None) {
                Err(e) if kind(&e) == wanted => {
                    (why, smallest) = (e, tree.current());
                    go = tree.simplify();
                }
                _ => go = tree.complicate(),
            }
        }
        let folder = std::env::var("AILURUS_DUMP").ok().map(|d| PathBuf::from(d).join(i.to_string()));
        if let Some(folder) = &folder {
            let _ = tried(&smallest, i as u32, Some(folder));
        }
        println!("## {i}: {why}\n{smallest:?}\n");
    }
    println!("{failed} of {cases} failed");
}
