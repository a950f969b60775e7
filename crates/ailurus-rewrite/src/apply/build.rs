//! Small helpers to add nodes.

use crate::{error::Error, layout::Layout, plan::Plan};
use ailurus_onnx::{Attribute, DataType, Dim, GraphEdit, NodeId, NodeSpec, Tensor, TensorType, ValueId};
use std::collections::HashMap;

/// An edit in progress, with names under `ailurus/<layer>/`.
pub struct Build {
    pub edit: GraphEdit,
    layer: usize,
    opset: i64,
    original: usize,
    constants: HashMap<Vec<i64>, ValueId>,
    loose: Vec<ValueId>,
}

impl Build {
    pub fn new(edit: GraphEdit, layer: usize) -> Self {
        let (opset, original) = (edit.model().opset(), edit.graph().node_capacity());
        Self { edit, layer, opset, original, constants: HashMap::new(), loose: Vec::new() }
    }

    /// Value of the original model.
    pub fn value(&self, name: &str) -> Result<ValueId, Error> {
        self.edit.graph().find(name).ok_or_else(|| Error::Foreign { what: "the value", name: name.to_owned() })
    }

    /// Node of the original model, by first output.
    pub fn node(&self, name: &str) -> Result<NodeId, Error> {
        let v = self.value(name)?;
        let producer = self.edit.graph().producer(v);
        producer.map(|(n, _)| n).ok_or_else(|| Error::Foreign { what: "the node behind", name: name.to_owned() })
    }

    /// True for nodes that were there before the edit.
    pub fn is_original(&self, n: NodeId) -> bool {
        n.index() < self.original
    }

    /// A fresh name `ailurus/<layer>/<what>`.
    pub fn name(&mut self, what: &str) -> String {
        self.edit.fresh_name(&format!("ailurus/{}/{what}", self.layer))
    }

    /// Adds a standard operator with one output.
    pub fn op(
        &mut self,
        what: &str,
        op: &str,
        inputs: &[ValueId],
        attributes: &[(&str, Attribute)],
        ty: Option<TensorType>,
    ) -> Result<ValueId, Error> {
        let name = self.name(what);
        let mut spec = NodeSpec::new(op, inputs.iter().copied()).name(name.clone()).output(name, ty);
        for (k, v) in attributes {
            spec = spec.attribute(*k, v.clone());
        }
        Ok(self.edit.add(spec)?)
    }

    /// A constant list of integers; equal lists share one initializer.
    pub fn ints(&mut self, list: &[i64]) -> Result<ValueId, Error> {
        if let Some(&v) = self.constants.get(list) {
            return Ok(v);
        }
        let name = self.name("ints");
        let v = self.edit.add_initializer(Tensor::from_i64(name, &[list.len() as i64], list))?;
        self.constants.insert(list.to_vec(), v);
        Ok(v)
    }

    /// A constant integer.
    pub fn int(&mut self, n: i64) -> Result<ValueId, Error> {
        let name = self.name("int");
        Ok(self.edit.add_initializer(Tensor::from_i64(name, &[], &[n]))?)
    }

    /// A constant of 32-bit integers.
    pub fn numbers(&mut self, dims: &[i64], list: &[i32]) -> Result<ValueId, Error> {
        let name = self.name("rows");
        let bytes: Vec<u8> = list.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok(self.edit.add_initializer(Tensor::from_bytes(name, DataType::I32, dims, bytes))?)
    }

    /// Fails where the model's opset lacks what methods of standard operators are written with.
    pub fn standard(&self) -> Result<(), Error> {
        const LEAST: i64 = 11;
        if self.opset >= LEAST {
            return Ok(());
        }
        let reason = format!("the model has opset {}, it needs {LEAST} or newer", self.opset);
        Err(ailurus_ops::Error::NoBody { operator: "clusters of standard operators", reason }.into())
    }

    /// `ReduceSum` or `ReduceMean`: axes became an input with opset 13 and 18.
    pub fn reduce(&mut self, what: &str, op: &str, v: ValueId, axes: &[i64], keep: bool) -> Result<ValueId, Error> {
        let keep = ("keepdims", Attribute::Int(i64::from(keep)));
        let input_since = if op == "ReduceSum" { 13 } else { 18 };
        if self.opset < input_since {
            return self.op(what, op, &[v], &[("axes", Attribute::Ints(axes.to_vec())), keep], None);
        }
        let axes = self.ints(axes)?;
        self.op(what, op, &[v, axes], &[keep], None)
    }

