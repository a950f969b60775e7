//! What the tests of the whole share.
//!
//! A model is rewritten, run, and compared with an evaluation that is independent of the rewriter ([`oracle`]): the
//! original graph on all tokens, in which every token of a cluster carries the cluster's mean and attention sees only one
//! token of each cluster. The rows of those tokens are what a shorter sequence must give. [`check`] puts the parts
//! together for one file, [`expect`] says what each file of the zoo must do, [`support`] writes the table for people.
//!
//! [`conformance`] is the suite that every runtime with the operators has to pass.

pub mod canonical;
pub mod case;
pub mod check;
pub mod clusters;
pub mod conformance;
pub mod deviation;
pub mod expect;
pub mod expedit;
pub mod labels;
pub mod mask;
pub mod matrix;
pub mod metric;
pub mod oracle;
pub mod pool;
pub mod probe;
pub mod quantized;
pub mod run;
pub mod structure;
pub mod support;
pub mod sweep;
pub mod taps;
pub mod windows;
