//! Nodes, in the spelling of an operator set.

use super::case::{Case, Constants, Shapes, Sizes};
use ailurus_onnx::{Attribute, DataType, GraphEdit, Model, NodeSpec, Tensor, ValueId};
use std::collections::HashMap;

pub type V = ValueId;
pub use Attribute::{Float, Int, Ints};

pub fn text(s: &str) -> Attribute {
    Attribute::Str(s.as_bytes().to_vec())
}

/// A dimension to reshape to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum D {
    N(i64),
    Batch,
    Tokens,
    Patches,
    Rows,
    Columns,
    /// batch times this
    Folded(i64),
}

/// A tensor whose shape holds batch and tokens at these axes.
#[derive(Clone, Copy)]
pub struct At(pub V, pub Option<i64>, pub Option<i64>);

pub struct Net<'c> {
    pub edit: GraphEdit,
    pub case: &'c Case,
    pub image: V,
    pub cores: Vec<super::Seen>,
    pub oracle: Option<super::oracle::Oracle>,
    pub mask: Option<V>,
    /// The whole sequence in front of the blocks, [B, T, C].
    pub embedded: Option<V>,
    pub seed: u32,
    whim: u32,
    stored: HashMap<Vec<i64>, V>,
    read: HashMap<(V, i64), V>,
}

impl<'c> Net<'c> {
    pub fn new(case: &'c Case, seed: u32) -> Self {
        let mut edit = GraphEdit::new(Model::new("random", if case.opset.0 > 20 { 11 } else { 8 }, case.opset.0));
        edit.import_opset("com.microsoft", 1);
        let (stored, read) = Default::default();
        let image = super::embed::input(&mut edit, case);
        Self {
            edit,
            case,
            image,
            cores: vec![],
            oracle: None,
            mask: None,
            embedded: None,
            seed,
            whim: seed,
            stored,
            read,
        }
    }

