//! One module per command.

pub(crate) mod bench_io;
pub(crate) mod bench_models;
pub(crate) mod bench_operators;
pub(crate) mod cuda;
pub(crate) mod demo;
pub(crate) mod dist;
pub(crate) mod generate_vit;
pub(crate) mod memcheck;
pub(crate) mod methods;
pub(crate) mod models;
pub(crate) mod tensorrt;
pub(crate) mod test;
pub(crate) mod wheels;
