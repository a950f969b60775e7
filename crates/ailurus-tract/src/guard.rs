//! Errors and panics of tract as text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::TractResult;

/// Runs `f`; a panic inside tract (it indexes and unwraps on some malformed models) is an error
/// like any other.
///
/// What `f` leaves half done must not be used afterwards: callers pass work whose state is dropped
/// on error.
pub(crate) fn guard<T>(f: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        // The whole chain on one line: the outermost message alone names only the node.
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => {
            let message =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("internal error: {}", message.unwrap_or("unknown")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let text = guard::<()>(|| panic!("no entry {}", 3)).unwrap_err();
        std::panic::set_hook(hook);
        assert_eq!(text, "internal error: no entry 3");
    }
}
