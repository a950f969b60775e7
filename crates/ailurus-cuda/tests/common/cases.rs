//! The cases by which bench/gpu checks kernels without Rust: parameters, how inputs are made, digests of what the reference
//! gives. The numbers are made the same way in bench/gpu/values.py.

use ailurus_ops::{
    DensityPeaks, GridKMeans, Keep, MergeDims, Norm, TemperatureMode, UnfoldDims, Windows, kernel, reference,
};
use half::{bf16, f16};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use crate::common::{Value, from_reference, to_reference};

/// Pseudo-random words: SplitMix64 of seed and position.
fn bits(seed: u64, position: u64) -> u32 {
    let mut z = (position.wrapping_add((seed << 32) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 32) as u32
}

fn uniform(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| (bits(seed, i) >> 8) as f32 / (1u32 << 23) as f32 - 1.0).collect()
}

/// What the elements of an input are.
#[derive(Clone, Copy)]
enum Kind {
    Uniform,
    /// Few values, so that distances are equal.
    Tied,
    Nan,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Tied => "tied",
            Self::Nan => "nan",
        }
    }

    fn make<E: Value>(self, seed: u64, count: usize) -> Vec<E> {
        let values = match self {
            Self::Uniform => uniform(seed, count),
            Self::Tied => uniform(seed, count).iter().map(|v| (v * 2.0).floor()).collect(),
            Self::Nan => vec![f32::NAN; count],
        };
        values.into_iter().map(E::from_f32).collect()
    }

    fn spec(self, seed: u64) -> Json {
        json!({"kind": self.name(), "seed": seed})
    }
}

fn element<E: Value>() -> String {
    format!("{:?}", E::ELEMENT).to_lowercase()
}

/// Digest of a tensor's bytes, and eight of its elements to see by how much others differ.
fn digest<T: Copy>(values: &[T], wide: impl Fn(T) -> f64) -> Json {
    // SAFETY: numbers without gaps can be read as bytes.
    let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
    let sha256: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let sample: Vec<f64> = (0..8).map(|i| wide(values[i * (values.len() - 1) / 7])).collect();
    json!({"sha256": sha256, "sample": sample})
}

fn digest_elements<E: Value>(values: &[E]) -> Json {
    digest(values, |v| f64::from(v.wide()))
}

fn case(name: &str, large: bool, element: &str, operator: &str, sizes: &Json, inputs: &Json, outputs: &Json) -> Json {
    let name = format!("{operator} {element} {name}");
    json!({
        "name": name, "large": large, "operator": operator, "element": element,
        "sizes": sizes, "inputs": inputs, "outputs": outputs,
    })
}

struct Clustering {
    params: DensityPeaks,
    batch: usize,
    channels: usize,
    kind: Kind,
    misaligned: usize,
}

fn clustering<E: Value>(c: &Clustering) -> Json {
    let Clustering { params: p, batch, channels, kind, misaligned } = c;
    let (height, width) = p.grid.expect("a static grid");
    let patches = height * width;
    let seed = (patches + channels) as u64;
    let metric: Vec<E> = kind.make(seed, batch * (p.prefix + patches + p.suffix) * channels);
    let large = patches > 256;
    let found = if large {
        // The same bit for bit, in less than minutes.
        let windows = Windows::new((height, width), p.window).expect("windows");
        kernel::density_peaks(p, &to_reference(&metric), *batch, *channels, &windows, &ailurus_ops::parallel::Rayon)
    } else {
        reference::density_peaks(p, &to_reference(&metric), *batch, *channels, (height, width))
    };
    let found = found.expect("reference");
    let (tokens, num, den) = match p.keep {
        Keep::Tokens(tokens) => (tokens, 0, 0),
        Keep::Ratio { num, den } => (0, num, den),
    };
    let sizes = json!({
        "batch": batch, "channels": channels, "prefix": p.prefix, "suffix": p.suffix, "grid_h": height, "grid_w": width,
        "tokens": tokens, "keep_num": num, "keep_den": den, "neighbors": p.neighbors, "window": p.window,
        "spatial_mix": p.spatial_mix,
    });
    let outputs = json!({
        "index": digest(&found.index, f64::from),
        "anchor": digest(&found.anchor, f64::from),
        "size": digest(&found.size, f64::from),
    });
    let name = format!("{batch} x {height} x {width} x {channels} {}", kind.name());
    let inputs = json!({"metric": kind.spec(seed)});
    let mut made = case(&name, large, &element::<E>(), "density_peaks", &sizes, &inputs, &outputs);
    made["misaligned"] = json!(misaligned);
    made
}

/// The shortest decimal that is this number: a file without seventeen digits for each.
fn decimal(v: f32) -> Json {
    json!(format!("{v}").parse::<f64>().expect("a number"))
}

