//! Prints what the analysis finds in each file given.
#![allow(clippy::print_stdout)]
use ailurus_analyze::{cores, interp::Interp, trunk};

fn main() {
    for path in std::env::args().skip(1) {
        let name = std::path::Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
        let model = match ailurus_onnx::Model::load(&path) {
            Ok(m) => m,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        let t = std::time::Instant::now();
        let interp = Interp::run(&model);
        let found = cores::find(&interp);
        let n = found.len();
        match trunk::find(&interp, found) {
            Ok(t) => println!(
                "{name}: cores {n} blocks {} prefix {} suffix {} seq [{}] other {} post {} streams {:?}",
                t.cores.len(),
                t.tokens.prefix,
                t.tokens.suffix,
                interp.atoms.show(&t.tokens.sequence),
                t.other_cores.len(),
                t.post_norm,
                t.streams.iter().map(|&v| model.graph.name_of(v)).collect::<Vec<_>>()
            ),
            Err(e) => println!("{name}: cores {n} {e}"),
        }
        if std::env::var("V").is_ok() {
            for (_, node) in model.graph.nodes() {
                for &o in node.outputs.iter().flatten() {
                    let a = interp.get(o);
                    println!(
                        "  {} {} {:?} {:?}",
                        node.op_type,
                        model.graph.name_of(o),
                        a.and_then(|a| a.axes.as_ref())
                            .map(|x| x.iter().map(|x| interp.atoms.show(x)).collect::<Vec<_>>()),
                        a.and_then(|a| a.elements.as_ref())
                            .map(|e| format!("{e:?}").chars().take(80).collect::<String>())
                    );
                }
            }
        }
        println!("   {:?}", t.elapsed());
    }
}
