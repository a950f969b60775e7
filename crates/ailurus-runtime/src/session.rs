//! What every runtime offers.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{DataType, Error, Result, Tensor};

/// Where a model comes from. External data is found only beside a path.
#[derive(Debug, Clone, Copy)]
pub enum Model<'a> {
    /// A file.
    Path(&'a Path),
    /// The bytes of a file.
    Bytes(&'a [u8]),
}

impl<'a> From<&'a Path> for Model<'a> {
    fn from(path: &'a Path) -> Self {
        Model::Path(path)
    }
}

impl<'a> From<&'a [u8]> for Model<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Model::Bytes(bytes)
    }
}

/// How much a runtime may change the graph before it runs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimization {
    /// As written.
    None,
    /// Constant folding and the removal of what does nothing.
    Basic,
    /// And fusions.
    Extended,
    /// Everything.
    #[default]
    All,
}

/// What computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU through CUDA, device 0 (ONNX Runtime only); what it lacks runs on the processor. Inputs and outputs are in
    /// main memory, so runs include the copies.
    Cuda,
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Provider::Cpu => "CPU",
            Provider::Cuda => "CUDA",
        })
    }
}

/// How a model is prepared. A runtime ignores what it has no counterpart for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads within one operator; `None` leaves it to the runtime.
    pub threads: Option<usize>,
    /// How much the graph may be changed.
    pub optimization: Optimization,
    /// Where to write a profile, as a file name prefix; `None` for no profile.
    pub profile: Option<PathBuf>,
    /// Libraries of custom operators to register (ONNX Runtime only).
    pub custom_op_libraries: Vec<PathBuf>,
    /// What computes (ONNX Runtime only).
    pub provider: Provider,
}

/// One dimension as a model declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// A symbol.
    Symbol(String),
    /// Nothing is said.
    Unknown,
}

impl Dim {
    /// The number, when there is one.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(n) => Some(*n),
            _ => None,
        }
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Symbol(s) => f.write_str(s),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueInfo {
    /// Its name.
    pub name: String,
    /// Its element type, when the runtime knows it.
    pub data_type: Option<DataType>,
    /// Its dimensions, when its rank is known.
    pub dims: Option<Vec<Dim>>,
}

/// The outputs of a run, in the model's order.
pub type Outputs = Vec<(String, Tensor)>;

/// Something that can execute ONNX models.
pub trait Runtime: Send + Sync {
    /// The runtime's name and version.
    fn name(&self) -> String;

    /// Prepares a model.
    fn load(&self, model: Model<'_>, options: &SessionOptions) -> Result<Box<dyn Session>>;
}

/// A model ready to run.
pub trait Session: Send + Sync {
    /// The inputs that a run needs.
    fn inputs(&self) -> &[ValueInfo];

    /// The outputs that a run gives.
    fn outputs(&self) -> &[ValueInfo];

    /// Runs the model; every input must be given once, in any order.
    fn run(&self, inputs: &[(&str, &Tensor)]) -> Result<Outputs>;
}

/// Checks names and element types, and returns the tensors in the order of `declared`.
pub fn check_inputs<'a>(declared: &[ValueInfo], given: &[(&str, &'a Tensor)]) -> Result<Vec<&'a Tensor>> {
    if let Some((name, _)) = given.iter().find(|(n, _)| declared.iter().all(|d| d.name != *n)) {
        return Err(Error::UnknownInput {
            name: (*name).to_owned(),
            known: declared.iter().map(|d| d.name.clone()).collect(),
        });
    }
    declared
        .iter()
        .map(|d| {
            let (_, tensor) =
                given.iter().find(|(n, _)| d.name == *n).ok_or_else(|| Error::MissingInput { name: d.name.clone() })?;
            match d.data_type {
                Some(declared) if declared != tensor.data_type() => {
                    Err(Error::InputType { name: d.name.clone(), given: tensor.data_type(), declared })
                }
                _ => Ok(*tensor),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str) -> ValueInfo {
        ValueInfo { name: name.into(), data_type: Some(DataType::F32), dims: None }
    }

    #[test]
    fn inputs_are_ordered_and_checked() {
        let (a, b) = (Tensor::new([1], vec![1f32]).unwrap(), Tensor::new([1], vec![2f32]).unwrap());
        let declared = [info("a"), info("b")];
        assert_eq!(check_inputs(&declared, &[("b", &b), ("a", &a)]).unwrap(), [&a, &b]);
        let code = |given: &[(&str, &Tensor)]| check_inputs(&declared, given).unwrap_err().code();
        assert_eq!(code(&[("a", &a)]), "AIL0507");
        assert_eq!(code(&[("a", &a), ("b", &b), ("c", &b)]), "AIL0506");
        assert_eq!(code(&[("a", &a), ("b", &b.cast(DataType::F16))]), "AIL0508");
    }
}
