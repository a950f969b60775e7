//! Shapes of the outputs as expressions, types and layouts, and memory.

mod common;

use std::ffi::CStr;

use ailurus_ops::{DensityPeaks, GridKMeans, Keep};
use ailurus_trt::bridge::{Interface, Plugin, Tensor, Type};
use common::{
    DENSITY_PEAKS, GRID_KMEANS, MERGE, UNFOLD, UNFOLD_RESIDUAL, density_peaks, fields, grid_kmeans, half, interfaces,
    newer, plain, sixth,
};

const E: Type = Type::F16;

fn refused(interface: &Interface, plugin: &Plugin<'_>, inputs: &[Tensor], value: Option<&Tensor>, message: &str) {
    assert_eq!(plugin.shapes(inputs, value), "refused", "{message}");
    let log = interface.log();
    assert!(log.contains(message), "{message}: {log}");
}

#[test]
fn a_static_grid_makes_a_constant_number_of_rows() {
    for interface in interfaces() {
        let plugin = density_peaks(interface, &half());
        let shapes = |sizes: &[i64]| plugin.shapes(&[Tensor::new(E, sizes)], None);
        assert_eq!(shapes(&[2, 21, 8]), "3 [2, 21]\n3 [2, 11]\n0 [2, 11]\n");
        // Batch and tokens may be open: 11 rows whatever they are.
        assert_eq!(shapes(&[-2, 21, 8]), "3 [in0.0 = 2, 21]\n3 [in0.0 = 2, 11]\n0 [in0.0 = 2, 11]\n");
        assert_eq!(shapes(&[1, -21, 8]), "3 [1, in0.1 = 21]\n3 [1, 11]\n0 [1, 11]\n");
        let tokens = DensityPeaks { keep: Keep::Tokens(7), prefix: 2, suffix: 3, ..half() };
        let plugin = density_peaks(interface, &tokens);
        assert_eq!(plugin.shapes(&[Tensor::new(E, &[1, 25, 8])], None), "3 [1, 25]\n3 [1, 12]\n0 [1, 12]\n");
    }
}

#[test]
fn rows_of_an_open_grid_are_an_expression_of_the_tokens() {
    let Some(interface) = newer() else { return };
    let grid = Tensor::new(Type::I64, &[-4, -5]);
    let cases = [
        (
            Keep::Ratio { num: 1, den: 3 },
            "3 [in0.0 = 2, in0.1 = 23]\n\
             3 [in0.0 = 2, sum(max(ceil_div(prod(sub(in0.1, 3), 1), 3), 1), 3) = 10]\n\
             0 [in0.0 = 2, sum(max(ceil_div(prod(sub(in0.1, 3), 1), 3), 1), 3) = 10]\n\
             3 [grid.0 = 4, grid.1 = 5]\n",
        ),
        (
            Keep::Tokens(6),
            "3 [in0.0 = 2, in0.1 = 23]\n3 [in0.0 = 2, 9]\n0 [in0.0 = 2, 9]\n3 [grid.0 = 4, grid.1 = 5]\n",
        ),
    ];
    for (keep, expected) in cases {
        let plugin = density_peaks(interface, &DensityPeaks { keep, grid: None, suffix: 2, ..half() });
        let metric = Tensor::new(E, &[-2, -23, 8]);
        assert_eq!(plugin.shapes(&[metric], Some(&grid)), expected);
        refused(interface, &plugin, &[metric], None, "AIL1008 AilurusDensityPeaks: neither fields");
        refused(interface, &plugin, &[metric], Some(&Tensor::new(Type::I64, &[3, 4, 5])), "AIL1008");
        // As a tensor on the device, which the host cannot read.
        refused(interface, &plugin, &[metric, Tensor::new(Type::I64, &[2])], None, "AIL1008");
    }
}

#[test]
fn centres_and_choices_are_constants() {
    for interface in interfaces() {
        let plugin = grid_kmeans(interface, &GridKMeans { suffix: 2, ..sixth() });
        let x = Tensor::new(E, &[-2, 27, 8]);
        assert_eq!(plugin.shapes(&[x], None), "1 [in0.0 = 2, 9, 8]\n3 [in0.0 = 2, 27, 4]\n0 [in0.0 = 2, 27, 4]\n");
        let all = grid_kmeans(interface, &GridKMeans { ties: 1000, ..sixth() });
        let x = Tensor::new(E, &[1, -25, 8]);
        assert_eq!(all.shapes(&[x], None), "1 [1, 7, 8]\n3 [1, in0.1 = 25, 6]\n0 [1, in0.1 = 25, 6]\n");
    }
    let Some(interface) = newer() else { return };
    let open = grid_kmeans(interface, &GridKMeans { grid: None, ..sixth() });
    let (x, grid) = (Tensor::new(E, &[-2, -21, 8]), Tensor::new(Type::I64, &[-4, -5]));
    let expected = "1 [in0.0 = 2, 7, 8]\n3 [in0.0 = 2, in0.1 = 21, 4]\n0 [in0.0 = 2, in0.1 = 21, 4]\n\
                    3 [grid.0 = 4, grid.1 = 5]\n";
    assert_eq!(open.shapes(&[x], Some(&grid)), expected);
    refused(interface, &open, &[x], None, "AIL1008 AilurusGridKMeans: neither fields");
}

