use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::*;
fn main() {
    for p in std::env::args().skip(1) {
        let m = prepare(Model::load(&p).unwrap()).unwrap();
        let short = p.rsplit('/').next().unwrap().to_owned();
        match Analysis::of(&m) {
            Err(r) => println!("{short}: REFUSED {r}"),
            Ok(a) => {
                let l = a.blocks() / 2;
                match plan(&a, &Options::new(l.max(1))) {
                    Err(e) => println!("{short}: {e}"),
                    Ok(pl) => println!(
                        "{short}: cut {} q={} | {} | {} -> {:.2}x unf {} {:?} gathers {} prop {}",
                        pl.cut.value,
                        pl.cut.quantization.is_some(),
                        match &pl.metric {
                            plan::MetricPlan::Keys(k) => format!(
                                "keys {} sc={} qi={} bias={:?}",
                                k.weight,
                                k.weight_scales.is_some(),
                                k.quantization.is_some(),
                                k.bias
                            ),
                            _ => "stream".into(),
                        },
                        pl.flops.before as u64,
                        pl.promise(),
                        pl.unfolds.len(),
                        pl.unfolds.iter().map(|u| (u.mode, u.quantization.is_some())).collect::<Vec<_>>(),
                        pl.gathers.len(),
                        match plan(&a, &Options { proportional: true, ..Options::new(l.max(1)) }) {
                            Ok(p) => format!("{:?}", p.proportional.len()),
                            Err(e) => e.to_string().replace('\n', " "),
                        }
                    ),
                }
            }
        }
    }
}
