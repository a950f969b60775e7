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

/// Cuts `out` into runs of whole rows of `row` elements, at least `grain` rows each, and calls `work(first_row, run)`.
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
    let per_run = rows_per_run(pool, out.len() / row, grain);
    for_runs(pool, out.chunks_mut(per_run * row), |r, run| work(r * per_run, run));
}

/// As [`for_rows`], with runs that end behind these rows, in ascending order and the last among them.
pub(crate) fn for_rows_up_to<T: Send>(
    pool: &dyn Parallel,
    out: &mut [T],
    row: usize,
    ends: &[usize],
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let (mut runs, mut rest, mut first) = (Vec::with_capacity(ends.len()), out, 0);
    for &end in ends {
        let (run, behind) = rest.split_at_mut((end - first) * row);
        runs.push((first, run));
        (rest, first) = (behind, end);
    }
    for_runs(pool, runs.into_iter(), |_, (first, run)| work(first, run));
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
    for_runs(pool, runs, |r, (out, other)| work(r * per_run, out, other));
}

/// Four runs per thread even out unequal speeds without many tiny tasks.
fn rows_per_run(pool: &dyn Parallel, rows: usize, grain: usize) -> usize {
    let per_run = if pool.width() <= 1 { rows } else { rows.div_ceil(pool.width() * 4).max(grain) };
    per_run.max(1)
}

/// Calls `work` with every run and its number; a single one on the calling thread.
///
/// Each run sits behind a mutex that is locked exactly once: safe code, and free next to the work it guards.
fn for_runs<R: Send>(pool: &dyn Parallel, runs: impl ExactSizeIterator<Item = R>, work: impl Fn(usize, R) + Sync) {
    if runs.len() == 1 {
        return runs.for_each(|run| work(0, run));
    }
    let runs: Vec<_> = runs.map(|run| Mutex::new(Some(run))).collect();
    pool.run(runs.len(), &|r| {
        // A poisoned lock means another task panicked; that panic is already on its way to the caller.
        if let Ok(mut run) = runs[r].lock()
            && let Some(run) = run.take()
        {
            work(r, run);
        }
    });
}
