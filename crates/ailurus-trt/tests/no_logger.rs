//! Plugins in a process without a logger. By itself, because the logger is one for all threads.

mod common;

use common::{DENSITY_PEAKS, interfaces};

#[test]
fn without_a_logger_nothing_is_lost_or_broken() {
    for interface in interfaces() {
        interface.attach_log(false);
        // The message goes to standard error.
        assert!(interface.create(DENSITY_PEAKS, &[]).is_none());
        interface.attach_log(true);
        assert_eq!(interface.log(), "");
    }
}
