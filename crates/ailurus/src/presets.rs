//! Published placements: after which block, and on how many tokens, models were run by those who proposed a method.

use ailurus_rewrite::{Expedit, Layer, UnfoldAt};
use serde::Serialize;

/// A published placement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// The model it was published for.
    pub model: &'static str,
    /// Blocks that run on all tokens.
    pub layer: usize,
    /// Rows and columns of clusters.
    pub grid: (usize, usize),
    /// Iterations of k-means.
    pub iterations: usize,
    /// Window of k-means.
    pub window: usize,
    /// Nearest clusters that a patch is made of again.
    pub neighbors: usize,
    /// Where the full grid is made again.
    pub unfold_at: UnfoldAt,
    /// Where it was published.
    pub source: &'static str,
}

/// All of them.
pub const PRESETS: [Preset; 5] = [
    segmenter("segmenter-ade20k", "Segmenter ViT-L/16, ADE20K, 640 x 640", 10, (28, 28)),
    segmenter("segmenter-cityscapes", "Segmenter ViT-L/16, Cityscapes, 768 x 768", 12, (32, 32)),
    segmenter("segmenter-pascal-context", "Segmenter ViT-L/16, Pascal-Context, 480 x 480", 14, (20, 20)),
    dpt("dpt-kitti", "DPT ViT-Hybrid, KITTI, 1216 x 352", (20, 20)),
    dpt("dpt-nyuv2", "DPT ViT-Hybrid, NYUv2, 640 x 480", (16, 16)),
];

const fn segmenter(name: &'static str, model: &'static str, layer: usize, grid: (usize, usize)) -> Preset {
    Preset {
        name,
        model,
        layer,
        grid,
        iterations: 5,
        window: 5,
        neighbors: Expedit::PARITY_NEIGHBORS,
        // The decoder runs on clusters, too.
        unfold_at: UnfoldAt::Latest,
        source: "Expedit (NeurIPS 2022), github.com/Expedit-LargeScale-Vision-Transformer/Expedit-Segmenter, \
                 configs/segmenter_hourglass_vit",
    }
}

/// The tables of its source count blocks from 0 and cluster behind the block they name: behind 4 is behind the fifth. Patches
/// are copies of their nearest cluster there, wherever the decoder reads the encoder. The source also has 28 x 28 clusters for
/// KITTI, which are more rows than there are of patches.
const fn dpt(name: &'static str, model: &'static str, grid: (usize, usize)) -> Preset {
    Preset {
        name,
        model,
        layer: 5,
        grid,
        iterations: 5,
        window: 5,
        neighbors: 1,
        unfold_at: UnfoldAt::Trunk,
        source: "Expedit (NeurIPS 2022), github.com/Expedit-LargeScale-Vision-Transformer/Expedit-DPT, README.md, \
                 dpt/hourglass_vit.py",
    }
}

/// The preset of this name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|p| p.name.eq_ignore_ascii_case(name.trim()))
}

impl Preset {
    /// The layer, as options take it.
    pub fn layer(&self) -> Layer {
        Layer::Index(self.layer)
    }
}
