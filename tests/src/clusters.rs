//! The clusters a rewritten model made, and how they compare with those of the definition.

use crate::run::output;
use ailurus_onnx::{Graph, Model, NodeId};
use ailurus_ops::Clusters;
use ailurus_rewrite::{DOMAIN, Plan, plan::ClusterPlan};
use ailurus_runtime::{Outputs, Tensor};
use anyhow::{Context, Result, ensure};

/// Names of what the clustering node of a rewritten model reads and gives.
#[derive(Debug)]
pub struct Names {
    /// What distances are measured on.
    pub metric: String,
    /// Row of each token.
    pub index: String,
    /// Representative of each row.
    pub anchor: String,
    /// Tokens in each row.
    pub size: String,
    /// What the blocks behind the cut start with, where it is stored in 8 bits.
    pub start: Option<String>,
}

impl Names {
    /// Finds the clustering node, or what stands for one.
    pub fn of(rewritten: &Model, plan: &Plan) -> Result<Self> {
        let g = &rewritten.graph;
        if matches!(plan.cluster, ClusterPlan::Windows { .. }) {
            return Self::of_windows(g, plan);
        }
        let mut found = g.nodes().map(|(_, n)| n).filter(|n| n.op_type == "AilurusDensityPeaks" && n.domain == DOMAIN);
        let node = found.next().context("no clustering node")?;
        ensure!(found.next().is_none(), "more than one clustering node");
        let name =
            |v: Option<_>| anyhow::Ok(g.name_of(v.context("a port of the clustering node is not used")?).to_owned());
        Ok(Self {
            metric: name(node.input(0))?,
            index: name(node.output(0))?,
            anchor: name(node.output(1))?,
            size: name(node.output(2))?,
            start: start(g),
        })
    }

    /// Names of what windows are clustered by: standard operators, known by their names.
    fn of_windows(g: &Graph, plan: &Plan) -> Result<Self> {
        let name = |what: &str| format!("ailurus/{}/{what}", plan.layer);
        // The first of these operators takes the patches out of the sequence.
        let patches = g.find(&name("patches")).and_then(|v| g.producer(v)).context("no patches")?;
        let metric = g.node(patches.0).input(0).context("patches of nothing")?;
        let metric = g.name_of(metric).to_owned();
        Ok(Self { metric, index: name("index"), anchor: name("anchor"), size: name("size"), start: start(g) })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.metric, &self.index, &self.anchor, &self.size].into_iter().chain(&self.start).map(String::as_str)
    }

    /// The clusters among the outputs of a run.
    pub fn read(&self, outputs: &Outputs) -> Result<Clusters> {
        let ints = |name: &str| anyhow::Ok(output(outputs, name)?.as_i32().context("not i32")?.to_vec());
        let anchor: &Tensor = output(outputs, &self.anchor)?;
        Ok(Clusters {
            rows: *anchor.dims().last().context("anchors without rows")?,
            index: ints(&self.index)?,
            anchor: ints(&self.anchor)?,
            size: output(outputs, &self.size)?.as_f32().context("not f32")?.to_vec(),
        })
    }
}

/// The merged stream as it is stored: behind the merging node, and perhaps a change of layout.
fn start(g: &Graph) -> Option<String> {
    let (_, merge) = g.nodes().find(|(_, n)| n.op_type == "AilurusMerge" && n.domain == DOMAIN)?;
    let mut v = merge.output(0)?;
    loop {
        let readers = g.consumers(v);
        if let Some(&q) =
            readers.iter().find(|&&n| g.node(n).op_type == "QuantizeLinear" && g.node(n).name.contains("merged"))
        {
            return Some(g.name_of(g.node(q).output(0)?).to_owned());
        }
        let moved = |n: &&NodeId| matches!(g.node(**n).op_type.as_str(), "Transpose" | "Reshape" | "Squeeze");
        v = g.node(*readers.iter().find(moved)?).output(0)?;
    }
}

/// Checks that these are clusters at all: a partition in which prefix and suffix stay alone and in place.
pub fn validate(c: &Clusters, plan: &Plan, batch: usize) -> Result<()> {
    let (p, s, r) = (plan.tokens.prefix, plan.tokens.suffix, c.rows);
    let t = c.index.len() / batch;
    ensure!(c.index.len() == batch * t && c.anchor.len() == batch * r && c.size.len() == batch * r, "sizes do not fit");
    ensure!(plan.tokens.rows().is_none_or(|n| n == r), "{r} rows instead of {:?}", plan.tokens.rows());
    for image in 0..batch {
        let index = &c.index[image * t..][..t];
        let anchor = &c.anchor[image * r..][..r];
        let size = &c.size[image * r..][..r];
        let mut count = vec![0usize; r];
        for &row in index {
            let row = usize::try_from(row).ok().filter(|&row| row < r).context("a token is in no row")?;
            count[row] += 1;
        }
        for row in 0..r {
            ensure!(
                count[row] > 0 && count[row] as f32 == size[row],
                "row {row} has {} tokens, not {}",
                count[row],
                size[row]
            );
            let token = usize::try_from(anchor[row]).ok().filter(|&a| a < t).context("an anchor is no token")?;
            ensure!(index[token] as usize == row, "the anchor of row {row} is in row {}", index[token]);
            let alone = if row < p {
                Some(row)
            } else if row >= r - s {
                Some(t - (r - row))
            } else {
                None
            };
            ensure!(
                alone.is_none_or(|token| anchor[row] as usize == token && count[row] == 1),
                "row {row} is not alone"
            );
        }
        ensure!(anchor.windows(2).all(|w| w[0] < w[1]), "anchors are not in order");
    }
    Ok(())
}

/// The same clusters in a sequence that holds the patches between other tokens than the stream does.
pub fn beside(c: &Clusters, plan: &Plan, batch: usize, prefix: usize, suffix: usize) -> Clusters {
    let (p, s) = (plan.tokens.prefix, plan.tokens.suffix);
    let (tokens, rows) = (c.index.len() / batch.max(1), c.rows);
    let m = rows - p - s;
    let patches = tokens - p - s;
    let new_rows = prefix + m + suffix;
    let (mut index, mut anchor, mut size) = (Vec::new(), Vec::new(), Vec::new());
    for b in 0..batch {
        let row = |i: i32| i - p as i32 + prefix as i32;
        let own = |v: &[i32], from: usize, n: usize| v[from..from + n].iter().map(|&i| row(i)).collect::<Vec<_>>();
        index.extend(0..prefix as i32);
        index.extend(own(&c.index, b * tokens + p, patches));
        index.extend((0..suffix).map(|i| (prefix + m + i) as i32));
        anchor.extend(0..prefix as i32);
        anchor.extend(own(&c.anchor, b * rows + p, m));
        anchor.extend((0..suffix).map(|i| (prefix + patches + i) as i32));
        size.extend(std::iter::repeat_n(1.0, prefix));
        size.extend_from_slice(&c.size[b * rows + p..][..m]);
        size.extend(std::iter::repeat_n(1.0, suffix));
    }
    Clusters { rows: new_rows, index, anchor, size }
}

/// The share of tokens that are represented by another token. (Rows are numbered anew by each: one anchor more or less
/// shifts all behind it.)
pub fn disagreement(a: &Clusters, b: &Clusters, batch: usize) -> f64 {
    let leader = |c: &Clusters, i: usize| c.anchor[i / (c.index.len() / batch) * c.rows + c.index[i] as usize];
    let differ = (0..a.index.len()).filter(|&i| leader(a, i) != leader(b, i)).count();
    differ as f64 / a.index.len().max(1) as f64
}