    /// A constant number in the element type of the model.
    pub fn float(&mut self, dtype: DataType, value: f32) -> Result<ValueId, Error> {
        let name = self.name("number");
        Ok(self.edit.add_initializer(floats(name, dtype, &[], &[value]))?)
    }

    pub fn transpose(
        &mut self,
        what: &str,
        v: ValueId,
        perm: &[i64],
        ty: Option<TensorType>,
    ) -> Result<ValueId, Error> {
        self.op(what, "Transpose", &[v], &[("perm", Attribute::Ints(perm.to_vec()))], ty)
    }

    pub fn reshape(&mut self, what: &str, v: ValueId, dims: &[i64], ty: Option<TensorType>) -> Result<ValueId, Error> {
        let shape = self.ints(dims)?;
        self.op(what, "Reshape", &[v, shape], &[], ty)
    }

    /// `Squeeze` or `Unsqueeze`: axes were an attribute before opset 13.
    pub fn with_axes(
        &mut self,
        what: &str,
        op: &str,
        v: ValueId,
        axes: &[i64],
        ty: Option<TensorType>,
    ) -> Result<ValueId, Error> {
        if self.opset < 13 {
            return self.op(what, op, &[v], &[("axes", Attribute::Ints(axes.to_vec()))], ty);
        }
        let axes = self.ints(axes)?;
        self.op(what, op, &[v, axes], &[], ty)
    }

    /// A stream in the operators' layout `[B, T, C]`; `tokens` is their number here, when static.
    pub fn canonical(&mut self, what: &str, v: ValueId, layout: Layout, shape: &StreamShape) -> Result<ValueId, Error> {
        let ty = Some(shape.ty());
        match layout {
            Layout::BatchTokenChannel => Ok(v),
            Layout::TokenBatchChannel => self.transpose(what, v, &[1, 0, 2], ty),
            Layout::BatchChannelToken => self.transpose(what, v, &[0, 2, 1], ty),
            Layout::TokenChannel => self.with_axes(what, "Unsqueeze", v, &[0], ty),
            Layout::Flat => {
                let (t, c) = shape.fixed()?;
                self.reshape(what, v, &[-1, t, c], ty)
            }
            Layout::Map => {
                let (t, c) = shape.fixed()?;
                self.reshape(what, v, &[0, t, c], ty)
            }
            Layout::ChannelMap => {
                let (t, c) = shape.fixed()?;
                let rows = self.reshape(&format!("{what}_rows"), v, &[0, c, t], None)?;
                self.transpose(what, rows, &[0, 2, 1], ty)
            }
        }
    }

    /// Back to the stream's own layout.
    pub fn restored(&mut self, what: &str, v: ValueId, layout: Layout, shape: &StreamShape) -> Result<ValueId, Error> {
        let ty = Some(shape.laid_out(layout));
        match layout {
            Layout::BatchTokenChannel => Ok(v),
            Layout::TokenBatchChannel => self.transpose(what, v, &[1, 0, 2], ty),
            Layout::BatchChannelToken => self.transpose(what, v, &[0, 2, 1], ty),
            Layout::TokenChannel => self.with_axes(what, "Squeeze", v, &[0], ty),
            Layout::Flat => {
                let (_, c) = shape.fixed()?;
                self.reshape(what, v, &[-1, c], ty)
            }
            Layout::Map => {
                let ((_, c), (rows, columns)) = (shape.fixed()?, shape.grid()?);
                self.reshape(what, v, &[0, rows, columns, c], ty)
            }
            Layout::ChannelMap => {
                let ((_, c), (rows, columns)) = (shape.fixed()?, shape.grid()?);
                let first = self.transpose(&format!("{what}_channels"), v, &[0, 2, 1], None)?;
                self.reshape(what, first, &[0, c, rows, columns], ty)
            }
        }
    }

    /// A value that an edit may have left without users.
    pub fn loosen(&mut self, v: ValueId) {
        self.loose.push(v);
    }

    /// Removes what the edits left without users.
    pub fn sweep(&mut self) -> Result<(), Error> {
        while let Some(v) = self.loose.pop() {
            let g = self.edit.graph();
            let Some((n, _)) = g.producer(v) else { continue };
            let dead = g.node(n).outputs.iter().flatten().all(|&o| g.uses(o).is_empty());
            if dead {
                let node = g.node(n);
                let inputs: Vec<ValueId> = node.inputs.iter().flatten().chain(&node.captures).copied().collect();
                self.edit.remove_node(n)?;
                self.loose.extend(inputs);
            }
        }
        Ok(())
    }
}

