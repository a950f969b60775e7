//! `AilurusMerge` in standard operators, at memory speed.
//!
//! Standard operators have no segmented sum. `ScatterND` with `reduction = add` loses updates in ONNX Runtime (rows are
//! added by several threads at once), `ScatterElements` needs an index per element and runs on one thread, and a one-hot
//! matrix costs T·R·D multiplications. Instead, tokens are sorted by row and cut into chunks of [`CHUNK`]. Every row has
//! a member, so a chunk of sorted tokens touches at most `CHUNK` consecutive rows, and one small one-hot product per
//! chunk, T·CHUNK·D in all, sums its rows. A row that runs on into later chunks is the last of its first chunk; the sums
//! of its continuations (always row 0 of their chunk) are collected by one product over chunks and added.
//!
//! Like any one-hot product this multiplies by zeros: a NaN or infinity in a token may reach other rows.

use super::{Merge, NAME};
use crate::Result;
use crate::body::{Body, BodyAttr, BodyData, BodyOptions, Builder, F32, I32};

/// Sorted tokens per chunk.
const CHUNK: i64 = 16;

impl Merge {
    /// The operator in standard operators.
    pub fn body(&self, options: BodyOptions) -> Result<Body> {
        options.check(NAME)?;
        let mut b = Builder::new(options);
        let sorted = sort(&mut b);
        let x = b.widen("x");
        let x = b.rows(&x, &sorted.token, 2);
        let x = b.reshape_like(&x, &[0, -1, CHUNK], "x", 2);

        // [B, Q, lane, member] x [B, Q, member, D]
        let first = b.slice(&sorted.row, 2, 0, 1);
        let local = b.op("Sub", &[&sorted.row, &first]);
        let local = b.unsqueeze(&local, 2);
        let lanes = b.constant(&[CHUNK, 1], BodyData::I32((0..CHUNK as i32).collect()));
        let one_hot = b.op("Equal", &[&local, &lanes]);
        let one_hot = b.cast(&one_hot, F32);
        let sums = b.op("MatMul", &[&one_hot, &x]);

        let carried = carried(&mut b, &sorted, &first, &sums);
        let spans = Spans::new(&mut b, &first);
        let sums = b.reshape_like(&sums, &[0, -1], "x", 2);
        let sum = b.rows(&sums, &spans.at, 2);
        let more = b.rows(&carried, &spans.carry, 2);
        let sum = b.op("Add", &[&sum, &more]);
        let one = b.scalar_f32(1.0);
        let divisor = b.op("Max", &["size", &one]);
        let divisor = b.unsqueeze(&divisor, 2);
        let mean = b.op("Div", &[&sum, &divisor]);
        b.narrow_to(&mean, "y");
        Ok(b.finish(&["x", "index", "size"], &["y"], NAME.to_string()))
    }
}

/// Tokens sorted by row, padded to whole chunks with tokens of a row R that nobody reads.
struct Sorted {
    /// i64 `[B, Q·CHUNK]`
    token: String,
    /// i32 `[B, Q, CHUNK]`
    row: String,
}

fn sort(b: &mut Builder) -> Sorted {
    let count = b.dim("index", 1);
    let (row, token) = b.top_k("index", &count, 1, false);
    // Up to the next multiple of CHUNK. Not (-T) mod CHUNK: runtimes disagree on the sign of a remainder.
    let chunk = b.ints(&[CHUNK]);
    let round = b.ints(&[CHUNK - 1]);
    let raised = b.op("Add", &[&count, &round]);
    let chunks = b.op("Div", &[&raised, &chunk]);
    let whole = b.op("Mul", &[&chunks, &chunk]);
    let missing = b.op("Sub", &[&whole, &count]);
    let batch = b.dim("index", 0);
    let shape = b.concat(&[&batch, &missing], 0);
    // Not `Pad`, which takes integers from opset 13 on only.
    let pad = |b: &mut Builder, value: &str, with: &str| {
        let tail = b.op("Expand", &[with, &shape]);
        b.concat(&[value, &tail], 1)
    };
    let rows = b.dim("size", 1);
    let rows = b.cast(&rows, I32);
    let row = pad(b, &row, &rows);
    let zero = b.ints(&[0]);
    let token = pad(b, &token, &zero);
    Sorted { row: b.reshape(&row, &[0, -1, CHUNK]), token }
}

/// `[B, Q + 1, D]`: for every chunk what later chunks hold of its last row; zero in the additional last place.
fn carried(b: &mut Builder, sorted: &Sorted, first: &str, sums: &str) -> String {
    let last = b.slice(&sorted.row, 2, CHUNK - 1, CHUNK);
    // [B, Q, 1] against [B, 1, Q]: the later chunk begins with the row this one ends with
    let begins = b.transpose(first, &[0, 2, 1]);
    let same = b.op("Equal", &[&last, &begins]);
    let chunks = b.dim(first, 1);
    let chunks = b.squeeze(&chunks, 0);
    let chunks = b.cast(&chunks, I32);
    let chunk = b.range(&chunks);
    let from = b.unsqueeze(&chunk, 1);
    let later = b.op("Less", &[&from, &chunk]);
    let takes = b.op("And", &[&same, &later]);
    let takes = b.cast(&takes, F32);
    let heads = b.slice(sums, 2, 0, 1);
    let heads = b.squeeze(&heads, 2);
    let carried = b.op("MatMul", &[&takes, &heads]);
    let pads = b.ints(&[0, 0, 0, 0, 1, 0]);
    b.op("Pad", &[&carried, &pads])
}

/// Where the sum of every row lies, i64 `[B, R]`.
struct Spans {
    /// Its first part, in the flat `[B, Q·CHUNK]` of chunk sums.
    at: String,
    /// Its remainder in `carried`: its first chunk if it runs on, else the place of zero.
    carry: String,
}

impl Spans {
    fn new(b: &mut Builder, first: &str) -> Self {
        // Sorted positions of the first and the last member, from the sizes.
        let size = b.cast("size", I32);
        let axis = b.scalar_i32(1);
        let end = b.op("CumSum", &[&size, &axis]);
        let start = b.op("Sub", &[&end, &size]);
        let one = b.scalar_i32(1);
        let last = b.op("Sub", &[&end, &one]);
        let chunk_size = b.scalar_i32(CHUNK as i32);
        let chunk = b.op("Div", &[&start, &chunk_size]);
        let last_chunk = b.op("Div", &[&last, &chunk_size]);

        let begins = b.squeeze(first, 2);
        let begin = b.with("GatherElements", &[&begins, &chunk], &[("axis", BodyAttr::Int(1))]);
        let rows = b.dim("size", 1);
        let rows = b.squeeze(&rows, 0);
        let rows = b.cast(&rows, I32);
        let row = b.range(&rows);
        let local = b.op("Sub", &[&row, &begin]);
        let at = b.op("Mul", &[&chunk, &chunk_size]);
        let at = b.op("Add", &[&at, &local]);

        let runs_on = b.op("Less", &[&chunk, &last_chunk]);
        let zero = b.dim(first, 1);
        let zero = b.cast(&zero, I32);
        let carry = b.op("Where", &[&runs_on, &chunk, &zero]);
        Self { at, carry }
    }
}