/// Small ones only. Results are given in full: a device may round exponentials in another way, rarely, and then those
/// who compare have to know by how much.
fn gridding<E: Value>(p: &GridKMeans, batch: usize, channels: usize, kind: Kind) -> Json {
    let (height, width) = p.grid.expect("a static grid");
    let seed = (height * width + channels) as u64;
    let x: Vec<E> = kind.make(seed, batch * (p.prefix + height * width + p.suffix) * channels);
    let found = reference::grid_kmeans(p, &to_reference(&x), batch, channels, (height, width)).expect("reference");
    let z: Vec<E> = from_reference(&found.z);
    let with = |mut digest: Json, values: Vec<Json>| {
        digest["values"] = values.into();
        digest
    };
    let outputs = json!({
        "z": with(digest_elements(&z), z.iter().map(|v| decimal(v.wide())).collect()),
        "index": with(digest(&found.index, f64::from), found.index.iter().map(|&v| json!(v)).collect()),
        "weight": with(digest(&found.weight, f64::from), found.weight.iter().map(|&v| decimal(v)).collect()),
    });
    let sizes = json!({
        "batch": batch, "channels": channels, "prefix": p.prefix, "suffix": p.suffix, "grid_h": height, "grid_w": width,
        "cluster_h": p.clusters.0, "cluster_w": p.clusters.1, "iterations": p.iterations, "window": p.window,
        "neighbors": p.neighbors, "ties": p.ties, "temperature": p.temperature,
        "temperature_mode": i32::from(p.temperature_mode == TemperatureMode::Relative),
        "norm": i32::from(p.norm == Norm::L2),
    });
    let name = format!("{batch} x {height} x {width} x {channels} {}", kind.name());
    let inputs = json!({"x": kind.spec(seed)});
    case(&name, false, &element::<E>(), "grid_kmeans", &sizes, &inputs, &outputs)
}

/// The cases of an element type that the operator knows.
fn grids<E: Value>() -> Vec<Json> {
    let plain = |grid, clusters| GridKMeans::new(1, 1, Some(grid), clusters);
    let absolute = TemperatureMode::Absolute;
    let parity =
        GridKMeans { temperature: 0.02, temperature_mode: absolute, norm: Norm::L2, ties: 3, ..plain((6, 7), (3, 4)) };
    vec![
        gridding::<E>(&plain((6, 7), (3, 4)), 2, 12, Kind::Uniform),
        gridding::<E>(&plain((5, 5), (5, 5)), 1, 9, Kind::Uniform),
        gridding::<E>(&parity, 1, 8, Kind::Uniform),
    ]
}

/// As [`Kind`] for indices: entry t of the first ones is t, so that no row is empty.
fn clusters(seed: u64, d: MergeDims) -> Vec<i32> {
    let draw = |i: usize| (bits(seed, i as u64) % d.rows as u32) as i32;
    (0..d.batch * d.tokens).map(|i| if i % d.tokens < d.rows { (i % d.tokens) as i32 } else { draw(i) }).collect()
}

fn merging<E: Value>(d: MergeDims, misaligned: usize) -> Json {
    let (large, element) = (d.batch * d.tokens * d.channels > 1 << 16, element::<E>());
    let x: Vec<E> = Kind::Uniform.make(1, d.batch * d.tokens * d.channels);
    let index = clusters(2, d);
    let mut size = vec![0f32; d.batch * d.rows];
    index.iter().enumerate().for_each(|(t, &row)| size[t / d.tokens * d.rows + row as usize] += 1.0);
    let y = reference::merge(&to_reference(&x), &index, &size, d).expect("reference");
    let sizes = json!({"batch": d.batch, "tokens": d.tokens, "rows": d.rows, "channels": d.channels});
    let inputs = json!({
        "x": Kind::Uniform.spec(1),
        "index": {"kind": "clusters", "seed": 2},
        "size": {"kind": "counts", "seed": 2},
    });
    let outputs = json!({"y": digest_elements(&from_reference::<E>(&y))});
    let name = format!("{} x {} to {} x {}", d.batch, d.tokens, d.rows, d.channels);
    let mut made = case(&name, large, &element, "merge", &sizes, &inputs, &outputs);
    made["misaligned"] = json!(misaligned);
    made
}

