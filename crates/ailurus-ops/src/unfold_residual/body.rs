//! `AilurusUnfoldResidual` in standard operators.

use super::{NAME, UnfoldResidual};
use crate::Result;
use crate::body::{Body, BodyOptions, Builder};
use crate::unfold::Assignment;
use crate::unfold::body::{inputs, weighted};

impl UnfoldResidual {
    /// The operator in standard operators, for this kind of assignment.
    pub fn body(&self, options: BodyOptions) -> Result<Body> {
        options.check(NAME)?;
        let mut b = Builder::new(options);
        let (z, start, base) = (b.widen("z"), b.widen("start"), b.widen("base"));
        let update = b.op("Sub", &[&z, &start]);
        let update = match self.assignment {
            Assignment::Hard => b.rows(&update, "index", 2),
            Assignment::Soft => weighted(&mut b, &update),
        };
        let y = b.op("Add", &[&base, &update]);
        b.narrow_to(&y, "y");
        let inputs = inputs(self.assignment, &["z", "start", "base"]);
        Ok(b.finish(&inputs, &["y"], format!("{NAME}, {:?} assignment", self.assignment)))
    }
}
