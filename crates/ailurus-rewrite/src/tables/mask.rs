//! Masks of shifted windows (Swin Transformer, ICCV 2021, §3.2).
//!
//! Rolling a map moves its first rows behind its last ones, so that the last window holds rows that are no neighbours. A
//! mask keeps these from seeing each other: positions may attend to those of their own stretch of rows and of columns.

use super::{Array, Part, Place, TableEdit, Unknown};
use ndarray::{ArrayD, IxDyn};

/// Rows, or columns, that are rolled and cut into windows.
#[derive(Clone, Copy)]
struct Cut {
    windows: usize,
    inside: usize,
    shift: usize,
}

impl Cut {
    /// The stretch a position lies in: in front of the last window, in it, and in it behind the roll.
    fn stretch(self, window: usize, inside: usize) -> usize {
        let (position, length) = (window * self.inside + inside, self.windows * self.inside);
        let behind = |n: usize| n > 0 && position >= length.saturating_sub(n);
        usize::from(behind(self.inside)) + usize::from(behind(self.shift))
    }
}

/// The mask for the smaller grid, after making sure that the table is one.
pub fn shifted(edit: &TableEdit, table: &Array) -> Result<Array, Unknown> {
    let parts: Vec<Part> = edit.parts().copied().collect();
    let shifts = edit.shifts.unwrap_or_default();
    let cut = |direction: usize, new: bool| -> Result<Cut, Unknown> {
        let (outer, inner) =
            [(Place::WindowRows, Place::RowsInside), (Place::WindowColumns, Place::ColumnsInside)][direction];
        let size = |place: Place| parts.iter().find(|p| p.place == place).map(|p| if new { p.to } else { p.from });
        let (windows, inside) = size(outer).zip(size(inner)).ok_or("it has rows for windows in one direction only")?;
        let (before, after) = shifts[direction];
        Ok(Cut { windows, inside, shift: if new { after } else { before } })
    };
    let (open, closed) = values(table)?;
    let before = [cut(0, false)?, cut(1, false)?];
    if mask(&parts, before, |p| p.from, open, closed)? != table.data {
        return Err("it has a row for each window, and is not the mask of shifted windows".to_owned());
    }
    Ok(table.like(mask(&parts, [cut(0, true)?, cut(1, true)?], |p| p.to, open, closed)?))
}

/// What pairs have that see each other, and what the others have.
fn values(table: &Array) -> Result<(f64, f64), Unknown> {
    let mut seen: Vec<f64> = Vec::new();
    for &x in &table.data {
        if !seen.contains(&x) {
            seen.push(x);
        }
        if seen.len() > 2 {
            break;
        }
    }
    // A position sees itself, and that is the first value of any mask.
    match seen[..] {
        [open] => Ok((open, open)),
        [open, closed] => Ok((open, closed)),
        _ => Err("it has a row for each window, and is not a mask".to_owned()),
    }
}

fn mask(
    parts: &[Part],
    cuts: [Cut; 2],
    size: impl Fn(&Part) -> usize,
    open: f64,
    closed: f64,
) -> Result<ArrayD<f64>, Unknown> {
    let place = |wanted: Place| -> Vec<usize> { (0..parts.len()).filter(|&i| parts[i].place == wanted).collect() };
    let one = |wanted: Place| match place(wanted)[..] {
        [i] => Ok(i),
        _ => Err("windows are counted more than once".to_owned()),
    };
    let two = |wanted: Place| match place(wanted)[..] {
        [i, j] => Ok((i, j)),
        _ => Err("positions inside windows do not come in pairs".to_owned()),
    };
    let sides = [
        (one(Place::WindowRows)?, two(Place::RowsInside)?, cuts[0]),
        (one(Place::WindowColumns)?, two(Place::ColumnsInside)?, cuts[1]),
    ];
    let dims: Vec<usize> = parts.iter().map(&size).collect();
    crate::fold::checked(&dims)?;
    Ok(ArrayD::from_shape_fn(IxDyn(&dims), |at| {
        let sees =
            sides.iter().all(|&(window, (i, j), cut)| cut.stretch(at[window], at[i]) == cut.stretch(at[window], at[j]));
        if sees { open } else { closed }
    }))
}
