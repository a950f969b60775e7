//! The runtime.

use ailurus_runtime::{Model, Result, Runtime, Session, SessionOptions};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Framework;

use crate::guard::guard;
use crate::session::TractSession;
use crate::{Error, ops};

/// tract, part of this program.
///
/// Options: [`ailurus_runtime::Optimization::None`] runs the graph as written, every other level
/// runs tract's optimised form; threads are rayon's unless a number is given; the remaining options
/// have no counterpart.
#[derive(Debug, Clone, Copy, Default)]
pub struct TractRuntime;

impl Runtime for TractRuntime {
    fn name(&self) -> String {
        "tract 0.23.9".into()
    }

    fn load(&self, model: Model<'_>, options: &SessionOptions) -> Result<Box<dyn Session>> {
        let mut onnx = tract_onnx::onnx()
            // The shapes recorded in a file may be symbols, or stale; with concrete inputs every
            // shape follows anyway.
            .with_ignore_value_info(true)
            .with_ignore_output_shapes(true);
        ops::register(&mut onnx);
        let (proto, folder) = read(&onnx, model)?;
        let session = TractSession::new(&onnx, &proto, folder.as_deref(), options)?;
        Ok(Box::new(session))
    }
}

/// The decoded file and the folder of its external data.
fn read(onnx: &tract_onnx::Onnx, model: Model<'_>) -> Result<(ModelProto, Option<String>), Error> {
    match model {
        Model::Bytes(mut bytes) => {
            let proto = guard(|| onnx.proto_model_for_read(&mut bytes)).map_err(Error::Read)?;
            Ok((proto, None))
        }
        Model::Path(path) => {
            let proto = guard(|| onnx.proto_model_for_path(path)).map_err(Error::Read)?;
            let folder = path.parent().and_then(|p| p.to_str()).map(str::to_owned);
            Ok((proto, folder))
        }
    }
}
