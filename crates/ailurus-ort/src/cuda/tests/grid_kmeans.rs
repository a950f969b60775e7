//! `AilurusGridKMeans`.

use super::*;
use ailurus_ops::{GridKMeans, Norm, TemperatureMode};

fn node(api: Api, params: &GridKMeans, element: ElementType) -> Node {
    Node::new(api, "AilurusGridKMeans", element, &params.attributes()).unwrap()
}

/// The operator, and unfolding by its weights, against their definitions.
fn as_defined<E: Element>(api: Api, params: &GridKMeans, grid: (usize, usize), batch: usize) {
    let (tokens, channels) = (params.prefix + grid.0 * grid.1 + params.suffix, 21);
    let x: Vec<E> = noise(batch * tokens * channels, 5).into_iter().map(E::from_f32).collect();
    let e = data_type(ailurus_ops::PortType::E, E::TYPE);
    let want = reference::grid_kmeans(params, &x, batch, channels, grid).unwrap();
    let sides = [grid.0 as i64, grid.1 as i64];
    let mut inputs = vec![value(api, &[batch, tokens, channels], &x, e)];
    if params.grid.is_none() {
        inputs.push(value(api, &[2], &sides, I64));
    }
    let got = node(api, params, E::TYPE).run(&inputs, 1).unwrap();
    assert_eq!(got, [bytes(&want.z), bytes(&want.index), bytes(&want.weight)], "{params:?} of {grid:?}, batch {batch}");

    let dims = UnfoldDims { batch, rows: want.rows, tokens, choices: want.choices, channels };
    let y = reference::unfold(&want.z, &want.index, Some(&want.weight), dims).unwrap();
    let chosen = [batch, tokens, want.choices];
    let z = value(api, &[batch, want.rows, channels], &want.z, e);
    let inputs = [z, value(api, &chosen, &want.index, I32), value(api, &chosen, &want.weight, F32)];
    let unfold = Node::new(api, "AilurusUnfold", E::TYPE, &[]).unwrap();
    assert_eq!(unfold.run(&inputs, 1).unwrap(), [bytes(&y)]);
}

#[test]
fn every_mode_is_as_defined() {
    let Some(api) = api() else { return };
    let fixed = GridKMeans::new(1, 2, Some((6, 7)), (3, 4));
    let parity = GridKMeans {
        temperature: 0.3,
        temperature_mode: TemperatureMode::Absolute,
        norm: Norm::L2,
        ties: fixed.tokens(),
        ..fixed
    };
    let open = GridKMeans { iterations: 1, ..GridKMeans::new(2, 0, None, (1, 3)) };
    for batch in [1, 3] {
        for params in [&fixed, &parity] {
            as_defined::<f32>(api, params, (6, 7), batch);
            as_defined::<f16>(api, params, (6, 7), batch);
        }
        as_defined::<f32>(api, &open, (5, 4), batch);
        as_defined::<f16>(api, &open, (1, 30), batch);
    }
    assert_eq!(workspaces(), [0; 0], "everything is given back with the nodes");
}

#[test]
fn faults_are_errors() {
    let Some(api) = api() else { return };
    let node = node(api, &GridKMeans::new(1, 0, None, (2, 2)), ElementType::F32);
    let x = noise(5 * 8, 3);
    let run = |sides: [i64; 2]| node.run(&[value(api, &[1, 5, 8], &x, F32), value(api, &[2], &sides, I64)], 1);
    // Other tokens, no grid at all, a coarser grid than that of the centres.
    for (sides, code) in [([2, 3], "AIL0306"), ([0, 4], "AIL0306"), ([1, 4], "AIL0305")] {
        let error = run(sides).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(workspaces().is_empty());
    let shim = shim::load().unwrap();
    shim.set_context(1);
    assert!(run([2, 2]).is_ok());
    shim.fail("cuLaunchKernel", 700);
    let error = run([2, 2]).unwrap_err();
    assert_eq!(error.code(), "AIL0812", "{error}");
    assert!(run([2, 2]).is_ok());
    // An empty batch needs no kernel.
    let none = node.run(&[value::<f32>(api, &[0, 5, 8], &[], F32), value(api, &[2], &[2i64, 2], I64)], 1).unwrap();
    assert_eq!(none, vec![Vec::<u8>::new(); 3]);
}
