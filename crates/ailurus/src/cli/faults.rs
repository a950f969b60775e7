//! Panics become diagnostics: a fault of the program must not look like one of the user's.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Mutex;

use super::Outcome;
use super::failure::Failure;

/// What the last panic said, and where.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Runs a command. Panics that something below catches by itself (the embedded runtime has them on models it does not
/// understand) say nothing; one that gets here is reported as what it is.
pub fn guard(command: impl FnOnce() -> Outcome) -> Outcome {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST.lock() {
            *last = Some(describe(info));
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let last = LAST.lock().ok().and_then(|mut last| last.take());
        Err(Failure::Fault(last.unwrap_or_default()))
    })
}

fn describe(info: &PanicHookInfo) -> String {
    let what = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(place) => format!("{what} ({place})"),
        None => what.to_owned(),
    }
}
