//! What follows the encoder.

use ailurus_onnx::{Attribute, NodeSpec, ValueId};
use anyhow::Result;

use super::{Generator, float_type};

/// Channels of SAM's neck.
const NECK: usize = 256;
/// Blocks of Segmenter's decoder.
const DECODER: usize = 2;

impl Generator<'_> {
    /// A linear layer on every patch, and a resize.
    pub(super) fn linear_head(&mut self, stream: ValueId) -> Result<()> {
        let x = self.patches(stream)?;
        let x = self.linear("/head", "head", x, (self.vit.width, self.vit.classes))?;
        self.resized(x)
    }

    /// Segmenter's mask transformer.
    pub(super) fn segmenter_head(&mut self, stream: ValueId) -> Result<()> {
        let (c, classes) = (self.vit.width, self.vit.classes);
        let patches = self.vit.grid.0 * self.vit.grid.1;
        let x = self.patches(stream)?;
        let x = self.linear("/decoder/proj_dec", "decoder.proj_dec", x, (c, c))?;
        let tokens = self.weight("decoder.cls_emb", &[1, classes, c], 0.02)?;
        let concat = NodeSpec::new("Concat", [x, tokens]).attribute("axis", Attribute::Int(1));
        let mut x = self.node("/decoder/Concat", concat)?;
        for block in 0..DECODER {
            let (at, weights) = (format!("/decoder/blocks.{block}"), format!("decoder.blocks.{block}"));
            x = self.block(&at, &weights, x, patches + classes)?;
        }
        let x = self.norm("/decoder/decoder_norm", "decoder.decoder_norm", x, c)?;
        let pixels = self.slice("/decoder/Slice", x, 0, patches as i64)?;
        let pixels = self.unit("/decoder/patches", "decoder.proj_patch", pixels)?;
        let masks = self.slice("/decoder/Slice_1", x, patches as i64, i64::MAX)?;
        let masks = self.unit("/decoder/classes", "decoder.proj_classes", masks)?;
        let masks = self.transpose("/decoder/Transpose", masks, &[0, 2, 1])?;
        let x = self.binary("/decoder/MatMul", "MatMul", pixels, masks)?;
        let x = self.norm("/decoder/mask_norm", "decoder.mask_norm", x, classes)?;
        self.resized(x)
    }

    /// SAM's neck.
    pub(super) fn neck(&mut self, stream: ValueId) -> Result<()> {
        let (c, (h, w)) = (self.vit.width, self.vit.grid);
        let x = self.patches(stream)?;
        let map = self.ints("/neck/Constant", &[1, h as i64, w as i64, c as i64])?;
        let x = self.node("/neck/Reshape", NodeSpec::new("Reshape", [x, map]))?;
        let x = self.transpose("/neck/Transpose", x, &[0, 3, 1, 2])?;
        let x = self.convolution("/neck/neck.0/Conv", "neck.0", x, (c, NECK), 1)?;
        let x = self.channel_norm("/neck/neck.1", "neck.1", x)?;
        let x = self.convolution("/neck/neck.2/Conv", "neck.2", x, (NECK, NECK), 3)?;
        let x = self.channel_norm("/neck/neck.3", "neck.3", x)?;
        let out = NodeSpec::new("Identity", [x]).name("/Identity").output("features", float_type(&[1, NECK, h, w]));
        let out = self.edit.add(out)?;
        Ok(self.edit.add_graph_output(out)?)
    }

    /// The patches of the stream, without the tokens before them.
    fn patches(&mut self, stream: ValueId) -> Result<ValueId> {
        match self.vit.prefix {
            0 => Ok(stream),
            prefix => self.slice("/Slice", stream, prefix as i64, i64::MAX),
        }
    }

    /// Tokens `from..to`.
    fn slice(&mut self, name: &str, x: ValueId, from: i64, to: i64) -> Result<ValueId> {
        let mut spec = NodeSpec::new("Slice", [x]);
        for (suffix, value) in [("", from), ("_1", to), ("_2", 1), ("_3", 1)] {
            let bound = self.ints(&format!("{name}/Constant{suffix}"), &[value])?;
            spec = spec.input(bound);
        }
        self.node(name, spec)
    }

    /// A projection without bias, scaled to length one.
    fn unit(&mut self, at: &str, w: &str, x: ValueId) -> Result<ValueId> {
        let c = self.vit.width;
        let weight = self.weight(w, &[c, c], (c as f32).powf(-0.5))?;
        let x = self.binary(&format!("{at}/MatMul"), "MatMul", x, weight)?;
        let length = NodeSpec::new("ReduceL2", [x])
            .attribute("axes", Attribute::Ints(vec![-1]))
            .attribute("keepdims", Attribute::Int(1));
        let length = self.node(&format!("{at}/ReduceL2"), length)?;
        self.binary(&format!("{at}/Div"), "Div", x, length)
    }

    fn convolution(&mut self, at: &str, w: &str, x: ValueId, size: (usize, usize), side: usize) -> Result<ValueId> {
        let spread = ((size.0 * side * side) as f32).powf(-0.5);
        let kernel = self.weight(&format!("{w}.weight"), &[size.1, size.0, side, side], spread)?;
        let pad = (side / 2) as i64;
        let spec = NodeSpec::new("Conv", [x, kernel])
            .attribute("kernel_shape", Attribute::Ints(vec![side as i64; 2]))
            .attribute("pads", Attribute::Ints(vec![pad; 4]));
        self.node(at, spec)
    }

    /// A norm over the channels of a map, spelt out as SAM does.
    fn channel_norm(&mut self, at: &str, w: &str, x: ValueId) -> Result<ValueId> {
        let mean = |this: &mut Self, name: &str, x| {
            let mean = NodeSpec::new("ReduceMean", [x])
                .attribute("axes", Attribute::Ints(vec![1]))
                .attribute("keepdims", Attribute::Int(1));
            this.node(&format!("{at}/{name}"), mean)
        };
        let middle = mean(self, "ReduceMean", x)?;
        let x = self.binary(&format!("{at}/Sub"), "Sub", x, middle)?;
        let square = self.binary(&format!("{at}/Mul"), "Mul", x, x)?;
        let variance = mean(self, "ReduceMean_1", square)?;
        let epsilon = self.floats(&format!("{at}/Constant"), &[1e-6])?;
        let variance = self.binary(&format!("{at}/Add"), "Add", variance, epsilon)?;
        let root = self.node(&format!("{at}/Sqrt"), NodeSpec::new("Sqrt", [variance]))?;
        let x = self.binary(&format!("{at}/Div"), "Div", x, root)?;
        let gain = self.tensor(&format!("{w}.weight"), &[NECK, 1, 1], |_| 1.0)?;
        let bias = self.weight(&format!("{w}.bias"), &[NECK, 1, 1], 0.02)?;
        let x = self.binary(&format!("{at}/Mul_1"), "Mul", x, gain)?;
        self.binary(&format!("{at}/Add_1"), "Add", x, bias)
    }

    /// A map of classes from a row of patches, in the size of the image.
    fn resized(&mut self, x: ValueId) -> Result<()> {
        let ((h, w), patch, classes) = (self.vit.grid, self.vit.patch, self.vit.classes);
        let x = self.transpose("/Transpose", x, &[0, 2, 1])?;
        let map = [1, classes as i64, h as i64, w as i64];
        let shape = self.ints("/Constant_map", &map)?;
        let x = self.node("/Reshape", NodeSpec::new("Reshape", [x, shape]))?;
        let factor = patch as f32;
        let scales = self.floats("/Constant_scales", &[1.0, 1.0, factor, factor])?;
        let resize = NodeSpec::new("Resize", [x])
            .name("/Resize")
            .input(None)
            .input(scales)
            .attribute("coordinate_transformation_mode", Attribute::Str(b"half_pixel".to_vec()))
            .attribute("cubic_coeff_a", Attribute::Float(-0.75))
            .attribute("mode", Attribute::Str(b"linear".to_vec()))
            .attribute("nearest_mode", Attribute::Str(b"floor".to_vec()))
            .output("logits", float_type(&[1, classes, h * patch, w * patch]));
        let out = self.edit.add(resize)?;
        Ok(self.edit.add_graph_output(out)?)
    }
}