/// Copies, sums, and the same onto a base, also in place.
fn unfolding<E: Value>(d: UnfoldDims, weighted: bool, misaligned: usize) -> [Json; 3] {
    let (large, element) = (d.batch * d.tokens * d.channels > 1 << 16, element::<E>());
    let (rows, tokens) = (d.batch * d.rows * d.channels, d.batch * d.tokens * d.channels);
    let (z, start) = (Kind::Uniform.make::<E>(3, rows), Kind::Uniform.make::<E>(4, rows));
    let base: Vec<E> = Kind::Uniform.make(5, tokens);
    let entries = d.batch * d.tokens * d.choices;
    let index: Vec<i32> = (0..entries).map(|i| (bits(6, i as u64) % d.rows as u32) as i32).collect();
    let weight = weighted.then(|| uniform(7, entries));
    let (z, start, base) = (to_reference(&z), to_reference(&start), to_reference(&base));
    let copied = reference::unfold(&z, &index, weight.as_deref(), d).expect("reference");
    let added = reference::unfold_residual(&z, &start, &base, &index, weight.as_deref(), d).expect("reference");

    let sizes = json!({
        "batch": d.batch, "rows": d.rows, "tokens": d.tokens, "choices": d.choices, "channels": d.channels,
        "weighted": weighted,
    });
    let mut inputs = Map::new();
    inputs.insert("z".into(), Kind::Uniform.spec(3));
    inputs.insert("index".into(), json!({"kind": "rows", "seed": 6}));
    if weighted {
        inputs.insert("weight".into(), json!({"kind": "weights", "seed": 7}));
    }
    let name = format!("{} x {} to {} x {}, {} choices", d.batch, d.rows, d.tokens, d.channels, d.choices);
    let copy_outputs = json!({"y": digest_elements(&from_reference::<E>(&copied))});
    let copy = case(&name, large, &element, "unfold", &sizes, &Json::Object(inputs.clone()), &copy_outputs);
    inputs.insert("start".into(), Kind::Uniform.spec(4));
    inputs.insert("base".into(), Kind::Uniform.spec(5));
    let outputs = json!({"y": digest_elements(&from_reference::<E>(&added))});
    let add = case(&name, large, &element, "unfold_residual", &sizes, &Json::Object(inputs), &outputs);
    let mut in_place = add.clone();
    in_place["name"] = json!(format!("{} in place", add["name"].as_str().unwrap_or_default()));
    in_place["in_place"] = json!("base");
    [copy, add, in_place].map(|mut made| {
        made["misaligned"] = json!(misaligned);
        made
    })
}

/// The cases of one element type. Those that are large have the sizes of a ViT-L at 640 px.
fn of_type<E: Value>() -> Vec<Json> {
    let half = Keep::Ratio { num: 1, den: 2 };
    let mut cases = Vec::new();
    for (grid, keep, neighbors, batch, channels, kind, misaligned) in [
        ((14, 14), half, 1, 2, 64, Kind::Uniform, 0),
        ((14, 14), half, 2, 2, 64, Kind::Tied, 0),
        ((7, 9), Keep::Tokens(1), 1, 1, 65, Kind::Uniform, 0),
        ((9, 7), Keep::Tokens(63), 3, 1, 33, Kind::Uniform, 0),
        ((1, 60), Keep::Ratio { num: 1, den: 4 }, 1, 3, 16, Kind::Tied, 0),
        ((8, 8), half, 1, 1, 32, Kind::Nan, 0),
        ((10, 10), half, 1, 1, 64, Kind::Uniform, 1),
        ((40, 40), half, 1, 8, 64, Kind::Uniform, 0),
        ((40, 40), Keep::Ratio { num: 1, den: 4 }, 2, 2, 1024, Kind::Uniform, 0),
        ((64, 64), Keep::Ratio { num: 1, den: 4 }, 1, 1, 64, Kind::Tied, 0),
        ((128, 128), half, 1, 1, 64, Kind::Uniform, 0),
    ] {
        let params = DensityPeaks { neighbors, ..DensityPeaks::new(1, 2, Some(grid), keep) };
        cases.push(clustering::<E>(&Clustering { params, batch, channels, kind, misaligned }));
    }
    for (batch, tokens, rows, channels, misaligned) in
        [(2, 50, 20, 64, 0), (1, 70, 3, 65, 0), (1, 40, 40, 8, 1), (8, 1601, 801, 1024, 0), (1, 16384, 8, 32, 0)]
    {
        cases.push(merging::<E>(MergeDims { batch, tokens, rows, channels }, misaligned));
    }
    for (batch, rows, tokens, choices, channels, weighted, misaligned) in [
        (2, 20, 50, 1, 64, false, 0),
        (1, 9, 30, 3, 65, true, 0),
        (1, 9, 30, 2, 16, true, 1),
        (8, 801, 1601, 1, 1024, false, 0),
        (2, 401, 1601, 4, 1024, true, 0),
    ] {
        let dims = UnfoldDims { batch, rows, tokens, choices, channels };
        cases.extend(unfolding::<E>(dims, weighted, misaligned));
    }
    cases
}

/// All cases, as the file has them: one a line.
pub fn file() -> String {
    let grids = [grids::<f32>(), grids::<f16>()].concat();
    let cases = [of_type::<f32>(), of_type::<f16>(), of_type::<bf16>(), grids].concat();
    let lines: Vec<String> = cases.iter().map(Json::to_string).collect();
    format!("{{\"cases\": [\n{}\n]}}\n", lines.join(",\n"))
}
