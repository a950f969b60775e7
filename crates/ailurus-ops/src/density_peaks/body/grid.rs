//! What a body knows about the grid: as constants, or computed from the input `grid`.

use crate::Result;
use crate::body::{BodyData, Builder, F32, I32, I64};
use crate::density_peaks::DensityPeaks;
use crate::density_peaks::window::{Windows, offsets};
use std::collections::HashMap;

/// Names of values (lists are one-dimensional i64) that describe the grid and its windows.
pub(super) struct Grid {
    /// Height and width, when static.
    pub(super) fixed: Option<(usize, usize)>,
    /// `[B]` as a list.
    pub(super) batch: String,
    /// N, H and W as lists.
    pub(super) count: String,
    pub(super) height: String,
    pub(super) width: String,
    /// M as a list.
    pub(super) clusters: String,
    /// M, when static.
    pub(super) fixed_clusters: Option<usize>,
    /// L: neighbours per window, the patch itself not counted.
    pub(super) neighbors: usize,
    /// i32 `[N]`: 0 .. N.
    pub(super) patch: String,
    /// i32 `[H]` and `[W]`: 0 .. H, 0 .. W.
    pub(super) rows: String,
    pub(super) columns: String,
    /// i32 `[L, N]`: neighbours in rank order.
    pub(super) table: String,
    /// bool `[L, N]`: the neighbour has the lower index.
    pub(super) lower: String,
    /// bool `[L, N]`: the neighbour exists; only when the grid may be smaller than the window.
    pub(super) on_grid: Option<String>,
}

impl Grid {
    pub(super) fn new(b: &mut Builder, params: &DensityPeaks) -> Result<Self> {
        match params.grid {
            Some(grid) => Self::fixed(b, params, grid),
            None => Ok(Self::dynamic(b, params)),
        }
    }

    fn fixed(b: &mut Builder, params: &DensityPeaks, (h, w): (usize, usize)) -> Result<Self> {
        let windows = Windows::new((h, w), params.window)?;
        let m = params.tokens(h * w)?;
        let patch = b.range_i32(h * w);
        let (table, lower) = fixed_table(b, &windows, &patch);
        Ok(Self {
            fixed: Some((h, w)),
            batch: b.dim("metric", 0),
            count: b.ints(&[(h * w) as i64]),
            height: b.ints(&[h as i64]),
            width: b.ints(&[w as i64]),
            clusters: b.ints(&[m as i64]),
            fixed_clusters: Some(m),
            neighbors: windows.ranks() - 1,
            rows: b.range_i32(h),
            columns: b.range_i32(w),
            patch,
            table,
            lower,
            on_grid: None,
        })
    }

    fn dynamic(b: &mut Builder, params: &DensityPeaks) -> Self {
        let sides = b.split("grid", 0, &[1, 1]);
        let (height, width) = (sides[0].clone(), sides[1].clone());
        let count = b.op("Mul", &[&height, &width]);
        let (clusters, fixed_clusters) = match params.keep {
            crate::Keep::Tokens(m) => (b.ints(&[m as i64]), Some(m)),
            crate::Keep::Ratio { num, den } => {
                let (num, den) = (b.ints(&[num as i64]), b.ints(&[den as i64]));
                let one = b.ints(&[1]);
                let product = b.op("Mul", &[&count, &num]);
                // ceil(a / b) = (a + b - 1) / b; at least 1 because a is.
                let sum = b.op("Add", &[&product, &den]);
                let sum = b.op("Sub", &[&sum, &one]);
                (b.op("Div", &[&sum, &den]), None)
            }
        };
        let range = |b: &mut Builder, list: &str| {
            let end = b.squeeze(list, 0);
            let end = b.cast(&end, I32);
            b.range(&end)
        };
        let patch = range(b, &count);
        let rows = range(b, &height);
        let columns = range(b, &width);
        let mut grid = Self {
            fixed: None,
            batch: b.dim("metric", 0),
            count,
            height,
            width,
            clusters,
            fixed_clusters,
            neighbors: params.window - 1,
            patch,
            rows,
            columns,
            table: String::new(),
            lower: String::new(),
            on_grid: None,
        };
        grid.dynamic_table(b, params.window);
        grid
    }

