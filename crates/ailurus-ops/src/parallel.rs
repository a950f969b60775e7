//! Where parallel work runs: here, on rayon, or on a pool the caller brings.

use std::sync::Mutex;

/// Runs independent tasks. Implement it to bring a thread pool (ONNX Runtime's, for instance).
pub trait Parallel: Sync {
    /// Calls `task(0..tasks)`, each once, in any order, on any thread; returns when all are done.
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
    /// Number of tasks that can run at the same time; work is cut accordingly.
    fn width(&self) -> usize;
}

/// Everything on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(task);
    }
    fn width(&self) -> usize {
        1
    }
}

/// The rayon pool of the calling thread: the global one, or the one whose `install` we are inside of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rayon;

impl Parallel for Rayon {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        use rayon::prelude::*;
        (0..tasks).into_par_iter().for_each(task);
    }
    fn width(&self) -> usize {
        rayon::current_num_threads()
    }
}

/// A rayon pool of its own, for a given number of threads.
impl Parallel for rayon::ThreadPool {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        self.install(|| Rayon.run(tasks, task));
    }
    fn width(&self) -> usize {
        self.current_num_threads()
    }
}

/// Fewest numbers looked at once that are worth waking other threads for, which costs some ten microseconds each time.
const WORTH_WAKING: usize = 1 << 17;

/// A pool for so much work: this one, or the calling thread where waking others takes longer.
pub(crate) fn worth(pool: &dyn Parallel, work: usize) -> &dyn Parallel {
    if work < WORTH_WAKING { &Serial } else { pool }
}

/// As [`for_rows`], filling two slices with as many rows each.
pub(crate) fn for_rows_of_two<T: Send, U: Send>(
    pool: &dyn Parallel,
    (out, row): (&mut [T], usize),
    (other, other_row): (&mut [U], usize),
    grain: usize,
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    if out.is_empty() || other.is_empty() || row == 0 || other_row == 0 {
        return;
    }
    let per_run = rows_per_run(pool, out.len() / row, grain);
    let runs = out.chunks_mut(per_run * row).zip(other.chunks_mut(per_run * other_row));
    let runs: Vec<_> = runs.map(Mutex::new).collect();
    pool.run(runs.len(), &|r| {
        if let Ok(mut run) = runs[r].lock() {
            let (out, other) = &mut *run;
            work(r * per_run, out, other);
        }
    });
}

/// Four runs per thread even out unequal speeds without many tiny tasks.
fn rows_per_run(pool: &dyn Parallel, rows: usize, grain: usize) -> usize {
    if pool.width() <= 1 { rows } else { rows.div_ceil(pool.width() * 4).max(grain).max(1) }
}

/// Cuts `out` into runs of whole rows of `row` elements, at least `grain` rows each, and calls `work(first_row, run)`.
///
/// Each run sits behind a mutex that is locked exactly once: safe code, and free next to the work it guards.
pub(crate) fn for_rows<T: Send>(
    pool: &dyn Parallel,
    out: &mut [T],
    row: usize,
    grain: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if out.is_empty() || row == 0 {
        return;
    }
    let rows = out.len() / row;
    let per_run = rows_per_run(pool, rows, grain);
    if per_run >= rows {
        work(0, out);
        return;
    }
    let runs: Vec<Mutex<&mut [T]>> = out.chunks_mut(per_run * row).map(Mutex::new).collect();
    pool.run(runs.len(), &|r| {
        // A poisoned lock means another task panicked; that panic is already on its way to the caller.
        if let Ok(mut run) = runs[r].lock() {
            work(r * per_run, &mut run);
        }
    });
}
