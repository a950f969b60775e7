use super::*;

fn sizes(v: &[i64]) -> Vec<Target> {
    v.iter().map(|&d| if d < 0 { Target::Infer } else { Target::Size(Expr::from(d)) }).collect()
}

fn sequence(a: &mut Atoms) -> (Axis, Axis, Axis, Run) {
    let b = Expr::from(a.symbols.named("b"));
    let batch = a.axis("batch", b);
    let (gh, gw) = (a.root("gh", Expr::from(12)), a.root("gw", Expr::from(12)));
    let patches = vec![Factor::Atom(gh), Factor::Atom(gw)];
    let tokens = a.concat(&[Axis::one(), Axis(vec![patches.clone()])]);
    let channels = a.axis("c", Expr::from(144));
    (batch, tokens, channels, patches)
}

#[test]
fn heads_split_and_join_without_touching_tokens() {
    let mut a = Atoms::default();
    let (batch, tokens, channels, _) = sequence(&mut a);
    let r = a.reshape(&[batch.clone(), tokens.clone(), channels.clone()], &sizes(&[-1, 145, 3, 3, 16]));
    assert!(r.scrambled.is_empty());
    assert_eq!((&r.axes[0], &r.axes[1]), (&batch, &tokens));
    let back = a.reshape(&r.axes, &sizes(&[-1, 145, 144]));
    assert_eq!(back.axes, vec![batch, tokens, channels]);
}

#[test]
fn flattened_stream_comes_back() {
    let mut a = Atoms::default();
    let (batch, tokens, channels, _) = sequence(&mut a);
    let flat = a.reshape(&[batch.clone(), tokens.clone(), channels.clone()], &sizes(&[-1, 144]));
    assert_eq!(a.show(&flat.axes[0]), "b·[1 | 12·12]");
    let back = a.reshape(&flat.axes, &sizes(&[-1, 145, 144]));
    assert_eq!(back.axes, vec![batch, tokens, channels]);
}

#[test]
fn prefix_comes_off_and_goes_back_on() {
    let mut a = Atoms::default();
    let (_, tokens, _, patches) = sequence(&mut a);
    let (p, clean) = a.slice(&tokens, &Expr::from(1), &Expr::from(145)).unwrap();
    assert!(clean);
    assert_eq!(p, Axis(vec![patches.clone()]));
    let (cls, _) = a.slice(&tokens, &Expr::from(0), &Expr::from(1)).unwrap();
    assert_eq!(a.concat(&[cls, p.clone()]), tokens);
    let grid = a.reshape(&[p], &sizes(&[12, 12]));
    assert_eq!(grid.axes[0], Axis(vec![vec![patches[0].clone()]]));
    assert!(!a.slice(&tokens, &Expr::from(3), &Expr::from(9)).unwrap().1);
}

#[test]
fn windows_split_the_grid_atoms() {
    let mut a = Atoms::default();
    let (_, _, channels, patches) = sequence(&mut a);
    let grid = Axis(vec![patches]);
    let r = a.reshape(&[grid.clone(), channels], &sizes(&[3, 4, 3, 4, 144]));
    assert!(r.scrambled.is_empty());
    let again = a.reshape(&r.axes, &sizes(&[144, 144]));
    assert_eq!(again.axes[0], grid);
}

#[test]
fn cutting_through_atoms_is_reported() {
    let mut a = Atoms::default();
    let (x, y) = (a.axis("x", Expr::from(6)), a.axis("y", Expr::from(4)));
    let r = a.reshape(&[x, y], &sizes(&[8, 3]));
    assert!(!r.scrambled.is_empty());
}
