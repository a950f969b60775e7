//! What a caller asks for, from one end to the other.

use ailurus_onnx::ExternalData;
use ailurus_rewrite::options::Keep;
use ailurus_rewrite::{Emit, Layer, Method, Metric, UnfoldAt, UnfoldMode};

use crate::{Error, Result};

/// How to rewrite a model. Starts from [`Options::new`]; every field has a setter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the plan is made from.
    pub rewrite: ailurus_rewrite::Options,
    /// Name of the encoder to take, where the model holds several.
    pub trunk: Option<String>,
    /// How the operators travel.
    pub emit: Emit,
    /// What happens to external data.
    pub external_data: ExternalData,
    /// The output may replace the input.
    pub overwrite_input: bool,
}

impl Options {
    /// The blocks up to `layer` run on all tokens, the rest on half of the patches. A layer is a number, or a share of
    /// the blocks or a name read from text:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ailurus::{Layer, Options};
    ///
    /// let eight = Options::new(8);
    /// let third = Options::new("1/3".parse::<Layer>()?);
    /// let named = Options::new(Layer::Name("encoder.layer.7".into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(layer: impl Into<Layer>) -> Self {
        Options {
            rewrite: ailurus_rewrite::Options::new(layer),
            trunk: None,
            emit: Emit::default(),
            external_data: ExternalData::default(),
            overwrite_input: false,
        }
    }

    /// The share of the patches that is kept, above 0 and at most 1.
    ///
    /// # Errors
    /// When it is outside that range.
    pub fn keep(mut self, share: f64) -> Result<Self> {
        self.rewrite.keep = Keep::share(share).ok_or_else(|| Error::Option {
            option: "keep",
            value: share.to_string(),
            reason: "it is a share of the patches, above 0 and at most 1",
        })?;
        Ok(self)
    }

    /// The number of patches that is kept, at least 1.
    ///
    /// # Errors
    /// When it is 0.
    pub fn tokens(mut self, tokens: usize) -> Result<Self> {
        if tokens == 0 {
            return Err(Error::Option {
                option: "tokens",
                value: tokens.to_string(),
                reason: "at least one token has to be kept",
            });
        }
        self.rewrite.keep = Keep::Tokens(tokens);
        Ok(self)
    }

    /// How tokens become clusters; [`Method::Expedit`] brings its own number of them.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.rewrite.method = method;
        self
    }

    /// What distances between tokens are measured on.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.rewrite.metric = metric;
        self
    }

    /// How the full grid is made again.
    #[must_use]
    pub fn unfold(mut self, unfold: UnfoldMode) -> Self {
        self.rewrite.unfold = unfold;
        self
    }

    /// Where the full grid is made again.
    #[must_use]
    pub fn unfold_at(mut self, at: UnfoldAt) -> Self {
        self.rewrite.unfold_at = at;
        self
    }

    /// A tensor, node, input or module of the encoder to take, where the model holds several.
    #[must_use]
    pub fn trunk(mut self, name: impl Into<String>) -> Self {
        self.trunk = Some(name.into());
        self
    }

    /// Lets each cluster weigh in attention as much as its patches would.
    #[must_use]
    pub fn proportional_attention(mut self, wanted: bool) -> Self {
        self.rewrite.proportional = wanted;
        self
    }

    /// How the operators travel.
    #[must_use]
    pub fn emit(mut self, emit: Emit) -> Self {
        self.emit = emit;
        self
    }

    /// What happens to external data.
    #[must_use]
    pub fn external_data(mut self, external_data: ExternalData) -> Self {
        self.external_data = external_data;
        self
    }

    /// Allows the output to replace the input.
    #[must_use]
    pub fn overwrite_input(mut self, allowed: bool) -> Self {
        self.overwrite_input = allowed;
        self
    }
}
