//! Creators, and plugins made from fields: what is refused and by which name, copies, and what is written and read back.

mod common;

use ailurus_ops::{DensityPeaks, GridKMeans, Keep, Norm, TemperatureMode};
use ailurus_trt::bridge::Field;
use common::{
    DENSITY_PEAKS, GRID_KMEANS, MERGE, UNFOLD, UNFOLD_RESIDUAL, density_peaks, fields, grid_kmeans, half, interfaces,
    plain, sixth,
};

#[test]
fn creators_are_listed_with_their_fields() {
    for interface in interfaces() {
        let listed = interface.creators();
        let expected = "AilurusDensityPeaks 1 ailurus prefix:5 suffix:5 grid_h:5 grid_w:5 tokens:5 keep_num:5 keep_den:5 \
                        neighbors:5 window:5 spatial_mix:1\nAilurusGridKMeans 1 ailurus prefix:5 suffix:5 grid_h:5 \
                        grid_w:5 cluster_h:5 cluster_w:5 iterations:5 window:5 neighbors:5 ties:5 temperature:1 \
                        temperature_mode:6 norm:6\nAilurusMerge 1 ailurus\nAilurusUnfold 1 ailurus\n\
                        AilurusUnfoldResidual 1 ailurus\n";
        assert_eq!(listed, expected, "{}", interface.name);
    }
}

#[test]
fn every_attribute_of_the_operator_is_a_field() {
    for interface in interfaces() {
        let listed = interface.creators();
        for (line, schema) in listed.lines().zip(ailurus_ops::schemas()) {
            // Those for the parser are none of the plugin's.
            let own = |name: &str| !name.starts_with("plugin_") && !name.starts_with("tensorrt_");
            for attribute in schema.attributes.iter().filter(|a| own(a.name)) {
                assert!(line.contains(&format!(" {}:", attribute.name)), "{line}: {}", attribute.name);
            }
        }
        let names: Vec<&str> = ailurus_ops::schemas().into_iter().map(|schema| schema.name).collect();
        let made: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(made, names);
    }
}

