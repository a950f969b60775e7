//! Parallel work on ONNX Runtime's own threads, and panics on their way through them.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use ailurus_ops::parallel::Parallel;
use ort_sys::OrtKernelContext;

use super::Api;
use crate::error::{Error, Result};

/// The threads within an operator of the session that calls: as many as the session was told to use, and no others.
pub(crate) struct Pool {
    api: Api,
    context: *const OrtKernelContext,
    width: usize,
}

// SAFETY: the context is used to start work only, on the thread that ONNX Runtime called us on.
unsafe impl Sync for Pool {}

impl Pool {
    /// # Safety
    /// `context` must be that of the call under way, and the pool must not outlive it.
    pub(crate) unsafe fn new(api: Api, context: *const OrtKernelContext) -> Self {
        // To ask takes as long as some of the work.
        let width = std::thread::available_parallelism().map_or(1, usize::from);
        Self { api, context, width }
    }
}

/// One piece of parallel work.
struct Job<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    /// The first panic of a task.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Runs task `number`. Panics must not leave it: what called it is not Rust.
unsafe extern "C" fn run_task(job: *mut c_void, number: usize) {
    // SAFETY: `run` below passes its job, which lives until all tasks are done.
    let job = unsafe { &*job.cast::<Job<'_>>() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (job.task)(number))) {
        job.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
    }
}

impl Parallel for Pool {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let job = Job { task, panic: Mutex::new(None) };
        // SAFETY: the context is valid during the call, and the job outlives the tasks, because the call returns when
        // all are done. As many batches as tasks: threads take the next one when they are free.
        let status = unsafe {
            let data = (&raw const job).cast_mut().cast::<c_void>();
            (self.api.KernelContext_ParallelFor)(self.context, run_task, tasks, tasks, data)
        };
        if let Err(error) = self.api.check(status) {
            // It fails before it has started anything, if at all.
            panic!("{error}");
        }
        if let Some(panic) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }

    /// ONNX Runtime does not tell how many threads a session has. This is the most there can be; work for more threads
    /// than there are only comes in smaller pieces.
    fn width(&self) -> usize {
        self.width
    }
}

/// Turns a panic into an error.
pub(crate) fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::Panic(text.unwrap_or("a panic without a message").to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_errors_with_their_text() {
        type Work = fn() -> Result<()>;
        let cases: [(Work, &str); 3] = [
            (|| panic!("plain"), "plain"),
            (|| panic!("with number {}", 3), "with number 3"),
            (|| std::panic::panic_any(3), "without a message"),
        ];
        for (work, text) in cases {
            let error = catch(work).unwrap_err();
            assert_eq!(error.code(), "AIL0902");
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_panic_in_a_task_is_kept_and_the_others_run() {
        let ran = Mutex::new(Vec::new());
        let task = |number: usize| {
            ran.lock().unwrap().push(number);
            assert!(number != 1, "task 1 fails");
        };
        let job = Job { task: &task, panic: Mutex::new(None) };
        for number in 0..3 {
            // SAFETY: the job lives on.
            unsafe { run_task((&raw const job).cast_mut().cast(), number) };
        }
        let panic = job.panic.into_inner().unwrap().expect("a panic was kept");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"task 1 fails"));
    }
}
