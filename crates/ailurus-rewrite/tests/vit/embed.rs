//! From the image to the sequence in front of the blocks.

use super::{
    PATCH,
    case::{Case, Embed, Position, Registers},
    net::{D, Ints, Net, V, text},
};
use ailurus_onnx::{Attribute, DataType, Dim, GraphEdit, TensorType};

pub fn input(edit: &mut GraphEdit, c: &Case) -> V {
    let open = |name: &str, is: bool, n: i64| if is { Dim::Param(name.into()) } else { Dim::Value(n) };
    let side = |name: &str, n: i64| open(name, c.open_grid(), n * PATCH);
    let batch = open("batch", c.open_batch(), c.batch());
    let shape = vec![batch, Dim::Value(3), side("height", c.sizes.grid.0), side("width", c.sizes.grid.1)];
    edit.add_graph_input("image", TensorType { dtype: DataType::F32, shape: Some(shape) }).expect("fresh name")
}

impl Net<'_> {
    pub fn embed(&mut self) -> V {
        let case = self.case;
        let (c, n, t) = (case.channels(), case.patches(), case.tokens());
        let mut x = self.patches();
        let position = case.tokens.position;
        // A table for all tokens is added when all are there.
        let late = position == Position::Table && !case.open_grid();
        if position != Position::Nothing && !late && position != Position::PerBlock {
            let table = match position {
                Position::RowsColumns => self.rows_and_columns(),
                _ if case.open_grid() => self.resized(),
                _ => self.noise(&[1, n, c], 0.5),
            };
            x = self.two("Add", x, table);
        }
        let (prefix, suffix) = (case.sizes.prefix, case.sizes.suffix);
        if late && case.tokens.registers == Registers::After && prefix > 1 {
            // The class token has a position, registers that join later have none: they stand between class and patches.
            x = self.join(x, 1, true);
            let table = self.noise(&[1, n + 1, c], 0.5);
            x = self.two("Add", x, table);
            let class = self.slice(x, 1, 0, 1);
            let rest = self.slice(x, 1, 1, i64::MAX);
            let rest = self.join(rest, prefix - 1, true);
            x = self.concat(&[class, rest], 1);
            x = self.join(x, suffix, false);
        } else {
            x = self.join(x, prefix, true);
            x = self.join(x, suffix, false);
            if late {
                let table = self.noise(&[1, t, c], 0.5);
                x = self.two("Add", x, table);
            }
        }
        x = self.noop(x);
        self.embedded = Some(x);
        x
    }

    fn patches(&mut self) -> V {
        let c = self.case.channels();
        if self.case.tokens.embed == Embed::SpaceToDepth {
            let dims = [D::Batch, D::N(3), D::Rows, D::N(PATCH), D::Columns, D::N(PATCH)];
            let cut = self.reshape(self.image, &dims, None);
            let moved = self.transpose(cut, &[0, 2, 4, 3, 5, 1]);
            let flat = self.reshape(moved, &[D::Batch, D::Patches, D::N(3 * PATCH * PATCH)], None);
            return self.linear(flat, 3 * PATCH * PATCH, c);
        }
        let kernel = self.noise(&[c, 3, PATCH, PATCH], 1.0);
        let map = self.op("Conv", &[self.image, kernel], &[("strides", Ints(vec![PATCH, PATCH]))]);
        self.flattened(map)
    }

    /// From [B, C, h, w] to [B, h·w, C].
    fn flattened(&mut self, map: V) -> V {
        let c = self.case.channels();
        let shape = self.ints(&[0, c, -1]);
        let flat = self.two("Reshape", map, shape);
        self.transpose(flat, &[0, 2, 1])
    }

    fn rows_and_columns(&mut self) -> V {
        let (c, (h, w)) = (self.case.channels(), self.case.sizes.grid);
        let (rows, columns) = (self.noise(&[1, c, h, 1], 0.5), self.noise(&[1, c, 1, w], 0.5));
        let map = self.two("Add", rows, columns);
        self.flattened(map)
    }

    /// A table for another grid, resized to this one.
    fn resized(&mut self) -> V {
        let c = self.case.channels();
        let table = self.noise(&[1, c, 3, 3], 0.5);
        let sizes = self.shape(&[D::N(1), D::N(c), D::Rows, D::Columns], None);
        // Before operator set 13 what is not used had to be there, empty.
        let none = (self.case.opset.0 < 13).then(|| self.floats(&[0], &[]));
        let ins = [Some(table), none, none, Some(sizes)];
        let attrs: [(&str, Attribute); 1] = [("mode", text("linear"))];
        let map = self.node("", "Resize", &ins, &[true], &attrs)[0];
        self.flattened(map)
    }

    /// Learned tokens in front or behind.
    pub fn join(&mut self, x: V, count: i64, front: bool) -> V {
        if count == 0 {
            return x;
        }
        let c = self.case.channels();
        let table = self.noise(&[1, count, c], 1.0);
        let shape = self.full_shape(&[D::Batch, D::N(count), D::N(c)], None);
        let extra = self.two("Expand", table, shape);
        self.concat(&if front { [extra, x] } else { [x, extra] }, 1)
    }
}
