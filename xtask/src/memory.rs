//! How much anonymous memory this process needs: memory that cannot be dropped and read again from a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Samples the anonymous resident memory of the process every millisecond.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts sampling.
    pub(crate) fn start() -> Self {
        let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, until) = (peak.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                seen.fetch_max(anonymous_kb(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, peak, thread }
    }

    /// Stops, and gives the largest amount seen.
    pub(crate) fn peak_kb(self) -> u64 {
        self.peak.fetch_max(anonymous_kb(), Ordering::Relaxed);
        self.stop.store(true, Ordering::Relaxed);
        // the thread only sleeps and reads; it cannot have failed
        let _ = self.thread.join();
        self.peak.load(Ordering::Relaxed)
    }
}

/// `RssAnon` of the process; 0 where the system does not tell.
fn anonymous_kb() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
