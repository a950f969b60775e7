//! One session, many threads.

mod common;

use ailurus_ops::{DensityPeaks, Keep};
use ailurus_runtime::testing::onnx::ElementType;
use ailurus_runtime::{Optimization, Tensor, testing};
use ailurus_tests::conformance::{model, noise};
use common::load;

/// Calls at the same time share a kernel and what it keeps between calls: the windows of the last grid, which these
/// change all the time.
#[test]
fn runs_at_the_same_time_give_what_one_gives() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 20;
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let params = DensityPeaks::new(1, 0, None, Keep::Ratio { num: 1, den: 3 });
    let session = load(&runtime, &model(&params, ElementType::F32), Optimization::All).unwrap();
    let grids = [(9, 11), (16, 16), (5, 30), (24, 7)];
    let problems: Vec<(Tensor, Tensor)> = grids
        .iter()
        .zip(1u64..)
        .map(|(&(h, w), seed)| {
            let tokens = h * w + 1;
            let x = Tensor::new([2, tokens, 21], noise(2 * tokens * 21, seed)).unwrap();
            (x, Tensor::new([1, 1, h, w], vec![0f32; h * w]).unwrap())
        })
        .collect();
    let run = |(x, image): &(Tensor, Tensor)| session.run(&[("x", x), ("image", image)]).unwrap();
    let alone: Vec<_> = problems.iter().map(run).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (problems, alone, run) = (&problems, &alone, &run);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let which = (thread + round) % problems.len();
                    assert_eq!(run(&problems[which]), alone[which], "thread {thread}, round {round}");
                }
            });
        }
    });
}

/// Sessions come and go while others run: the operators are registered once and outlive all of them.
#[test]
fn sessions_come_and_go() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let params = DensityPeaks::new(0, 0, Some((4, 4)), Keep::Tokens(5));
    let file = model(&params, ElementType::F16);
    std::thread::scope(|scope| {
        for seed in 0..8u64 {
            let (file, runtime) = (&file, &runtime);
            scope.spawn(move || {
                for _ in 0..5 {
                    let session = load(runtime, file, Optimization::All).unwrap();
                    let x = noise(16 * 21, seed).into_iter().map(half::f16::from_f32).collect::<Vec<_>>();
                    assert_eq!(session.run(&[("x", &Tensor::new([1, 16, 21], x).unwrap())]).unwrap().len(), 6);
                }
            });
        }
    });
}
