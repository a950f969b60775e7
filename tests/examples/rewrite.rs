//! dev
fn main() -> anyhow::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let model = ailurus_rewrite::prepare(ailurus_onnx::Model::load(&a[1])?)?;
    let an = ailurus_analyze::Analysis::of(&model)?;
    let mut o = ailurus_rewrite::Options::new(a[3].parse::<usize>()?);
    if a.get(4).is_some_and(|s| s == "latest") { o.unfold_at = ailurus_rewrite::UnfoldAt::Latest; }
    if a.get(5).is_some() { o.keep = ailurus_rewrite::options::Keep::Tokens(a[5].parse()?); }
    let p = ailurus_rewrite::plan(&an, &o)?;
    eprintln!("{:#?} {:#?} {:#?} {:#?}", p.unfolds, p.operands, p.gathers, p.reroutes);
    let m = ailurus_rewrite::apply(&model, &p, ailurus_rewrite::Emit::Function)?;
    std::fs::write(&a[2], m.to_bytes()?)?;
    Ok(())
}
