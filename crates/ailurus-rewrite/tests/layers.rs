//! Layers as shares and names, on graphs of both exporters of PyTorch.

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Layer, Options, plan, prepare};
use std::path::PathBuf;

/// Models of `fixtures/` with the module of their first, second … block.
const SCOPES: &[(&str, &str)] = &[
    ("segmenter_mask.ts17b", "blocks."),
    ("timm_vit_seg.ts13-f0", "/blocks/blocks."),
    ("timm_dinov2_reg4.ts17b-f0", "blocks."),
    ("setr_pup_mha.ts17b", "vit.layers."),
    ("torchvision_vit.ts17b", "encoder_layer_"),
    ("torchvision_vit.ts17b", "/encoder/layers/encoder_layer_"),
    // only in the metadata of nodes
    ("dpt_shared_norm.dy18b", "enc.blocks."),
    ("hf_dinov2_bb.dy18b-sdpa", "encoder.layer."),
    ("hf_dinov2_bb.dy18b-sdpa", "layer/"),
];

fn load(name: &str) -> Model {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/{name}.onnx"));
    prepare(Model::load(path).unwrap()).unwrap()
}

fn resolve(a: &Analysis, text: &str) -> Result<usize, String> {
    text.parse::<Layer>().unwrap().resolve(a).map_err(|r| {
        assert_eq!(format!("{:?}", r.code), "AIL0202");
        format!("{}; {}", r.reason, r.next)
    })
}

#[track_caller]
fn refused(a: &Analysis, text: &str, says: &[&str]) {
    let refusal = resolve(a, text).unwrap_err();
    assert!(says.iter().all(|s| refusal.contains(s)), "{text}: {says:?} in {refusal}");
}

#[test]
fn numbers_and_shares() {
    let model = load("segmenter_mask.ts17b");
    let a = Analysis::of(&model).unwrap();
    assert_eq!(a.blocks(), 4);
    let shares = [("2", 2), ("1/2", 2), ("0.5", 2), ("1/3", 1), ("67%", 3), ("0.38", 2), ("0.001", 1), ("99.9%", 3)];
    for (text, layer) in shares {
        assert_eq!(resolve(&a, text), Ok(layer), "{text}");
    }
    for (num, den) in [(5, 0), (u64::MAX, 1), (0, u64::MAX)] {
        assert!((1..4).contains(&Layer::Share { num, den }.resolve(&a).unwrap()));
    }
    for text in ["0", "4", "99999999999999999999999999"] {
        refused(&a, text, &["out of range", "4 transformer blocks", "between 1 and 3"]);
    }
    // the plan holds the number
    assert_eq!(plan(&a, &Options::new("1/3".parse::<Layer>().unwrap())).unwrap(), plan(&a, &Options::new(1)).unwrap());
}

#[test]
fn modules() {
    for (name, scope) in SCOPES {
        let model = load(name);
        let a = Analysis::of(&model).unwrap();
        for block in 1..a.blocks() {
            assert_eq!(resolve(&a, &format!("{scope}{}", block - 1)), Ok(block), "{name}");
        }
        let last = a.blocks();
        refused(&a, &format!("{scope}{}", last - 1), &[&format!("lies in block {last}, the last one")]);
    }
}

#[test]
fn tensors_and_nodes() {
    for name in ["segmenter_mask.ts17b", "hf_dinov2_bb.dy18b-sdpa", "dpt_shared_norm.dy18b"] {
        let model = load(name);
        let a = Analysis::of(&model).unwrap();
        let g = &model.graph;
        for (layer, &stream) in a.trunk.streams.iter().enumerate() {
            let text = g.name_of(stream);
            if (1..a.blocks()).contains(&layer) {
                assert_eq!(resolve(&a, text), Ok(layer), "{name}");
            } else {
                assert!(resolve(&a, text).is_err(), "{name}");
            }
        }
        for (at, block) in a.trunk.blocks[..a.blocks() - 1].iter().enumerate() {
            let core = &block.cores[0];
            let node = g.node(core.scores);
            assert_eq!(resolve(&a, &node.name), Ok(at + 1), "{name}");
            assert_eq!(resolve(&a, g.name_of(node.output(0).unwrap())), Ok(at + 1), "{name}");
        }
        refused(&a, g.name_of(a.trunk.streams[0]), &["in front of the first block"]);
    }
}

#[test]
fn weights_lie_where_they_are_read() {
    let model = load("torchvision_vit.ts17b");
    let a = Analysis::of(&model).unwrap();
    assert_eq!(resolve(&a, "m.encoder.layers.encoder_layer_1.self_attention.out_proj.weight"), Ok(2));
}

#[test]
fn what_is_not_found() {
    let model = load("segmenter_mask.ts17b");
    let a = Analysis::of(&model).unwrap();
    refused(&a, "blokcs.1", &["`blokcs.1`", "did you mean `blocks.1`", "between 1 and 3"]);
    refused(&a, "/blocks/blocks.2/attn/MatMull_1", &["did you mean `/blocks/blocks.2/attn/MatMul_1`"]);
    refused(&a, "something else entirely", &["is called", "choose --layer between 1 and 3"]);
    refused(&a, "blocks", &["several blocks: 1, 2, 3, 4"]);
    refused(&a, "norm1", &["several blocks"]);
    // an input, and a module that is no block
    refused(&a, model.graph.name_of(model.graph.inputs().next().unwrap()), &["lies in none of"]);
    refused(&a, "patch_embed", &["lies in none of this model's 4 transformer blocks"]);
    for odd in [".", "/", "//..", "blocks.", "a".repeat(100_000).as_str()] {
        assert!(resolve(&a, odd).is_err());
    }
}
