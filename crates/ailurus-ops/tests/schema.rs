//! Attributes, schemas, shape rules and errors.

use ailurus_ops::{
    Assignment, AttrKind, AttrValue, Attributes, DensityPeaks, Error, Keep, Merge, OutDim, Schema, Unfold,
    UnfoldResidual, resolve, schemas,
};
use proptest::prelude::*;

fn pairs(list: &Attributes) -> impl Iterator<Item = (&str, &AttrValue)> {
    list.iter().map(|(name, value)| (*name, value))
}

fn read(list: &[(&'static str, AttrValue)]) -> Result<DensityPeaks, Error> {
    DensityPeaks::from_attributes(list.iter().map(|(n, v)| (*n, v)))
}

fn int(name: &'static str, value: i64) -> (&'static str, AttrValue) {
    (name, AttrValue::Int(value))
}

proptest! {
    #[test]
    fn attributes_survive_a_round_trip(
        outside in (0usize..9, 0usize..9),
        grid in proptest::option::of((1usize..99, 1usize..99)),
        keep in prop_oneof![
            (1usize..2).prop_map(Keep::Tokens),
            (1usize..50, 50usize..99).prop_map(|(num, den)| Keep::Ratio { num, den }),
        ],
        constants in (1usize..9, 1usize..99, 0.0f32..=1.0),
    ) {
        let (neighbors, window, spatial_mix) = constants;
        let params = DensityPeaks { prefix: outside.0, suffix: outside.1, grid, keep, neighbors, window, spatial_mix };
        prop_assert_eq!(params.validate(), Ok(()));
        let list = params.attributes();
        prop_assert_eq!(DensityPeaks::from_attributes(pairs(&list)), Ok(params));
        check_against(&DensityPeaks::SCHEMA, &list);
    }
}

/// Every attribute is in the schema, with its kind, and every required one is there.
fn check_against(schema: &Schema, list: &Attributes) {
    for (name, value) in list {
        let known = schema.attributes.iter().find(|a| a.name == *name).unwrap();
        let kind = match value {
            AttrValue::Int(_) => AttrKind::Int,
            AttrValue::Float(_) => AttrKind::Float,
            AttrValue::Str(_) => AttrKind::Str,
            AttrValue::Ints(_) => AttrKind::Ints,
        };
        assert_eq!(kind, known.kind);
    }
    for attribute in schema.attributes.iter().filter(|a| a.required) {
        assert!(list.iter().any(|(name, _)| *name == attribute.name), "{}", attribute.name);
    }
}

#[test]
fn schemas_agree_with_the_operators() {
    let names: Vec<&str> = schemas().iter().map(|s| s.name).collect();
    assert_eq!(
        names,
        ["AilurusDensityPeaks", "AilurusGridKMeans", "AilurusMerge", "AilurusUnfold", "AilurusUnfoldResidual"]
    );
    for schema in schemas() {
        assert_eq!((schema.domain, schema.since_version), ("ai.ailurus", 1));
        assert!(schema.inputs[schema.required_inputs()..].iter().all(|p| p.optional), "optional inputs trail");
        assert!(schema.outputs[schema.required_outputs()..].iter().all(|p| p.optional), "optional outputs trail");
    }
    check_against(&Merge::SCHEMA, &Merge.attributes());
    check_against(&Unfold::SCHEMA, &Unfold::default().attributes());
    check_against(&UnfoldResidual::SCHEMA, &UnfoldResidual::default().attributes());
    assert_eq!(Merge::from_attributes(pairs(&Merge.attributes())), Ok(Merge));
}

#[test]
fn wrong_attributes_have_codes() {
    let good = DensityPeaks::new(1, 0, Some((4, 4)), Keep::Tokens(3)).attributes();
    let with = |name: &'static str, value: AttrValue| {
        let mut list = good.clone();
        list.retain(|(n, _)| *n != name);
        list.push((name, value));
        read(&list).unwrap_err().code()
    };
    assert_eq!(with("window", AttrValue::Int(0)), "AIL0301");
    assert_eq!(with("window", AttrValue::Int(-1)), "AIL0301");
    assert_eq!(with("neighbors", AttrValue::Int(0)), "AIL0301");
    assert_eq!(with("spatial_mix", AttrValue::Float(f32::NAN)), "AIL0301");
    assert_eq!(with("spatial_mix", AttrValue::Float(1.5)), "AIL0301");
    assert_eq!(with("prefix", AttrValue::Int(i64::MAX)), "AIL0301");
    assert_eq!(with("grid_h", AttrValue::Int(i64::MAX)), "AIL0301");
    assert_eq!(with("keep_num", AttrValue::Int(1)), "AIL0301");
    assert_eq!(with("tokens", AttrValue::Int(0)), "AIL0302");
    assert_eq!(with("grid_w", AttrValue::Int(0)), "AIL0302");
    assert_eq!(with("windows", AttrValue::Int(3)), "AIL0303");
    assert_eq!(with("spatial_mix", AttrValue::Int(1)), "AIL0304");
    assert_eq!(with("window", AttrValue::Str("3".into())), "AIL0304");
    assert_eq!(with("tokens", AttrValue::Int(17)), "AIL0305");
    let twice = [good.clone(), vec![int("window", 3)]].concat();
    assert_eq!(read(&twice).unwrap_err().code(), "AIL0303");
    assert_eq!(read(&[int("keep_num", 3), int("keep_den", 2)]).unwrap_err().code(), "AIL0301");
    assert_eq!(read(&[int("keep_num", 1)]).unwrap_err().code(), "AIL0302");
    assert_eq!(read(&[int("keep_num", 1), int("keep_den", 2)]).unwrap().window, DensityPeaks::WINDOW);
}

#[test]
fn cluster_counts_round_up_and_stay_in_range() {
    let count = |keep, n| DensityPeaks::new(0, 0, None, keep).tokens(n);
    let ratio = |num, den| Keep::Ratio { num, den };
    assert_eq!(count(ratio(1, 2), 7), Ok(4));
    assert_eq!(count(ratio(1, 100), 7), Ok(1));
    assert_eq!(count(ratio(1, 1), 7), Ok(7));
    assert_eq!(count(ratio(usize::MAX - 1, usize::MAX), 7), Ok(7));
    assert_eq!(count(Keep::Tokens(8), 7).unwrap_err().code(), "AIL0305");
    assert_eq!(count(ratio(1, 2), 0).unwrap_err().code(), "AIL0305");
    assert_eq!(DensityPeaks::new(1, 2, None, ratio(1, 2)).rows(10), Ok(8));
}

#[test]
fn shape_rules_keep_what_is_known() {
    let peaks = DensityPeaks::new(1, 2, Some((3, 4)), Keep::Ratio { num: 1, den: 2 });
    let metric = [None, Some(15), Some(8)];
    let [index, anchor, size] = peaks.output_shapes(&[&metric]).unwrap();
    assert_eq!(index, [OutDim::Same { input: 0, axis: 0 }, OutDim::Known(15)]);
    assert_eq!(resolve(&anchor, &[&metric]), [None, Some(9)]);
    assert_eq!(anchor, size);
    assert_eq!(peaks.output_shapes(&[&[None, Some(14), None]]).unwrap_err().code(), "AIL0306");
    assert_eq!(peaks.output_shapes(&[&[None, None]]).unwrap_err().code(), "AIL0306");
    assert_eq!(peaks.output_shapes(&[]).unwrap_err().code(), "AIL0306");

    let dynamic = DensityPeaks { grid: None, ..peaks };
    assert_eq!(dynamic.output_shapes(&[&metric]).unwrap_err().code(), "AIL0309");
    let unknown = [Some(1), None, Some(8)];
    let [index, anchor, _] = dynamic.output_shapes(&[&unknown, &[Some(2)]]).unwrap();
    assert_eq!(index[1], OutDim::Same { input: 0, axis: 1 });
    assert_eq!(anchor[1], OutDim::Rows);
    let [_, anchor, _] = dynamic.output_shapes(&[&metric, &[Some(2)]]).unwrap();
    assert_eq!(anchor[1], OutDim::Known(9));
    let fixed = DensityPeaks { keep: Keep::Tokens(5), ..dynamic };
    assert_eq!(fixed.output_shapes(&[&unknown, &[None]]).unwrap()[1][1], OutDim::Known(8));

    let (x, index, size) = ([None, Some(15), Some(8)], [None, Some(15)], [None, Some(9)]);
    let [y] = Merge.output_shapes(&[&x, &index, &size]).unwrap();
    assert_eq!(resolve(&y, &[&x, &index, &size]), [None, Some(9), Some(8)]);
    assert!(Merge.output_shapes(&[&x, &[None, Some(14)], &size]).is_err());
    assert!(Merge.output_shapes(&[&x, &index]).is_err());

    let z = [None, Some(9), Some(8)];
    let [y] = Unfold::default().output_shapes(&[&z, &index]).unwrap();
    assert_eq!(resolve(&y, &[&z, &index]), [None, Some(15), Some(8)]);
    let soft = Unfold { assignment: Assignment::Soft };
    let (index3, weight) = ([None, Some(15), Some(2)], [None, None, Some(2)]);
    assert!(soft.output_shapes(&[&z, &index3, &weight]).is_ok());
    assert!(soft.output_shapes(&[&z, &index3]).is_err());
    assert!(soft.output_shapes(&[&z, &index3, &[None, None, Some(3)]]).is_err());
    assert!(Unfold::default().output_shapes(&[&z, &index3, &weight]).is_err());
    let [y] = UnfoldResidual::default().output_shapes(&[&z, &z, &x, &index]).unwrap();
    assert_eq!(resolve(&y, &[&z, &z, &x, &index]), [None, Some(15), Some(8)]);
    assert!(UnfoldResidual::default().output_shapes(&[&z, &z, &z, &index]).is_err());
}

#[test]
fn calls_with_wrong_lengths_are_refused() {
    use ailurus_ops::parallel::Serial;
    use ailurus_ops::{MergeDims, UnfoldDims, Windows, kernel, reference};
    let peaks = DensityPeaks::new(0, 0, Some((2, 2)), Keep::Tokens(2));
    let metric = [0.0f32; 8];
    assert!(reference::density_peaks(&peaks, &metric, 1, 2, (2, 2)).is_ok());
    assert_eq!(reference::density_peaks(&peaks, &metric, 1, 3, (2, 2)).unwrap_err().code(), "AIL0306");
    assert_eq!(reference::density_peaks(&peaks, &metric, 1, 2, (1, 4)).unwrap_err().code(), "AIL0306");
    assert_eq!(reference::density_peaks(&peaks, &[0.0f32; 0], 1, 0, (2, 2)).unwrap_err().code(), "AIL0306");
    assert_eq!(reference::density_peaks(&peaks, &metric, usize::MAX, 2, (2, 2)).unwrap_err().code(), "AIL0308");
    let windows = Windows::new((2, 2), 3).unwrap();
    assert_eq!(kernel::density_peaks(&peaks, &metric, 1, 2, &windows, &Serial).unwrap_err().code(), "AIL0306");

    let dims = MergeDims { batch: 1, tokens: 2, rows: 1, channels: 4 };
    for index in [[0, 1], [0, -1]] {
        assert_eq!(reference::merge(&metric, &index, &[2.0], dims).unwrap_err().code(), "AIL0307");
        assert_eq!(kernel::merge(&metric, &index, &[2.0], dims, &Serial).unwrap_err().code(), "AIL0307");
    }
    let dims = UnfoldDims { batch: 1, rows: 2, tokens: 1, choices: 0, channels: 4 };
    assert_eq!(reference::unfold(&metric, &[], None, dims).unwrap_err().code(), "AIL0306");
    let dims = UnfoldDims { choices: 2, ..dims };
    assert_eq!(kernel::unfold(&metric, &[0, 1], None, dims, &Serial).unwrap_err().code(), "AIL0306");
    assert!(kernel::unfold(&metric, &[0, 1], Some(&[0.5, 0.5]), dims, &Serial).is_ok());
    // Nothing to do is no error.
    let none = UnfoldDims { batch: 0, choices: 1, ..dims };
    assert_eq!(kernel::unfold::<f32>(&[], &[], None, none, &Serial), Ok(vec![]));
    assert_eq!(reference::density_peaks::<f32>(&peaks, &[], 0, 2, (2, 2)).unwrap().index, [] as [i32; 0]);
}

#[test]
fn grid_kmeans_attributes_and_shapes() {
    use ailurus_ops::{GridKMeans, Norm, TemperatureMode};
    let read = |list: &[(&'static str, AttrValue)]| {
        GridKMeans::from_attributes(list.iter().map(|(name, value)| (*name, value)))
    };
    let params = GridKMeans {
        iterations: 3,
        window: 7,
        neighbors: 20,
        ties: 4,
        temperature: 0.02,
        temperature_mode: TemperatureMode::Absolute,
        norm: Norm::L2,
        ..GridKMeans::new(1, 2, Some((8, 9)), (4, 6))
    };
    for params in [params, GridKMeans { grid: None, ..params }, GridKMeans::new(0, 0, Some((3, 3)), (3, 3))] {
        let list = params.attributes();
        assert_eq!(read(&list), Ok(params));
        check_against(&GridKMeans::SCHEMA, &list);
    }
    let good = params.attributes();
    let with = |name: &'static str, value: AttrValue| {
        let mut list = good.clone();
        list.retain(|(n, _)| *n != name);
        list.push((name, value));
        read(&list).unwrap_err().code()
    };
    assert_eq!(with("window", AttrValue::Int(0)), "AIL0301");
    assert_eq!(with("neighbors", AttrValue::Int(0)), "AIL0301");
    assert_eq!(with("temperature", AttrValue::Float(-1.0)), "AIL0301");
    assert_eq!(with("temperature", AttrValue::Float(f32::NAN)), "AIL0301");
    assert_eq!(with("temperature_mode", AttrValue::Str("warm".into())), "AIL0301");
    assert_eq!(with("norm", AttrValue::Int(1)), "AIL0304");
    assert_eq!(with("cluster_h", AttrValue::Int(0)), "AIL0301");
    assert_eq!(with("cluster_h", AttrValue::Int(i64::MAX)), "AIL0301");
    assert_eq!(with("cluster_h", AttrValue::Int(9)), "AIL0305");
    assert_eq!(with("grid_w", AttrValue::Int(0)), "AIL0302");
    assert_eq!(with("tokens", AttrValue::Int(3)), "AIL0303");
    assert_eq!(read(&[int("cluster_h", 3)]).unwrap_err().code(), "AIL0302");
    assert_eq!(read(&[int("cluster_h", 3), int("cluster_w", 2)]).unwrap().window, GridKMeans::WINDOW);

    let x = [None, Some(75), Some(16)];
    let [z, index, weight] = params.output_shapes(&[&x]).unwrap();
    assert_eq!(resolve(&z, &[&x]), [None, Some(27), Some(16)]);
    assert_eq!(resolve(&index, &[&x]), [None, Some(75), Some(24)]);
    assert_eq!(index, weight);
    assert_eq!(params.output_shapes(&[&[None, Some(74), None]]).unwrap_err().code(), "AIL0306");
    let open = GridKMeans { grid: None, neighbors: 3, ties: 0, ..params };
    assert_eq!(open.output_shapes(&[&x]).unwrap_err().code(), "AIL0309");
    let unknown = [Some(1), None, Some(16)];
    let [z, index, _] = open.output_shapes(&[&unknown, &[Some(2)]]).unwrap();
    assert_eq!(resolve(&z, &[&unknown]), [Some(1), Some(27), Some(16)]);
    assert_eq!(index, [OutDim::Same { input: 0, axis: 0 }, OutDim::Same { input: 0, axis: 1 }, OutDim::Known(3)]);
    assert_eq!(open.output_shapes(&[&[None, Some(20), None], &[None]]).unwrap_err().code(), "AIL0306");
    assert_eq!(open.resolve_grid(Some((3, 9))).unwrap_err().code(), "AIL0305");
}

#[test]
fn grid_kmeans_calls_with_wrong_lengths_are_refused() {
    use ailurus_ops::parallel::Serial;
    use ailurus_ops::{GridKMeans, kernel, reference};
    let params = GridKMeans::new(0, 0, Some((2, 2)), (1, 2));
    let x = [0.0f32; 8];
    assert!(reference::grid_kmeans(&params, &x, 1, 2, (2, 2)).is_ok());
    for code in [
        reference::grid_kmeans(&params, &x, 1, 3, (2, 2)).unwrap_err().code(),
        kernel::grid_kmeans(&params, &x, 1, 2, (1, 4), &Serial).unwrap_err().code(),
        kernel::grid_kmeans(&params, &[0.0f32; 0], 1, 0, (2, 2), &Serial).unwrap_err().code(),
    ] {
        assert_eq!(code, "AIL0306");
    }
    assert_eq!(kernel::grid_kmeans(&params, &x, usize::MAX, 2, (2, 2), &Serial).unwrap_err().code(), "AIL0308");
    assert!(kernel::grid_kmeans::<f32>(&params, &[], 0, 2, (2, 2), &Serial).unwrap().z.is_empty());
}