/// Shape and type of a stream in the operators' layout.
#[derive(Clone)]
pub struct StreamShape {
    pub dtype: DataType,
    /// Batch, static or symbolic.
    pub batch: Dim,
    /// Tokens, when static.
    pub tokens: Option<i64>,
    /// What to call a symbolic number of tokens.
    pub symbol: &'static str,
    /// Rows and columns of the tokens, where they are a grid of fixed size.
    pub grid: Option<(i64, i64)>,
    /// Channels, when static.
    pub channels: Option<i64>,
}

impl StreamShape {
    /// The full stream at the cut.
    pub fn full(plan: &Plan) -> Self {
        Self {
            dtype: DataType::from_onnx(plan.cut.dtype),
            batch: plan.cut.batch.map_or_else(|| Dim::Param("ailurus_batch".into()), Dim::Value),
            tokens: plan.tokens.sequence().map(|t| t as i64),
            symbol: "ailurus_tokens",
            grid: plan.tokens.grid.map(|(h, w)| (h as i64, w as i64)),
            channels: plan.cut.channels,
        }
    }

    /// The merged stream.
    pub fn merged(plan: &Plan) -> Self {
        let grid = plan.cluster.grid().map(|(h, w)| (h as i64, w as i64));
        Self { tokens: plan.tokens.rows().map(|t| t as i64), symbol: "ailurus_rows", grid, ..Self::full(plan) }
    }

    /// The same stream with other tokens beside the patches.
    pub fn beside(self, plan: &Plan, prefix: usize, suffix: usize) -> Self {
        let (p, s) = (plan.tokens.prefix as i64, plan.tokens.suffix as i64);
        if (prefix as i64, suffix as i64) == (p, s) {
            return self;
        }
        let tokens = self.tokens.map(|t| t - p - s + (prefix + suffix) as i64);
        Self { tokens, symbol: "ailurus_sequence", ..self }
    }

    fn fixed(&self) -> Result<(i64, i64), Error> {
        self.tokens.zip(self.channels).ok_or_else(|| Error::Plan("a flattened stream needs static sizes".into()))
    }

    fn grid(&self) -> Result<(i64, i64), Error> {
        self.grid.ok_or_else(|| Error::Plan("a map needs a grid of fixed size".into()))
    }

    fn dims(&self) -> [Dim; 3] {
        let tokens = self.tokens.map_or_else(|| Dim::Param(self.symbol.into()), Dim::Value);
        [self.batch.clone(), tokens, self.channels.map_or(Dim::Unknown, Dim::Value)]
    }

    pub fn typed(&self, dims: Vec<Dim>) -> TensorType {
        TensorType { dtype: self.dtype, shape: Some(dims) }
    }

    pub fn ty(&self) -> TensorType {
        self.typed(self.dims().to_vec())
    }

    /// The type in a stream's own layout.
    pub fn laid_out(&self, layout: Layout) -> TensorType {
        let [batch, tokens, channels] = self.dims();
        let [rows, columns] =
            [self.grid.map(|g| g.0), self.grid.map(|g| g.1)].map(|n| n.map_or(Dim::Unknown, Dim::Value));
        self.typed(match layout {
            Layout::BatchTokenChannel => vec![batch, tokens, channels],
            Layout::TokenBatchChannel => vec![tokens, batch, channels],
            Layout::BatchChannelToken => vec![batch, channels, tokens],
            Layout::TokenChannel => vec![tokens, channels],
            Layout::Flat => vec![Dim::Unknown, channels],
            Layout::Map => vec![batch, rows, columns, channels],
            Layout::ChannelMap => vec![batch, channels, rows, columns],
        })
    }

    /// The first two dimensions, with another element type: index, anchor and size.
    pub fn rows(&self, dtype: DataType) -> TensorType {
        TensorType { dtype, shape: Some(self.dims()[..2].to_vec()) }
    }
}

/// A constant in the element type of the model.
pub fn floats(name: String, dtype: DataType, dims: &[i64], data: &[f32]) -> Tensor {
    if dtype != DataType::F16 {
        return Tensor::from_f32(name, dims, data);
    }
    let bytes: Vec<u8> = data.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    Tensor { name, dtype, dims: dims.to_vec(), storage: ailurus_onnx::Storage::Memory(bytes.into()) }
}