    /// Tables for a grid that is known at run time only: of all offsets that can lie in a window of some grid, in rank
    /// order, every patch takes the first that lie on its grid.
    fn dynamic_table(&mut self, b: &mut Builder, window: usize) {
        let offsets = offsets((window, window), window);
        let list = |pick: fn(&(isize, isize)) -> isize| offsets.iter().map(|o| pick(o) as i32).collect();
        let len = offsets.len() as i64;
        let dy = b.constant(&[len], BodyData::I32(list(|o| o.0)));
        let dx = b.constant(&[len], BodyData::I32(list(|o| o.1)));
        let inside = |b: &mut Builder, at: &str, end: &str| {
            let before = b.scalar_i32(-1);
            let end = b.cast(end, I32);
            let not_before = b.op("Greater", &[at, &before]);
            let before_end = b.op("Less", &[at, &end]);
            b.op("And", &[&not_before, &before_end])
        };
        // [H, 1, offsets] and [1, W, offsets]
        let y = b.unsqueeze(&self.rows, 1);
        let y = b.op("Add", &[&y, &dy]);
        let y = b.unsqueeze(&y, 1);
        let x = b.unsqueeze(&self.columns, 1);
        let x = b.op("Add", &[&x, &dx]);
        let x = b.unsqueeze(&x, 0);
        let (inside_y, inside_x) = (inside(b, &y, &self.height), inside(b, &x, &self.width));
        let inside = b.op("And", &[&inside_y, &inside_x]);
        let width = b.cast(&self.width, I32);
        let y = b.op("Mul", &[&y, &width]);
        let neighbor = b.op("Add", &[&y, &x]);

        // Offsets on the grid come first, in their order; the others behind them.
        let first = b.constant(&[len], BodyData::F32((0..len).map(|i| (len - i) as f32).collect()));
        let last = b.constant(&[len], BodyData::F32((0..len).map(|i| -(i as f32)).collect()));
        let order = b.op("Where", &[&inside, &first, &last]);
        let flat = b.ints(&[-1, len]);
        let order = b.op("Reshape", &[&order, &flat]);
        let neighbor = b.op("Reshape", &[&neighbor, &flat]);
        let taken = b.ints(&[window as i64]);
        let (value, at) = b.top_k(&order, &taken, 1, true);
        let neighbor = b.with("GatherElements", &[&neighbor, &at], &[("axis", crate::body::BodyAttr::Int(1))]);

        let patch = b.unsqueeze(&self.patch, 1);
        let zero = b.scalar_f32(0.0);
        let on_grid = b.op("Greater", &[&value, &zero]);
        let neighbor = b.op("Where", &[&on_grid, &neighbor, &patch]);
        // The patch itself is first.
        let cut = |b: &mut Builder, value: &str| {
            let others = b.slice(value, 1, 1, window as i64);
            b.transpose(&others, &[1, 0])
        };
        self.table = cut(b, &neighbor);
        // Transposed as numbers: not every runtime transposes bool.
        let on_grid = b.cast(&on_grid, F32);
        let on_grid = cut(b, &on_grid);
        self.on_grid = Some(b.cast(&on_grid, crate::body::BOOL));
        self.lower = b.op("Less", &[&self.table, &self.patch]);
    }

    /// The patches of the metric, `[B, N, d]`.
    pub(super) fn patches(&self, b: &mut Builder, params: &DensityPeaks) -> String {
        if params.prefix == 0 && params.suffix == 0 {
            return "metric".into();
        }
        let from = b.ints(&[params.prefix as i64]);
        let to = b.op("Add", &[&from, &self.count]);
        let axis = b.ints(&[1]);
        b.op("Slice", &["metric", &from, &to, &axis])
    }

    /// A shape operand: given sizes (`None` is -1), then N if asked for.
    pub(super) fn shape(&self, b: &mut Builder, sizes: &[Option<i64>], with_count: bool) -> String {
        let sizes: Vec<i64> = sizes.iter().map(|s| s.unwrap_or(-1)).collect();
        let sizes = b.ints(&sizes);
        if with_count { b.concat(&[&sizes, &self.count], 0) } else { sizes }
    }

    /// Integer type in which `distance² · N + index` cannot overflow, not even thrice.
    pub(super) fn key_type(&self) -> i64 {
        let fits = self.fixed.is_some_and(|(h, w)| {
            let longest = (h as u64).pow(2).saturating_add((w as u64).pow(2));
            longest.saturating_mul((h * w) as u64).saturating_add((h * w) as u64) < (1 << 29)
        });
        if fits { I32 } else { I64 }
    }
}

/// Constants for a static grid. Patches far enough from the border share their offsets, so the table is stored as the
/// distinct columns of offsets and the kind of every patch: 27 KB instead of 376 KB for 64 x 64 patches, λ = 24.
fn fixed_table(b: &mut Builder, windows: &Windows, patch: &str) -> (String, String) {
    let n = windows.grid().0 * windows.grid().1;
    let neighbors = windows.ranks() - 1;
    let mut kinds: HashMap<Vec<i32>, i32> = HashMap::new();
    let mut columns: Vec<Vec<i32>> = Vec::new();
    let mut kind = Vec::with_capacity(n);
    for i in 0..n {
        let offsets: Vec<i32> = windows.of(i)[1..].iter().map(|&j| j as i32 - i as i32).collect();
        kind.push(*kinds.entry(offsets).or_insert_with_key(|offsets| {
            columns.push(offsets.clone());
            columns.len() as i32 - 1
        }));
    }
    let flat = (0..neighbors).flat_map(|r| columns.iter().map(move |c| c[r])).collect();
    let columns = b.constant(&[neighbors as i64, columns.len() as i64], BodyData::I32(flat));
    let kind = b.constant(&[n as i64], BodyData::I32(kind));
    let offsets = b.gather(&columns, &kind, 1);
    let zero = b.scalar_i32(0);
    (b.op("Add", &[&offsets, patch]), b.op("Less", &[&offsets, &zero]))
}
