//! The grid of patches in a sequence, and what stands before and behind it.

use super::Tokens;
use crate::{
    axis::{Axis, Factor, Origin, Run},
    interp::Interp,
    refusal::{Code, Refusal},
};

/// More class and register tokens than any model has: damaged files say anything.
const MOST: usize = 1 << 24;

/// Reads the tokens off a sequence.
pub fn of(interp: &Interp, sequence: &Axis) -> Result<Tokens, Refusal> {
    let atoms = &interp.atoms;
    let refuse = |why: String| {
        Refusal::new(
            Code::AIL0206,
            why,
            "a model whose tokens are a row-major grid of patches, with fixed numbers of other tokens",
        )
    };
    let spatial: Vec<usize> =
        (0..sequence.0.len()).filter(|&i| atoms.is_spatial(&Axis(vec![sequence.0[i].clone()]))).collect();
    let [at] = spatial[..] else {
        return Err(refuse(format!("the sequence [{}] holds more than one stretch of patches", atoms.show(sequence))));
    };
    let count = |runs: &[Run]| -> Result<usize, Refusal> {
        runs.iter().try_fold(0usize, |n, r| {
            let size = atoms.symbols.known(&atoms.run_size(r)).and_then(|k| usize::try_from(k).ok());
            let sum = size.and_then(|k| n.checked_add(k)).filter(|&sum| sum <= MOST);
            sum.ok_or_else(|| {
                refuse("the number of class or register tokens is not fixed, or no such number".to_owned())
            })
        })
    };
    let patches = sequence.0[at].clone();
    let mut grid = patches.clone();
    let mut permuted = false;
    while let [Factor::Atom(a)] = grid[..]
        && let Origin::Permuted(run) = &atoms.get(a).origin
    {
        grid = run.clone();
        permuted = true;
    }
    let [Factor::Atom(rows), Factor::Atom(columns)] = grid[..] else {
        return Err(refuse(format!(
            "the patches [{}] are not a grid of rows and columns",
            atoms.show(&Axis(vec![patches]))
        )));
    };
    Ok(Tokens {
        sequence: sequence.clone(),
        patches,
        grid: (rows, columns),
        permuted,
        prefix: count(&sequence.0[..at])?,
        suffix: count(&sequence.0[at + 1..])?,
    })
}