#[test]
fn rows_are_those_of_the_definition() {
    let Some(interface) = newer() else { return };
    for (num, den) in [(1, 2), (1, 3), (2, 3), (999, 1000), (1, 1000), (1, 1)] {
        let params = DensityPeaks { keep: Keep::Ratio { num, den }, grid: None, ..half() };
        let plugin = density_peaks(interface, &params);
        for patches in [1, 2, 3, 20, 1001] {
            let metric = Tensor::new(E, &[1, -(patches + 1), 8]);
            let shapes = plugin.shapes(&[metric], Some(&Tensor::new(Type::I64, &[1, -patches])));
            let rows = params.rows(usize::try_from(patches).unwrap()).unwrap();
            assert!(shapes.contains(&format!(" = {rows}]")), "{num}/{den} of {patches}: {rows} rows, {shapes}");
        }
    }
}

#[test]
fn an_open_grid_is_refused_by_the_older_interface() {
    for interface in interfaces().into_iter().filter(|i| i.name == "V2") {
        let open = DensityPeaks { grid: None, ..half() };
        assert!(interface.create(DENSITY_PEAKS, &fields(&open.attributes())).is_none());
        let log = interface.log();
        assert!(log.contains("AIL1008 AilurusDensityPeaks: fields `grid_h` and `grid_w` are missing"), "{log}");
        let open = GridKMeans { grid: None, ..sixth() };
        assert!(interface.create(GRID_KMEANS, &fields(&open.attributes())).is_none());
        assert!(interface.log().contains("AIL1008 AilurusGridKMeans: fields `grid_h`"));
    }
}

#[test]
fn shapes_of_the_other_operators() {
    let index = Tensor::new(Type::I32, &[-2, -21]);
    let soft = Tensor::new(Type::I32, &[-2, -21, 4]);
    let weight = Tensor::new(Type::F32, &[-2, -21, 4]);
    let (full, rows) = (Tensor::new(E, &[-2, -21, 8]), Tensor::new(E, &[-2, -11, 8]));
    for interface in interfaces() {
        let cases: [(&CStr, &[Tensor], &str); 5] = [
            (MERGE, &[full, index, Tensor::new(Type::F32, &[-2, -11])], "1 [in0.0 = 2, in2.1 = 11, 8]\n"),
            (UNFOLD, &[rows, index], "1 [in0.0 = 2, in1.1 = 21, 8]\n"),
            (UNFOLD, &[rows, soft, weight], "1 [in0.0 = 2, in1.1 = 21, 8]\n"),
            (UNFOLD_RESIDUAL, &[rows, rows, full, index], "1 [in2.0 = 2, in2.1 = 21, 8]\n"),
            (UNFOLD_RESIDUAL, &[rows, rows, full, soft, weight], "1 [in2.0 = 2, in2.1 = 21, 8]\n"),
        ];
        for (operator, inputs, expected) in cases {
            assert_eq!(plain(interface, operator).shapes(inputs, None), expected, "{operator:?} {}", interface.name);
        }
    }
}

#[test]
fn wrong_shapes_and_counts_are_refused_by_name() {
    let t = |sizes: &[i64]| Tensor::new(E, sizes);
    let i = |sizes: &[i64]| Tensor::new(Type::I32, sizes);
    let (full, rows) = (t(&[2, 21, 8]), t(&[2, 11, 8]));
    for interface in interfaces() {
        let peaks = density_peaks(interface, &half());
        refused(interface, &peaks, &[t(&[21, 8])], None, "AIL1007 AilurusDensityPeaks: `metric` has 2 axes, not 3");
        refused(interface, &peaks, &[t(&[2, 22, 8])], None, "grid, prefix and suffix make: 22 and 21");
        refused(interface, &peaks, &[full, full, full], None, "AIL1006 AilurusDensityPeaks: 3 inputs, not 1 to 2");
        let means = grid_kmeans(interface, &sixth());
        refused(interface, &means, &[t(&[25, 8])], None, "AIL1007 AilurusGridKMeans: `x` has 2 axes, not 3");
        refused(interface, &means, &[t(&[2, 24, 8])], None, "grid, prefix and suffix make: 24 and 25");
        refused(interface, &means, &[t(&[2, 25, 8]); 3], None, "AIL1006 AilurusGridKMeans: 3 inputs, not 1 to 2");
        let cases: [(&CStr, &[Tensor], &str); 8] = [
            (MERGE, &[full, i(&[2, 21])], "AIL1006 AilurusMerge: 2 inputs, not 3 to 3"),
            (MERGE, &[full, i(&[42]), rows], "AIL1007 AilurusMerge: `index` has 1 axes, not 2"),
            (MERGE, &[full, i(&[2, 21]), rows], "AIL1007 AilurusMerge: `size` has 3 axes, not 2"),
            (UNFOLD, &[rows, i(&[42])], "AIL1007 AilurusUnfold: `index` has 1 axes, not 2 or 3"),
            (UNFOLD, &[rows, i(&[2, 21, 1])], "AIL1006 AilurusUnfold: an `index` with 3 axes needs a `weight`"),
            (UNFOLD, &[rows, i(&[2, 21]), rows], "AIL1006 AilurusUnfold: an `index` with 2 axes needs no `weight`"),
            (UNFOLD_RESIDUAL, &[rows, rows, full], "AIL1006 AilurusUnfoldResidual: 3 inputs, not 4 to 5"),
            (UNFOLD_RESIDUAL, &[rows, t(&[2, 8]), full, i(&[2, 21])], "`start` has 2 axes, not 3"),
        ];
        for (operator, inputs, message) in cases {
            refused(interface, &plain(interface, operator), inputs, None, message);
        }
    }
}

