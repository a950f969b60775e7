//! Node attributes as plain data, and a strict reader for them.

use crate::schema::attr;
use crate::{AttrKind, AttrSchema, Error, Result};

/// Value of an attribute of an AiluRus operator.
#[derive(Clone, Debug, PartialEq)]
pub enum AttrValue {
    /// 64-bit integer
    Int(i64),
    /// 32-bit float
    Float(f32),
    /// string
    Str(String),
    /// several 64-bit integers
    Ints(Vec<i64>),
}

/// Attributes in writing order.
pub type Attributes = Vec<(&'static str, AttrValue)>;

/// Value of `plugin_namespace` on every node: TensorRT's parser finds the plugin by it.
pub const PLUGIN_NAMESPACE: &str = "ailurus";
/// Value of `plugin_version` on every node.
pub const PLUGIN_VERSION: &str = "1";

/// The attributes every node carries for TensorRT.
pub(crate) fn plugin_attributes() -> [(&'static str, AttrValue); 2] {
    [
        ("plugin_namespace", AttrValue::Str(PLUGIN_NAMESPACE.into())),
        ("plugin_version", AttrValue::Str(PLUGIN_VERSION.into())),
    ]
}

/// Names the inputs whose values TensorRT has to know while it computes shapes.
const SHAPE_INPUTS: &str = "tensorrt_plugin_shape_input_indices";

/// For TensorRT, on nodes whose grid is an input: it is one whose values make shapes.
pub(crate) fn grid_attribute() -> (&'static str, AttrValue) {
    (SHAPE_INPUTS, AttrValue::Ints(vec![1]))
}

/// The schema of [`grid_attribute`].
pub(crate) const GRID_ATTRIBUTE: AttrSchema = attr(SHAPE_INPUTS, AttrKind::Ints, false);

/// Takes attributes out of a list by name; what is left over at the end is an error.
pub(crate) struct Reader<'a> {
    operator: &'static str,
    left: Vec<(&'a str, &'a AttrValue)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        operator: &'static str,
        attributes: impl IntoIterator<Item = (&'a str, &'a AttrValue)>,
    ) -> Result<Self> {
        let mut left: Vec<(&str, &AttrValue)> = Vec::new();
        for (name, value) in attributes {
            if ["plugin_namespace", "plugin_version", SHAPE_INPUTS].contains(&name) {
                continue;
            }
            if left.iter().any(|(seen, _)| *seen == name) {
                return Err(Error::UnknownAttribute { operator, name: format!("{name} (given twice)") });
            }
            left.push((name, value));
        }
        Ok(Self { operator, left })
    }

    fn take(&mut self, name: &str) -> Option<&'a AttrValue> {
        let at = self.left.iter().position(|(n, _)| *n == name)?;
        Some(self.left.remove(at).1)
    }

    /// A non-negative integer.
    pub(crate) fn size(&mut self, name: &'static str) -> Result<Option<usize>> {
        let operator = self.operator;
        match self.take(name) {
            None => Ok(None),
            Some(AttrValue::Int(v)) => usize::try_from(*v).map(Some).map_err(|_| Error::InvalidParameter {
                operator,
                name,
                value: v.to_string(),
                reason: "it must not be negative",
            }),
            Some(_) => Err(Error::WrongAttributeKind { operator, name: name.into(), expected: "an integer" }),
        }
    }

    /// A float; an integer is not taken for one.
    pub(crate) fn float(&mut self, name: &'static str) -> Result<Option<f32>> {
        match self.take(name) {
            None => Ok(None),
            Some(AttrValue::Float(v)) => Ok(Some(*v)),
            Some(_) => {
                Err(Error::WrongAttributeKind { operator: self.operator, name: name.into(), expected: "a float" })
            }
        }
    }

    /// One of several names.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        called: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>> {
        let operator = self.operator;
        match self.take(name) {
            None => Ok(None),
            Some(AttrValue::Str(text)) => match all.iter().find(|&&one| called(one) == text) {
                Some(&one) => Ok(Some(one)),
                None => Err(Error::InvalidParameter {
                    operator,
                    name,
                    value: text.clone(),
                    reason: "it is none of the names there are",
                }),
            },
            Some(_) => Err(Error::WrongAttributeKind { operator, name: name.into(), expected: "a string" }),
        }
    }

    /// Refuses what nobody asked for: a misspelt attribute must not silently fall back to a default.
    pub(crate) fn finish(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::UnknownAttribute { operator: self.operator, name: (*name).into() }),
        }
    }
}
