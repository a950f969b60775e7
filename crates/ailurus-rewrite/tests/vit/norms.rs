//! Norms over channels, the last axis.

use super::{
    case::Norm,
    net::{Float, Int, Net, V},
};

impl Net<'_> {
    pub fn norm(&mut self, v: V, channels: i64) -> V {
        let w = self.noise(&[channels], 2.0);
        match self.case.block.norm {
            Norm::Layer => {
                let b = self.noise(&[channels], 0.2);
                self.op("LayerNormalization", &[v, w, b], &[])
            }
            Norm::LayerSpelt => {
                let mean = self.reduce("ReduceMean", v, -1, true);
                let centred = self.two("Sub", v, mean);
                let two = self.float(2.0);
                let square = self.two("Pow", centred, two);
                let deviation = self.deviation(square);
                let normed = self.two("Div", centred, deviation);
                let scaled = self.two("Mul", normed, w);
                let b = self.noise(&[channels], 0.2);
                self.two("Add", scaled, b)
            }
            Norm::Rms => self.op("RMSNormalization", &[v, w], &[("axis", Int(-1)), ("epsilon", Float(1e-5))]),
            Norm::RmsSimplified => {
                self.op("SimplifiedLayerNormalization", &[v, w], &[("axis", Int(-1)), ("epsilon", Float(1e-5))])
            }
            Norm::RmsSpelt => {
                let square = self.two("Mul", v, v);
                let deviation = self.deviation(square);
                let inverse = self.op("Reciprocal", &[deviation], &[]);
                let normed = self.two("Mul", v, inverse);
                self.two("Mul", w, normed)
            }
        }
    }

    fn deviation(&mut self, square: V) -> V {
        let mean = self.reduce("ReduceMean", square, -1, true);
        let least = self.float(1e-5);
        let sum = self.two("Add", mean, least);
        self.op("Sqrt", &[sum], &[])
    }
}
