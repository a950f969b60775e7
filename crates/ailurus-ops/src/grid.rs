//! What operators that take the patches' grid have in common: it is an attribute, or the trailing input `grid`.

use crate::body::{Body, BodyData, Builder};
use crate::schema::optional;
use crate::{Error, Port, PortType, Result};

/// The output that nodes have whose grid is an input. Its shape is the grid and its values mean nothing: TensorRT shows
/// a plugin the values of an input only while it computes shapes, so that a shape is where they can be kept.
pub(crate) const OUTPUT: Port = optional("map", PortType::I32, "H W");

/// Ends a body: with an input `grid`, and the output for it, unless the grid is fixed.
pub(crate) fn finish(mut b: Builder, fixed: bool, input: &str, outputs: [&str; 3], doc: String) -> Body {
    if fixed {
        return b.finish(&[input], &outputs, doc);
    }
    let zero = b.constant(&[1], BodyData::I32(vec![0]));
    b.push("Expand", &[&zero, "grid"], &[OUTPUT.name.to_string()], &[]);
    let [first, second, third] = outputs;
    b.finish(&[input, "grid"], &[first, second, third, OUTPUT.name], doc)
}

/// True for a number that fits the 32-bit integers of the output tensors, as every count has to.
pub(crate) fn fits(n: usize) -> bool {
    i32::try_from(n).is_ok()
}

/// Refuses a grid without rows or columns, or with more tokens than can be counted; `name` is its first attribute.
pub(crate) fn validate(
    operator: &'static str,
    name: &'static str,
    (h, w): (usize, usize),
    prefix: usize,
    suffix: usize,
) -> Result<()> {
    let bad = |reason| Err(Error::InvalidParameter { operator, name, value: format!("{h} x {w}"), reason });
    if h == 0 || w == 0 {
        return bad("a grid has at least one row and one column");
    }
    let total = h.checked_mul(w).and_then(|n| n.checked_add(prefix)).and_then(|n| n.checked_add(suffix));
    if !total.is_some_and(fits) {
        return bad("the token count must fit in 31 bits");
    }
    Ok(())
}

/// The static grid, or the one given at run time, which must not contradict a static one.
pub(crate) fn resolve(
    operator: &'static str,
    fixed: Option<(usize, usize)>,
    given: Option<(usize, usize)>,
) -> Result<(usize, usize)> {
    match (fixed, given) {
        (Some(fixed), Some(given)) if fixed != given => {
            Err(Error::Shape { operator, input: "grid", expected: format!("{fixed:?}"), got: format!("{given:?}") })
        }
        (Some(grid), _) | (None, Some(grid)) => Ok(grid),
        (None, None) => Err(Error::GridUnknown { operator }),
    }
}

/// Refuses an input `grid` of another shape than `[2]`, and its absence where the grid is not static.
pub(crate) fn check_input(operator: &'static str, fixed: bool, input: Option<&&[Option<usize>]>) -> Result<()> {
    match input {
        Some(grid) if grid.len() != 1 || grid[0].is_some_and(|n| n != 2) => {
            Err(Error::Shape { operator, input: "grid", expected: "[2]".into(), got: format!("{grid:?}") })
        }
        None if !fixed => Err(Error::GridUnknown { operator }),
        _ => Ok(()),
    }
}
