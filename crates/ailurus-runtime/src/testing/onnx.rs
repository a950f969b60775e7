//! Writes tiny ONNX files field by field, so that tests of runtimes need no other crate.

/// The element types of ONNX by their numbers.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the variants are the element types")]
pub enum ElementType {
    F32 = 1,
    U8 = 2,
    I8 = 3,
    I32 = 6,
    I64 = 7,
    Bool = 9,
    F16 = 10,
    F64 = 11,
}

/// An attribute's value.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the variants are the types")]
pub enum Attribute<'a> {
    Int(i64),
    Float(f32),
    Text(&'a str),
    Ints(&'a [i64]),
}

/// A protobuf message under construction.
#[derive(Debug, Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn raw(mut self, mut n: u64) -> Self {
        while n >= 0x80 {
            self.0.push((n as u8) | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
        self
    }

    fn int(self, field: u64, n: u64) -> Self {
        self.raw(field << 3).raw(n)
    }

    fn fixed(self, field: u64, v: f32) -> Self {
        let mut m = self.raw(field << 3 | 5);
        m.0.extend_from_slice(&v.to_le_bytes());
        m
    }

    fn bytes(self, field: u64, b: &[u8]) -> Self {
        let mut m = self.raw(field << 3 | 2).raw(b.len() as u64);
        m.0.extend_from_slice(b);
        m
    }

    fn text(self, field: u64, s: &str) -> Self {
        self.bytes(field, s.as_bytes())
    }

    fn message(self, field: u64, m: &Message) -> Self {
        self.bytes(field, &m.0)
    }
}

/// A graph under construction.
#[derive(Debug, Clone)]
pub struct Graph(Message);

impl Default for Graph {
    fn default() -> Self {
        Graph(Message::default().text(2, "g"))
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    fn value(name: &str, kind: ElementType, dims: &[&str]) -> Message {
        let shape = dims.iter().fold(Message::default(), |shape, d| {
            let dim = match d.parse::<u64>() {
                Ok(n) => Message::default().int(1, n),
                Err(_) => Message::default().text(2, d),
            };
            shape.message(1, &dim)
        });
        let tensor = Message::default().int(1, kind as u64).message(2, &shape);
        Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
    }

    /// Adds an input; a dimension is a number or a symbol.
    pub fn input(self, name: &str, kind: ElementType, dims: &[&str]) -> Self {
        Graph(self.0.message(11, &Self::value(name, kind, dims)))
    }

    /// Adds an output; a dimension is a number or a symbol.
    pub fn output(self, name: &str, kind: ElementType, dims: &[&str]) -> Self {
        Graph(self.0.message(12, &Self::value(name, kind, dims)))
    }

    /// Adds an output of which only the element type is declared.
    pub fn output_of_any_shape(self, name: &str, kind: ElementType) -> Self {
        let tensor = Message::default().message(1, &Message::default().int(1, kind as u64));
        Graph(self.0.message(12, &Message::default().text(1, name).message(2, &tensor)))
    }

    /// Adds a node of a standard operator.
    pub fn node(self, op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        self.custom("", op, inputs, outputs, &[])
    }

    /// Adds a node of any domain, with attributes.
    pub fn custom(
        self,
        domain: &str,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Self {
        self.named(domain, op, "", inputs, outputs, attributes)
    }

    /// Adds a node of any domain, with a name and attributes.
    pub fn named(
        self,
        domain: &str,
        op: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Self {
        let node = inputs.iter().fold(Message::default(), |m, i| m.text(1, i));
        let node = outputs.iter().fold(node, |m, o| m.text(2, o)).text(3, name).text(4, op).text(7, domain);
        let node = attributes.iter().fold(node, |node, (name, value)| {
            let m = Message::default().text(1, name);
            let m = match value {
                Attribute::Float(v) => m.fixed(2, *v).int(20, 1),
                Attribute::Int(v) => m.int(3, *v as u64).int(20, 2),
                Attribute::Text(v) => m.text(4, v).int(20, 3),
                Attribute::Ints(v) => v.iter().fold(m, |m, v| m.int(8, *v as u64)).int(20, 7),
            };
            node.message(5, &m)
        });
        Graph(self.0.message(1, &node))
    }

    fn tensor(name: &str, kind: ElementType, dims: &[u64]) -> Message {
        let dims = dims.iter().fold(Message::default(), |m, d| m.int(1, *d));
        dims.int(2, kind as u64).text(8, name)
    }

    /// Adds an initializer of f32.
    pub fn initializer_f32(self, name: &str, dims: &[u64], values: &[f32]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = Self::tensor(name, ElementType::F32, dims).bytes(9, &raw);
        Graph(self.0.message(5, &tensor))
    }

    /// Adds a vector of i64 as an initializer.
    pub fn initializer_i64(self, name: &str, values: &[i64]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = Self::tensor(name, ElementType::I64, &[values.len() as u64]).bytes(9, &raw);
        Graph(self.0.message(5, &tensor))
    }

    /// Adds an initializer whose elements are in a file beside the model.
    pub fn external(self, name: &str, kind: ElementType, dims: &[u64], file: &str) -> Self {
        let location = Message::default().text(1, "location").text(2, file);
        let tensor = Self::tensor(name, kind, dims).message(13, &location).int(14, 1);
        Graph(self.0.message(5, &tensor))
    }

    /// The file: IR version 8, opset 17.
    pub fn model(&self) -> Vec<u8> {
        let opset = Message::default().int(2, 17);
        Message::default().int(1, 8).message(7, &self.0).message(8, &opset).0
    }
}