/// A change to the fields, and the message it leads to.
type Refusal = (&'static str, fn(&mut Vec<Field>));

fn without(fields: &mut Vec<Field>, name: &str) {
    fields.retain(|field| field.name.to_str() != Ok(name));
}

fn set(fields: &mut Vec<Field>, field: Field) {
    fields.retain(|f| f.name != field.name);
    fields.push(field);
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let refusals: [Refusal; 24] = [
        ("AIL1001 AilurusDensityPeaks: field `windw` is unknown", |f| f.push(Field::int("windw", 3))),
        ("AIL1002 AilurusDensityPeaks: field `window` is given twice", |f| f.push(Field::int("window", 3))),
        ("AIL1003 AilurusDensityPeaks: field `prefix` is missing", |f| without(f, "prefix")),
        ("AIL1003 AilurusDensityPeaks: field `suffix` is missing", |f| without(f, "suffix")),
        ("AIL1003 AilurusDensityPeaks: field `neighbors` is missing", |f| without(f, "neighbors")),
        ("AIL1003 AilurusDensityPeaks: field `window` is missing", |f| without(f, "window")),
        ("AIL1003 AilurusDensityPeaks: field `spatial_mix` is missing", |f| without(f, "spatial_mix")),
        ("AIL1003 AilurusDensityPeaks: field `grid_h` is missing", |f| without(f, "grid_h")),
        ("AIL1003 AilurusDensityPeaks: field `grid_w` is missing", |f| without(f, "grid_w")),
        ("AIL1003 AilurusDensityPeaks: field `tokens` is missing, or both", |f| without(f, "keep_num")),
        ("AIL1004 AilurusDensityPeaks: field `window` must be an integer, not type 1", |f| {
            set(f, Field::float("window", 3.0))
        }),
        ("AIL1004 AilurusDensityPeaks: field `spatial_mix` must be a 32-bit float, not type 5", |f| {
            set(f, Field::int("spatial_mix", 1))
        }),
        ("AIL1004 AilurusDensityPeaks: field `window` must hold one value, not 2", |f| {
            set(f, Field { length: 2, data: vec![1; 8], ..Field::int("window", 3) })
        }),
        ("AIL1004 AilurusDensityPeaks: field `window` must hold one value, not 0", |f| {
            set(f, Field { data: vec![], ..Field::int("window", 3) })
        }),
        ("AIL1005 AilurusDensityPeaks: window = 0: a window holds", |f| set(f, Field::int("window", 0))),
        ("AIL1005 AilurusDensityPeaks: neighbors = -1: it must lie in 0..", |f| set(f, Field::int("neighbors", -1))),
        ("AIL1005 AilurusDensityPeaks: neighbors = 0: at least one", |f| set(f, Field::int("neighbors", 0))),
        ("AIL1005 AilurusDensityPeaks: spatial_mix = 1.5: it must lie in 0..1", |f| {
            set(f, Field::float("spatial_mix", 1.5))
        }),
        ("AIL1005 AilurusDensityPeaks: spatial_mix = nan", |f| set(f, Field::float("spatial_mix", f32::NAN))),
        ("AIL1005 AilurusDensityPeaks: grid_h = 0: it must lie in 1..", |f| set(f, Field::int("grid_h", 0))),
        ("AIL1005 AilurusDensityPeaks: tokens = 0: it must lie in 1..", |f| set(f, Field::int("tokens", 0))),
        ("AIL1005 AilurusDensityPeaks: `tokens` excludes", |f| f.push(Field::int("tokens", 3))),
        ("AIL1005 AilurusDensityPeaks: tokens = 21: there are only 20 patches", |f| {
            without(f, "keep_num");
            without(f, "keep_den");
            f.push(Field::int("tokens", 21));
        }),
        ("AIL1005 AilurusDensityPeaks: keep_den = 1: it must not be smaller", |f| {
            set(f, Field::int("keep_num", 2));
            set(f, Field::int("keep_den", 1));
        }),
    ];
    for interface in interfaces() {
        for (message, change) in &refusals {
            let mut given = fields(&half().attributes());
            change(&mut given);
            assert!(interface.create(DENSITY_PEAKS, &given).is_none(), "{}: {message}", interface.name);
            let log = interface.log();
            assert!(log.starts_with(&format!("E {message}")) && log.lines().count() == 1, "{message}: {log}");
        }
        for operator in [MERGE, UNFOLD, UNFOLD_RESIDUAL] {
            assert!(interface.create(operator, &[Field::int("tokens", 3)]).is_none());
            let log = interface.log();
            assert!(log.contains("AIL1001") && log.contains(operator.to_str().unwrap()), "{log}");
        }
        assert!(interface.create(c"AilurusOther", &[]).is_none());
    }
}

#[test]
fn wrong_fields_of_grid_kmeans_are_refused_by_name() {
    let refusals: [Refusal; 13] = [
        ("AIL1001 AilurusGridKMeans: field `tokens` is unknown", |f| f.push(Field::int("tokens", 3))),
        ("AIL1002 AilurusGridKMeans: field `norm` is given twice", |f| f.push(Field::text("norm", "l1"))),
        ("AIL1003 AilurusGridKMeans: field `cluster_h` is missing", |f| without(f, "cluster_h")),
        ("AIL1003 AilurusGridKMeans: field `temperature_mode` is missing", |f| without(f, "temperature_mode")),
        ("AIL1003 AilurusGridKMeans: field `grid_h` is missing", |f| without(f, "grid_h")),
        ("AIL1004 AilurusGridKMeans: field `norm` must be a text, not type 5", |f| set(f, Field::int("norm", 1))),
        ("AIL1005 AilurusGridKMeans: norm = l3: it must be l1 or l2", |f| set(f, Field::text("norm", "l3"))),
        ("AIL1005 AilurusGridKMeans: temperature_mode = rel: it must be absolute or relative", |f| {
            set(f, Field::text("temperature_mode", "rel"))
        }),
        ("AIL1005 AilurusGridKMeans: temperature_mode = : it must be", |f| {
            set(f, Field { length: 0, ..Field::text("temperature_mode", "x") })
        }),
        ("AIL1005 AilurusGridKMeans: cluster_h = 0: a grid has", |f| set(f, Field::int("cluster_h", 0))),
        ("AIL1005 AilurusGridKMeans: cluster_h, cluster_w = 5, 3: finer", |f| set(f, Field::int("cluster_h", 5))),
        ("AIL1005 AilurusGridKMeans: neighbors = 0: a patch is made", |f| set(f, Field::int("neighbors", 0))),
        ("AIL1005 AilurusGridKMeans: temperature = -1: it must be", |f| set(f, Field::float("temperature", -1.0))),
    ];
    for interface in interfaces() {
        for (message, change) in &refusals {
            let mut given = fields(&sixth().attributes());
            change(&mut given);
            assert!(interface.create(GRID_KMEANS, &given).is_none(), "{}: {message}", interface.name);
            let log = interface.log();
            assert!(log.starts_with(&format!("E {message}")) && log.lines().count() == 1, "{message}: {log}");
        }
        // Texts may end with a zero.
        let mut given = fields(&sixth().attributes());
        set(&mut given, Field::text("norm", "l1\0"));
        let plugin = interface.create(GRID_KMEANS, &given).expect("that is the same text");
        assert_eq!(plugin.describe(), grid_kmeans(interface, &sixth()).describe());
    }
}

#[test]
fn integers_may_be_wider_and_what_is_for_the_parser_is_passed_over() {
    for interface in interfaces() {
        let mut given = fields(&half().attributes());
        set(&mut given, Field::long("window", 9));
        given.push(Field::new("plugin_version", 6, b"1"));
        given.push(Field::new("plugin_namespace", 6, b"ailurus"));
        let plugin = interface.create(DENSITY_PEAKS, &given).expect("both widths are integers");
        assert_eq!(plugin.describe(), density_peaks(interface, &half()).describe());
        set(&mut given, Field::long("window", 1 << 40));
        assert!(interface.create(DENSITY_PEAKS, &given).is_none());
        assert!(interface.log().contains("AIL1005 AilurusDensityPeaks: window = 1099511627776: it must lie in"));
    }
}

#[test]
fn plugins_are_copied_written_and_read_back() {
    let cases = [
        half(),
        DensityPeaks { neighbors: 3, spatial_mix: 0.0, ..half() },
        DensityPeaks { prefix: 0, suffix: 2, ..half() },
        DensityPeaks::new(1, 4, Some((3, 7)), Keep::Tokens(11)),
    ];
    let grids = [
        sixth(),
        GridKMeans { iterations: 0, ties: 3, temperature: 0.0, ..sixth() },
        GridKMeans { temperature_mode: TemperatureMode::Absolute, ..sixth() },
        GridKMeans { norm: Norm::L2, suffix: 2, ..sixth() },
    ];
    for interface in interfaces() {
        let peaks = cases.iter().map(|params| density_peaks(interface, params));
        let means = grids.iter().map(|params| grid_kmeans(interface, params));
        let mut seen = vec![];
        for plugin in peaks.chain(means) {
            let description = plugin.describe();
            let operator = if seen.len() < cases.len() { "AilurusDensityPeaks" } else { "AilurusGridKMeans" };
            assert!(description.starts_with(&format!("{operator} 1 ailurus ")), "{description}");
            // What tells plugins apart in TensorRT's cache of timings.
            assert!(!seen.contains(&description), "{description}");
            for copy in [plugin.copy(false), plugin.copy(true), plugin.round_trip(0)] {
                assert_eq!(copy.expect("a copy").describe(), description);
            }
            seen.push(description);
            interface.log();
            assert!(plugin.round_trip(1).is_none(), "what was cut short is refused");
            let log = interface.log();
            assert!(log.contains(if interface.name == "V2" { "AIL1009" } else { "AIL1003" }), "{log}");
        }
        for operator in [MERGE, UNFOLD, UNFOLD_RESIDUAL] {
            let plugin = plain(interface, operator);
            let copy = plugin.round_trip(0).and_then(|p| p.copy(false)).expect("a copy");
            drop(plugin);
            assert!(copy.describe().starts_with(&format!("{} 1 ailurus ", operator.to_str().unwrap())));
        }
    }
}
