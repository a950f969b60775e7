//! Tables of a model whose tokens stay a grid, made for a smaller grid.
//!
//! A table may have rows for positions of the grid or of a window, for pairs of these, or for windows. Values for pairs that
//! depend on the distance alone are what a table of relative positions was looked up for: that table is resized and looked
//! up again, as SAM and Expedit do when a window changes. Masks of shifted windows are written anew. All other values are
//! resized along each axis.

mod mask;
mod relative;
mod resize;

use crate::{
    fold::{Array, Unknown},
    options::Tables,
};
use serde::{Deserialize, Serialize};

/// What part of an axis of a table counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Nothing that has to do with the grid.
    Fixed,
    /// Rows of the grid.
    Rows,
    /// Columns of the grid.
    Columns,
    /// Windows from top to bottom.
    WindowRows,
    /// Windows from left to right.
    WindowColumns,
    /// Rows inside a window.
    RowsInside,
    /// Columns inside a window.
    ColumnsInside,
}

/// A factor of an axis of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// What it counts.
    pub place: Place,
    /// How many it counted.
    pub from: usize,
    /// How many it counts on the smaller grid.
    pub to: usize,
}

/// A table to make anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEdit {
    /// Node that reads it.
    pub node: String,
    /// Input position.
    pub input: usize,
    /// Element type, as numbered in `TensorProto.DataType`.
    pub dtype: i32,
    /// Factors of each axis, slowest first.
    pub axes: Vec<Vec<Part>>,
    /// How far rows and columns are rolled before they are cut into windows: before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifts: Option<[(usize, usize); 2]>,
}

impl TableEdit {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.axes.iter().flatten()
    }

    /// Sizes of the axes on the smaller grid.
    pub fn dims(&self) -> Vec<usize> {
        self.axes.iter().map(|parts| parts.iter().map(|p| p.to).product()).collect()
    }

    /// The table for the smaller grid.
    ///
    /// # Errors
    /// Why it cannot be made, for people.
    pub fn made(&self, table: &Array, how: Tables) -> Result<Array, Unknown> {
        let from: Vec<usize> = self.axes.iter().map(|parts| parts.iter().map(|p| p.from).product()).collect();
        if table.dims() != from {
            return Err(format!("it has the sizes {:?} instead of {from:?}", table.dims()));
        }
        let factors: Vec<usize> = self.parts().map(|p| p.from).collect();
        let table = table.reshaped(&factors)?;
        let windows = |p: &Part| matches!(p.place, Place::WindowRows | Place::WindowColumns);
        let made = if self.parts().any(windows) {
            mask::shifted(self, &table)?
        } else {
            let mut data = table.data.clone();
            let parts: Vec<Part> = self.parts().copied().collect();
            let mut done = vec![false; parts.len()];
            for (i, part) in parts.iter().enumerate() {
                let pair = (i + 1..parts.len()).find(|&j| part.place != Place::Fixed && parts[j] == *part);
                if let Some(j) = pair.filter(|_| !done[i])
                    && let Some(looked_up) = relative::resized(&data, (i, j), part.to, how)
                {
                    data = looked_up;
                    (done[i], done[j]) = (true, true);
                } else if !done[i] {
                    data = resize::along(&data, i, part.to, how);
                    done[i] = true;
                }
            }
            table.like(data)
        };
        made.reshaped(&self.dims())
    }
}
