//! `AilurusUnfold` in standard operators.

use super::{Assignment, NAME, Unfold};
use crate::Result;
use crate::body::{Body, BodyOptions, Builder};

impl Unfold {
    /// The operator in standard operators, for this kind of assignment.
    pub fn body(&self, options: BodyOptions) -> Result<Body> {
        options.check(NAME)?;
        let mut b = Builder::new(options);
        match self.assignment {
            Assignment::Hard => {
                let y = b.rows("z", "index", 2);
                b.output(&y, "y");
            }
            Assignment::Soft => {
                let z = b.widen("z");
                let y = weighted(&mut b, &z);
                b.narrow_to(&y, "y");
            }
        }
        Ok(b.finish(
            inputs(self.assignment, &["z"]).as_slice(),
            &["y"],
            format!("{NAME}, {:?} assignment", self.assignment),
        ))
    }
}

/// Input names for a kind of assignment, after those of the streams.
pub(crate) fn inputs(kind: Assignment, streams: &[&'static str]) -> Vec<&'static str> {
    let mut inputs = streams.to_vec();
    inputs.push("index");
    if kind == Assignment::Soft {
        inputs.push("weight");
    }
    inputs
}

/// Σ_k weight · value[index], in f32, from the inputs `index` and `weight` of rank 3.
pub(crate) fn weighted(b: &mut Builder, value: &str) -> String {
    let rows = b.rows(value, "index", 3);
    let weight = b.unsqueeze("weight", 3);
    let product = b.op("Mul", &[&rows, &weight]);
    b.reduce_sum(&product, 2, false)
}