/// Every operator with the types of its inputs and outputs.
fn ports(interface: &Interface) -> Vec<(Plugin<'_>, Vec<Option<Type>>, i32)> {
    let (e, f, i) = (None, Some(Type::F32), Some(Type::I32));
    vec![
        (density_peaks(interface, &half()), vec![e, i, i, f], 1),
        (grid_kmeans(interface, &sixth()), vec![e, e, i, f], 1),
        (plain(interface, MERGE), vec![e, i, f, e], 3),
        (plain(interface, UNFOLD), vec![e, i, e], 2),
        (plain(interface, UNFOLD), vec![e, i, f, e], 3),
        (plain(interface, UNFOLD_RESIDUAL), vec![e, e, e, i, e], 4),
        (plain(interface, UNFOLD_RESIDUAL), vec![e, e, e, i, f, e], 5),
    ]
}

#[test]
fn types_and_layouts() {
    const LINEAR: i32 = 0;
    for interface in interfaces() {
        for (plugin, types, inputs) in ports(interface) {
            let outputs = types.len() as i32 - inputs;
            for element in [Type::F32, Type::F16] {
                let right: Vec<Tensor> = types.iter().map(|t| Tensor::new(t.unwrap_or(element), &[1])).collect();
                for at in 0..types.len() {
                    let supports = |kind: Type, format| {
                        let mut all = right[..=at].to_vec();
                        all[at] = Tensor::new(kind, &[1]).with_format(format);
                        plugin.supports(&all, inputs, outputs)
                    };
                    for kind in [Type::F32, Type::F16, Type::I32, Type::I64] {
                        // The first input decides, the others follow.
                        let free = at == 0 && matches!(kind, Type::F32 | Type::F16);
                        let expected = free || kind == types[at].unwrap_or(element);
                        let name = plugin.describe();
                        assert_eq!(supports(kind, LINEAR), expected, "{name}: {kind:?} at {at} for {element:?}");
                        assert!((1..12).all(|format| !supports(kind, format)), "{name}: other layouts at {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn memory_suffices_for_every_smaller_call() {
    let Some(interface) = newer() else { return };
    let bytes = |params: &DensityPeaks, batch: i64, tokens: i64| {
        let plugin = density_peaks(interface, params);
        plugin.workspace(&[Tensor::new(Type::F32, &[-batch, -tokens, 16])], &[])
    };
    let needed = |h: usize, w: usize, batch| {
        let params = DensityPeaks { grid: Some((h, w)), prefix: 0, ..half() };
        bytes(&params, batch, i64::try_from(h * w).unwrap())
    };
    for window in [1, 9, 24, 200] {
        let open = DensityPeaks { grid: None, prefix: 0, window, ..half() };
        let most = bytes(&open, 3, 64);
        for (h, w) in [(1, 64), (8, 8), (64, 1), (4, 16), (7, 9), (1, 1), (5, 12)] {
            let exact = DensityPeaks { grid: Some((h, w)), prefix: 0, window, ..half() };
            for batch in 1..=3 {
                let exact = bytes(&exact, batch, i64::try_from(h * w).unwrap());
                assert!(exact > 0 && exact <= most, "{h} x {w}, window {window}: {exact} of {most}");
            }
        }
    }
    assert!(needed(8, 8, 2) > needed(8, 8, 1));
    let means = |grid: Option<(usize, usize)>, batch: i64, patches: i64| {
        let plugin = grid_kmeans(interface, &GridKMeans { grid, prefix: 0, ..sixth() });
        plugin.workspace(&[Tensor::new(Type::F32, &[-batch, -patches, 16])], &[])
    };
    let most = means(None, 3, 60);
    for (h, w) in [(2, 30), (20, 3), (6, 10), (5, 12), (7, 7), (2, 3), (17, 3)] {
        let exact = means(Some((h, w)), 3, i64::try_from(h * w).unwrap());
        assert!(exact > 0 && exact <= most, "{h} x {w}: {exact} of {most}");
    }
    let plugin = plain(interface, MERGE);
    assert_eq!(plugin.workspace(&[Tensor::new(E, &[1, 2, 3]); 3], &[]), 0);
}