    fn random(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.seed >> 8) as f32 / (1u32 << 24) as f32 - 0.5
    }

    pub fn noise(&mut self, dims: &[i64], scale: f32) -> V {
        let data: Vec<f32> = (0..dims.iter().product::<i64>()).map(|_| self.random() * scale).collect();
        self.floats(dims, &data)
    }

    pub fn floats(&mut self, dims: &[i64], data: &[f32]) -> V {
        self.store(|name| Tensor::from_f32(name, dims, data))
    }

    pub fn float(&mut self, x: f32) -> V {
        self.floats(&[], &[x])
    }

    fn store(&mut self, make: impl FnOnce(String) -> Tensor) -> V {
        let name = self.edit.fresh_name("constant");
        let tensor = make(name.clone());
        if self.case.graph.constants == Constants::Nodes {
            let spec = NodeSpec::new("Constant", []).name(name.clone()).output(name, None);
            let tensor = Tensor { name: String::new(), ..tensor };
            return self.edit.add(spec.attribute("value", Attribute::Tensor(tensor))).expect("a constant");
        }
        self.edit.add_initializer(tensor).expect("fresh name")
    }

    fn integers(&mut self, dims: &[i64], list: &[i64]) -> V {
        let key = [dims, &[-99], list].concat();
        if let (Some(&v), Constants::Shared) = (self.stored.get(&key), self.case.graph.constants) {
            return v;
        }
        let v = self.store(|name| Tensor::from_i64(name, dims, list));
        self.stored.insert(key, v);
        v
    }

    pub fn ints(&mut self, list: &[i64]) -> V {
        self.integers(&[list.len() as i64], list)
    }

    pub fn int(&mut self, i: i64) -> V {
        self.integers(&[], &[i])
    }

    pub fn table(&mut self, dims: &[i64], list: &[i64]) -> V {
        self.integers(dims, list)
    }

    pub fn node(
        &mut self,
        domain: &str,
        op: &str,
        ins: &[Option<V>],
        outs: &[bool],
        attrs: &[(&str, Attribute)],
    ) -> Vec<V> {
        let name = self.edit.fresh_name(op);
        let mut spec = NodeSpec::new(op, []).domain(domain).name(name.clone());
        for &v in ins {
            spec = spec.input(v);
        }
        for (i, &used) in outs.iter().enumerate() {
            spec = spec.output(if used { format!("{name}.{i}") } else { String::new() }, None);
        }
        for (k, v) in attrs {
            spec = spec.attribute(*k, v.clone());
        }
        let node = self.edit.add_node(spec).expect("inputs exist");
        self.edit.outputs(node)
    }

    pub fn op(&mut self, op: &str, ins: &[V], attrs: &[(&str, Attribute)]) -> V {
        let ins: Vec<_> = ins.iter().copied().map(Some).collect();
        self.node("", op, &ins, &[true], attrs)[0]
    }

    pub fn microsoft(&mut self, op: &str, ins: &[V], attrs: &[(&str, Attribute)]) -> V {
        let ins: Vec<_> = ins.iter().copied().map(Some).collect();
        self.node("com.microsoft", op, &ins, &[true], attrs)[0]
    }

    pub fn two(&mut self, op: &str, a: V, b: V) -> V {
        self.op(op, &[a, b], &[])
    }

    pub fn transpose(&mut self, v: V, perm: &[i64]) -> V {
        self.op("Transpose", &[v], &[("perm", Ints(perm.to_vec()))])
    }

    pub fn cast(&mut self, v: V, to: DataType) -> V {
        self.op("Cast", &[v], &[("to", Int(i64::from(to.to_onnx())))])
    }

    pub fn concat(&mut self, list: &[V], axis: i64) -> V {
        self.op("Concat", list, &[("axis", Int(axis))])
    }

    /// An operator whose axes are an attribute before operator set `since`.
    fn along(&mut self, op: &str, since: i64, v: V, axes: &[i64], attrs: &[(&str, Attribute)]) -> V {
        if self.case.opset.0 >= since {
            let axes = self.ints(axes);
            return self.op(op, &[v, axes], attrs);
        }
        let axes = ("axes", Ints(axes.to_vec()));
        self.op(op, &[v], &[&[axes], attrs].concat())
    }

    pub fn squeeze(&mut self, v: V, axes: &[i64]) -> V {
        self.along("Squeeze", 13, v, axes, &[])
    }

    pub fn unsqueeze(&mut self, v: V, axes: &[i64]) -> V {
        self.along("Unsqueeze", 13, v, axes, &[])
    }

    pub fn reduce(&mut self, op: &str, v: V, axis: i64, keep: bool) -> V {
        let since = if op == "ReduceSum" { 13 } else { 18 };
        self.along(op, since, v, &[axis], &[("keepdims", Int(i64::from(keep)))])
    }

    pub fn split(&mut self, v: V, axis: i64, sizes: &[i64]) -> Vec<V> {
        let outs = vec![true; sizes.len()];
        if self.case.opset.0 >= 13 {
            let lengths = self.ints(sizes);
            return self.node("", "Split", &[Some(v), Some(lengths)], &outs, &[("axis", Int(axis))]);
        }
        self.node("", "Split", &[Some(v)], &outs, &[("axis", Int(axis)), ("split", Ints(sizes.to_vec()))])
    }

    pub fn slice(&mut self, v: V, axis: i64, from: i64, to: i64) -> V {
        let (from, to, axis) = (self.ints(&[from]), self.ints(&[to]), self.ints(&[axis]));
        self.op("Slice", &[v, from, to, axis], &[])
    }

    pub fn pick(&mut self, v: V, axis: i64, index: i64) -> V {
        let which = self.int(index);
        self.op("Gather", &[v, which], &[("axis", Int(axis))])
    }

    /// A size of a tensor, as a list of one.
    pub fn size(&mut self, of: V, axis: i64) -> V {
        let once = self.case.graph.shapes == Shapes::Shared;
        if let (true, Some(&v)) = (once, self.read.get(&(of, axis))) {
            return v;
        }
        let shape = self.op("Shape", &[of], &[]);
        let v = match self.case.graph.sizes {
            Sizes::Gather => {
                let which = self.ints(&[axis]);
                self.op("Gather", &[shape, which], &[("axis", Int(0))])
            }
            Sizes::GatherUnsqueeze => {
                let one = self.pick(shape, 0, axis);
                self.unsqueeze(one, &[0])
            }
            Sizes::Slice => self.slice(shape, 0, axis, axis + 1),
        };
        self.read.insert((of, axis), v);
        v
    }

    /// The size of a dimension where it is baked in.
    fn known(&self, d: D) -> Option<i64> {
        let c = self.case;
        let (batch, grid) = ((!c.open_batch()).then(|| c.batch()), !c.open_grid());
        match d {
            D::N(n) => Some(n),
            D::Batch => batch,
            D::Folded(n) => batch.map(|b| b * n),
            D::Tokens => grid.then(|| c.tokens()),
            D::Patches => grid.then(|| c.patches()),
            D::Rows => grid.then_some(c.sizes.grid.0),
            D::Columns => grid.then_some(c.sizes.grid.1),
        }
    }

    /// A dimension as a list of one.
    pub fn measured(&mut self, d: D, at: Option<At>) -> V {
        let at = at.filter(|_| self.case.graph.shapes == Shapes::Local);
        match (d, at) {
            (D::N(n), _) => self.ints(&[n]),
            (D::Batch, Some(At(v, Some(axis), _))) | (D::Tokens, Some(At(v, _, Some(axis)))) => self.size(v, axis),
            (D::Batch, _) => self.size(self.image, 0),
            (D::Folded(n), _) => {
                let (batch, n) = (self.measured(D::Batch, at), self.ints(&[n]));
                self.two("Mul", batch, n)
            }
            (D::Rows | D::Columns, _) => {
                let (size, patch) =
                    (self.size(self.image, if d == D::Rows { 2 } else { 3 }), self.ints(&[super::PATCH]));
                self.two("Div", size, patch)
            }
            (D::Patches, _) => {
                let (rows, columns) = (self.measured(D::Rows, None), self.measured(D::Columns, None));
                self.two("Mul", rows, columns)
            }
            (D::Tokens, _) => match self.embedded {
                Some(v) => self.size(v, 1),
                None => {
                    let (n, c) = (self.measured(D::Patches, None), self.case);
                    let more = self.ints(&[c.sizes.prefix + c.sizes.suffix]);
                    self.two("Add", n, more)
                }
            },
        }
    }

    /// The operand of a reshape.
    pub fn shape(&mut self, dims: &[D], at: Option<At>) -> V {
        let known: Vec<Option<i64>> = dims.iter().map(|&d| self.known(d)).collect();
        let open = known.iter().filter(|k| k.is_none()).count();
        if open == 0 && self.case.graph.shapes == Shapes::Constant || dims.iter().all(|d| matches!(d, D::N(_))) {
            return self.ints(&known.iter().map(|k| k.unwrap_or(-1)).collect::<Vec<_>>());
        }
        if open == 1 && self.case.graph.shapes == Shapes::Constant && !dims.contains(&D::N(-1)) {
            return self.ints(&known.iter().map(|k| k.unwrap_or(-1)).collect::<Vec<_>>());
        }
        let parts: Vec<V> = dims.iter().map(|&d| self.measured(d, at)).collect();
        self.concat(&parts, 0)
    }

    /// The operand of an expansion: a shape without -1.
    pub fn full_shape(&mut self, dims: &[D], at: Option<At>) -> V {
        if dims.iter().all(|&d| self.known(d).is_some()) {
            return self.shape(dims, at);
        }
        let parts: Vec<V> = dims.iter().map(|&d| self.measured(d, at)).collect();
        self.concat(&parts, 0)
    }

    pub fn reshape(&mut self, v: V, dims: &[D], at: Option<At>) -> V {
        let shape = self.shape(dims, at);
        self.two("Reshape", v, shape)
    }

    /// Operators that do nothing, here and there.
    pub fn noop(&mut self, v: V) -> V {
        if !self.case.graph.noops {
            return v;
        }
        // Weights must not depend on it: the oracle is built from the same ones.
        self.whim = self.whim.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match (self.whim >> 16) % 6 {
            0 => self.op("Identity", &[v], &[]),
            1 => self.op("Dropout", &[v], &[]),
            2 => self.cast(v, DataType::F32),
            _ => v,
        }
    }
}
