//! Patch embedding and blocks.

use ailurus_onnx::{Attribute, NodeSpec, ValueId};
use anyhow::Result;

use super::{Generator, Vit, float_type};

impl Generator<'_> {
    /// The encoder, from pixels to the normalised stream.
    pub(super) fn trunk(&mut self) -> Result<ValueId> {
        let Vit { width: c, grid: (h, w), patch, prefix, .. } = *self.vit;
        let image = float_type(&[1, 3, h * patch, w * patch]);
        let pixels = self.edit.add_graph_input("pixel_values", image)?;

        let kernel = self.weight("patch_embed.proj.weight", &[c, 3, patch, patch], 0.02)?;
        let bias = self.weight("patch_embed.proj.bias", &[c], 0.02)?;
        let sides = Attribute::Ints(vec![patch as i64; 2]);
        let x = self.node(
            "/patch_embed/proj/Conv",
            NodeSpec::new("Conv", [pixels, kernel, bias])
                .attribute("dilations", Attribute::Ints(vec![1, 1]))
                .attribute("group", Attribute::Int(1))
                .attribute("kernel_shape", sides.clone())
                .attribute("pads", Attribute::Ints(vec![0; 4]))
                .attribute("strides", sides),
        )?;
        let shape = self.ints("/patch_embed/Constant", &[1, c as i64, -1])?;
        let x = self.node("/patch_embed/Reshape", NodeSpec::new("Reshape", [x, shape]))?;
        let mut x = self.transpose("/patch_embed/Transpose", x, &[0, 2, 1])?;
        if prefix > 0 {
            let tokens = self.weight("prefix_tokens", &[1, prefix, c], 0.02)?;
            x = self.node("/Concat", NodeSpec::new("Concat", [tokens, x]).attribute("axis", Attribute::Int(1)))?;
        }
        let position = self.weight("pos_embed", &[1, prefix + h * w, c], 0.02)?;
        x = self.binary("/Add", "Add", x, position)?;
        for block in 0..self.vit.depth {
            let (at, weights) = (format!("/blocks/blocks.{block}"), format!("blocks.{block}"));
            x = self.block(&at, &weights, x, prefix + h * w)?;
        }
        self.norm("/norm", "norm", x, c)
    }

    /// One block on `tokens` tokens.
    pub(super) fn block(&mut self, at: &str, w: &str, x: ValueId, tokens: usize) -> Result<ValueId> {
        let (c, m) = (self.vit.width, self.vit.mlp);
        let normed = self.norm(&format!("{at}/norm1"), &format!("{w}.norm1"), x, c)?;
        let mixed = self.attention(&format!("{at}/attn"), &format!("{w}.attn"), normed, tokens)?;
        let x = self.binary(&format!("{at}/Add"), "Add", x, mixed)?;
        let y = self.norm(&format!("{at}/norm2"), &format!("{w}.norm2"), x, c)?;
        let y = self.linear(&format!("{at}/mlp/fc1"), &format!("{w}.mlp.fc1"), y, (c, m))?;
        let y = self.gelu(&format!("{at}/mlp/act"), y)?;
        let y = self.linear(&format!("{at}/mlp/fc2"), &format!("{w}.mlp.fc2"), y, (m, c))?;
        self.binary(&format!("{at}/Add_1"), "Add", x, y)
    }

    fn attention(&mut self, at: &str, w: &str, x: ValueId, tokens: usize) -> Result<ValueId> {
        let (c, heads) = (self.vit.width, self.vit.heads);
        let depth = c / heads;
        let qkv = self.linear(&format!("{at}/qkv"), &format!("{w}.qkv"), x, (c, 3 * c))?;
        let parts = [1, tokens as i64, 3, heads as i64, depth as i64];
        let shape = self.ints(&format!("{at}/Constant"), &parts)?;
        let qkv = self.node(&format!("{at}/Reshape"), NodeSpec::new("Reshape", [qkv, shape]))?;
        let qkv = self.transpose(&format!("{at}/Transpose"), qkv, &[2, 0, 3, 1, 4])?;
        let mut pick = |index: i64| -> Result<ValueId> {
            let suffix = if index == 0 { String::new() } else { format!("_{index}") };
            let which = self.scalar(&format!("{at}/Constant_pick{suffix}"), index)?;
            let gather = NodeSpec::new("Gather", [qkv, which]).attribute("axis", Attribute::Int(0));
            self.node(&format!("{at}/Gather{suffix}"), gather)
        };
        let (q, k, v) = (pick(0)?, pick(1)?, pick(2)?);
        let scale = self.floats(&format!("{at}/Constant_scale"), &[(depth as f32).powf(-0.5)])?;
        let q = self.binary(&format!("{at}/Mul"), "Mul", q, scale)?;
        let k = self.transpose(&format!("{at}/Transpose_1"), k, &[0, 1, 3, 2])?;
        let scores = self.binary(&format!("{at}/MatMul"), "MatMul", q, k)?;
        let softmax = NodeSpec::new("Softmax", [scores]).attribute("axis", Attribute::Int(-1));
        let weights = self.node(&format!("{at}/Softmax"), softmax)?;
        let mixed = self.binary(&format!("{at}/MatMul_1"), "MatMul", weights, v)?;
        let mixed = self.transpose(&format!("{at}/Transpose_2"), mixed, &[0, 2, 1, 3])?;
        let shape = self.ints(&format!("{at}/Constant_1"), &[1, tokens as i64, c as i64])?;
        let spec = NodeSpec::new("Reshape", [mixed, shape]);
        let mixed = self.node(&format!("{at}/Reshape_1"), spec)?;
        self.linear(&format!("{at}/proj"), &format!("{w}.proj"), mixed, (c, c))
    }

    fn gelu(&mut self, at: &str, x: ValueId) -> Result<ValueId> {
        let root = self.floats(&format!("{at}/Constant"), &[std::f32::consts::SQRT_2])?;
        let one = self.floats(&format!("{at}/Constant_1"), &[1.0])?;
        let half = self.floats(&format!("{at}/Constant_2"), &[0.5])?;
        let y = self.binary(&format!("{at}/Div"), "Div", x, root)?;
        let y = self.node(&format!("{at}/Erf"), NodeSpec::new("Erf", [y]))?;
        let y = self.binary(&format!("{at}/Add"), "Add", y, one)?;
        let y = self.binary(&format!("{at}/Mul"), "Mul", x, y)?;
        self.binary(&format!("{at}/Mul_1"), "Mul", y, half)
    }

    pub(super) fn norm(&mut self, at: &str, w: &str, x: ValueId, width: usize) -> Result<ValueId> {
        let gain = self.tensor(&format!("{w}.weight"), &[width], |_| 1.0)?;
        let bias = self.weight(&format!("{w}.bias"), &[width], 0.02)?;
        self.node(
            &format!("{at}/LayerNormalization"),
            NodeSpec::new("LayerNormalization", [x, gain, bias])
                .attribute("axis", Attribute::Int(-1))
                .attribute("epsilon", Attribute::Float(1e-6)),
        )
    }

    pub(super) fn linear(&mut self, at: &str, w: &str, x: ValueId, size: (usize, usize)) -> Result<ValueId> {
        let name = format!("onnx::MatMul_{w}");
        let spread = (size.0 as f32).powf(-0.5);
        let weight = self.weight(&name, &[size.0, size.1], spread)?;
        let bias = self.weight(&format!("{w}.bias"), &[size.1], 0.02)?;
        let y = self.binary(&format!("{at}/MatMul"), "MatMul", x, weight)?;
        self.binary(&format!("{at}/Add"), "Add", bias, y)
    }
}
