//! Clusters of windows for streams made up to be awkward: equal spreads, numbers that are none, rows left over.

use ailurus_analyze::Analysis;
use ailurus_onnx::{DataType, GraphEdit, Model};
use ailurus_rewrite::{Emit, Method, Metric, Options, layout::Layout, options::Keep};
use ailurus_runtime::Tensor;
use ailurus_tests::{
    canonical::Stream,
    case, probe,
    run::{self, Loader},
    windows,
};

/// Streams of whole numbers, whose spreads are exact in every order of sums.
fn streams(batch: usize, tokens: usize, channels: usize) -> Vec<Stream> {
    let stream = |value: &dyn Fn(usize, usize) -> f32| Stream {
        batch,
        tokens,
        channels,
        data: (0..batch * tokens * channels).map(|at| value(at / channels, at % channels)).collect(),
    };
    let number = |t: usize, c: usize| ((t * 7919 + c * 104_729) % 3) as f32;
    vec![
        // All windows are equal: the first are merged.
        stream(&|_, _| 1.0),
        // Few different spreads.
        stream(&|t, c| if c < 2 { number(t, c) } else { 0.0 }),
        stream(&number),
        // Windows with NaN or infinity come last, among each other in order.
        stream(&|t, c| if t % 3 == 0 && c == 1 { f32::NAN } else { number(t, c) }),
        stream(&|t, c| if t % 5 == 0 && c == 0 { f32::INFINITY } else { number(t, c) }),
        stream(&|_, _| f32::NAN),
    ]
}

#[test]
fn ties_and_numbers_that_are_none() {
    let Some(runtime) = run::onnx_runtime() else { return };
    for name in ["segmenter_mask.ts17b", "hf_yolos.ts17b-eager", "timm_vit_seg.ts13-f0", "hf_dinov2_bb.dy18b-sdpa"] {
        let path = case::fixtures().join(format!("{name}.onnx"));
        let model = ailurus_rewrite::prepare(Model::load(&path).unwrap()).unwrap();
        let analysis = Analysis::of(&model).unwrap();
        let (h, w) = analysis.grid().unwrap();
        let least = h * w - 3 * (h / 2) * (w / 2);
        for keep in [Keep::Tokens(least), Keep::Tokens(h * w), Keep::Tokens(h * w - 4), Keep::Ratio { num: 2, den: 3 }]
        {
            let options = Options { method: Method::Windows, metric: Metric::Stream, keep, ..Options::new(1) };
            let plan = ailurus_rewrite::plan(&analysis, &options).unwrap();
            assert_eq!(plan.cut.layout, Layout::BatchTokenChannel, "{name}");
            let rewritten = ailurus_rewrite::apply(&model, &plan, Emit::Inline).unwrap();
            let mut edit = GraphEdit::new(rewritten);
            probe::cut(&mut edit, &plan.cut.value, DataType::F32, 3).unwrap();
            let names = ["index", "anchor", "size"].map(|what| format!("ailurus/1/{what}"));
            let outputs = names.each_ref().map(|name| edit.graph().find(name).unwrap());
            edit.set_graph_outputs(outputs.to_vec()).unwrap();
            edit.prune();
            edit.prune_inputs();
            let session = Loader::usual(&runtime).load(&edit.finish().unwrap()).unwrap();
            let channels = plan.cut.channels.unwrap() as usize;
            for stream in streams(2, plan.tokens.sequence().unwrap(), channels) {
                let dims = vec![stream.batch, stream.tokens, stream.channels];
                let input = Tensor::new(dims, stream.data.clone()).unwrap();
                let got = run::run(session.as_ref(), &[(plan.cut.value.clone(), input)]).unwrap();
                let wanted = windows::clusters(&plan, &stream).unwrap();
                let ints = |at: usize| run::output(&got, &names[at]).unwrap().as_i32().unwrap();
                assert_eq!(ints(0), wanted.index, "{name}, {keep:?}");
                assert_eq!(ints(1), wanted.anchor, "{name}, {keep:?}");
                assert_eq!(run::output(&got, &names[2]).unwrap().as_f32().unwrap(), wanted.size, "{name}, {keep:?}");
                assert_eq!(Some(wanted.rows), plan.tokens.rows());
            }
        }
    }
}
