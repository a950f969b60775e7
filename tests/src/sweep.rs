//! Many files, two at a time.

use crate::{
    case::Case,
    check::{self, Outcome},
};
use ailurus_runtime::OnnxRuntime;
use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Checks all files; the outcomes are in the order of the files.
pub fn run(runtime: &OnnxRuntime, cases: &[Case]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((i, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, cases.get(i)?)))
                {
                    let outcome = catch_unwind(AssertUnwindSafe(|| check::file(runtime, case)));
                    let outcome = outcome.unwrap_or_else(|_| Outcome::Failed("panicked".to_owned()));
                    report(&format!("{}: {}", case.name, describe(&outcome)));
                    done.lock().unwrap_or_else(|e| e.into_inner()).push((i, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, o)| o).collect()
}

/// One line about an outcome.
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused { why, .. } => format!("refused, {}", why.replace('\n', " ")),
        Outcome::Failed(why) => format!("FAILED: {why}"),
        Outcome::Verified(n) => {
            let mut text = format!(
                "layers {:?} of {}, keep 1.0 {:.1e}, oracle {:.1e} ({} runs, {} with near-ties), latest +{}",
                n.layers, n.blocks, n.full, n.fewer, n.runs, n.ties, n.beyond
            );
            if !n.refused.is_empty() {
                let list: Vec<String> =
                    n.refused.iter().map(|(l, _, why)| format!("{l}: {}", why.replace('\n', " "))).collect();
                text += &format!(", refused {}", list.join("; "));
            }
            text
        }
    }
}

/// A line on stderr, which the test harness does not capture: a run of minutes should show where it is.
pub fn report(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
