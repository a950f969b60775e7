//! Writes tiny ONNX files field by field, so that this crate's tests need no other crate.

/// The element types of ONNX by their numbers.
#[derive(Clone, Copy)]
pub(crate) enum ElementType {
    F32 = 1,
    U8 = 2,
    I8 = 3,
    I32 = 6,
    I64 = 7,
    Bool = 9,
    F16 = 10,
    F64 = 11,
}

/// A protobuf message under construction.
#[derive(Default, Clone)]
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
pub(crate) struct Graph(Message);

impl Graph {
    pub(crate) fn new() -> Self {
        Graph(Message::default().text(2, "g"))
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
        Message::default()
            .text(1, name)
            .message(2, &Message::default().message(1, &tensor))
    }

    /// A dimension is a number or a symbol.
    pub(crate) fn input(self, name: &str, kind: ElementType, dims: &[&str]) -> Self {
        Graph(self.0.message(11, &Self::value(name, kind, dims)))
    }

    pub(crate) fn output(self, name: &str, kind: ElementType, dims: &[&str]) -> Self {
        Graph(self.0.message(12, &Self::value(name, kind, dims)))
    }

    pub(crate) fn node(self, op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let node = inputs.iter().fold(Message::default(), |m, i| m.text(1, i));
        let node = outputs.iter().fold(node, |m, o| m.text(2, o)).text(4, op);
        Graph(self.0.message(1, &node))
    }

    fn tensor(name: &str, kind: ElementType, dims: &[u64]) -> Message {
        let dims = dims.iter().fold(Message::default(), |m, d| m.int(1, *d));
        dims.int(2, kind as u64).text(8, name)
    }

    pub(crate) fn initializer_f32(self, name: &str, dims: &[u64], values: &[f32]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = Self::tensor(name, ElementType::F32, dims).bytes(9, &raw);
        Graph(self.0.message(5, &tensor))
    }

    pub(crate) fn external(self, name: &str, kind: ElementType, dims: &[u64], file: &str) -> Self {
        let location = Message::default().text(1, "location").text(2, file);
        let tensor = Self::tensor(name, kind, dims)
            .message(13, &location)
            .int(14, 1);
        Graph(self.0.message(5, &tensor))
    }

    /// The file: IR version 8, opset 17.
    pub(crate) fn model(&self) -> Vec<u8> {
        let opset = Message::default().int(2, 17);
        Message::default()
            .int(1, 8)
            .message(7, &self.0)
            .message(8, &opset)
            .0
    }
}
