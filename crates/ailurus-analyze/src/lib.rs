//! Find transformer blocks, tokens and grids in ONNX graphs by what each axis means.
//!
//! [`Analysis::of`] interprets a graph abstractly ([`interp`]), so that every axis of every tensor has a meaning ([`axis`]):
//! a batch, a stretch of class tokens, rows and columns of the patch grid, channels, or products and concatenations of
//! these. Attention cores ([`cores`]), the residual stream and its blocks ([`trunk`]) are read off those meanings, never off
//! names or operator sequences. What cannot be handled is refused with a code and a place ([`refusal`]).

pub mod abs;
pub mod absent;
pub mod axis;
pub mod constants;
pub mod contraction;
pub mod cores;
pub mod expr;
pub mod flops;
pub mod interp;
pub mod keys;
pub mod quantization;
pub mod refusal;
pub mod report;
pub mod transfer;
pub mod trunk;
pub mod walk;
pub mod windows;

pub use interp::Interp;
pub use refusal::{Code, Refusal};
pub use report::Report;
pub use trunk::{Block, Tokens, Trunk};

use ailurus_onnx::Model;

/// What is known about a model.
pub struct Analysis<'m> {
    /// Meaning of every tensor.
    pub interp: Interp<'m>,
    /// The chain of blocks whose tokens can be merged.
    pub trunk: Trunk,
    /// The name it was asked for by, where the model holds several.
    pub asked: Option<String>,
}

impl<'m> Analysis<'m> {
    /// Analyses a model.
    ///
    /// # Errors
    /// A [`Refusal`] when the graph holds no vision transformer whose tokens can be merged.
    pub fn of(model: &'m Model) -> Result<Self, Refusal> {
        Self::of_trunk(model, None)
    }

    /// Analyses a model that may hold several encoders; `trunk` names a tensor, a node, an input or a module of the one to
    /// take.
    ///
    /// # Errors
    /// A [`Refusal`] when the graph holds no vision transformer whose tokens can be merged, or several and no name.
    pub fn of_trunk(model: &'m Model, trunk: Option<&str>) -> Result<Self, Refusal> {
        if model.header.metadata.contains_key("ailurus.plan") {
            return Err(Refusal::new(
                Code::AIL0212,
                "this file was written by ailurus: its tokens are merged already",
                "start from the original model",
            ));
        }
        let span = tracing::debug_span!("analyze");
        let _guard = span.enter();
        let interp = Interp::run(model);
        let found = cores::find(&interp);
        let found = trunk::find(&interp, found, trunk)?;
        Ok(Self { interp, trunk: found, asked: trunk.map(str::to_owned) })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.trunk.blocks.len()
    }

    /// Number of patch tokens, when static.
    pub fn patches(&self) -> Option<usize> {
        let atoms = &self.interp.atoms;
        usize::try_from(atoms.symbols.known(&atoms.run_size(&self.trunk.tokens.patches))?).ok()
    }

    /// Rows and columns of the patch grid, when static.
    pub fn grid(&self) -> Option<(usize, usize)> {
        let atoms = &self.interp.atoms;
        let size = |a| usize::try_from(atoms.symbols.known(&atoms.get(a).size)?).ok();
        Some((size(self.trunk.tokens.grid.0)?, size(self.trunk.tokens.grid.1)?))
    }

    /// An operator behind the blocks that is not understood and may hide further ones.
    pub fn hidden(&self) -> Option<ailurus_onnx::NodeId> {
        absent::hidden_behind(&self.interp, *self.trunk.streams.last()?)
    }

    /// Summary for people and for `--json`.
    pub fn report(&self) -> Report {
        report::of(self)
    }
}
