//! Creators, and plugins made from fields: what is refused and by which name, copies, and what is written and read back.

mod common;

use ailurus_ops::{DensityPeaks, GridKMeans, Keep};
use ailurus_trt::bridge::Field;
use common::{DENSITY_PEAKS, MERGE, UNFOLD, UNFOLD_RESIDUAL, density_peaks, fields, half, interfaces, plain};

#[test]
fn creators_are_listed_with_their_fields() {
    for interface in interfaces() {
        let listed = interface.creators();
        let expected = "AilurusDensityPeaks 1 ailurus prefix:5 suffix:5 grid_h:5 grid_w:5 tokens:5 keep_num:5 keep_den:5 \
                        neighbors:5 window:5 spatial_mix:1\nAilurusMerge 1 ailurus\nAilurusUnfold 1 ailurus\n\
                        AilurusUnfoldResidual 1 ailurus\n";
        assert_eq!(listed, expected, "{}", interface.name);
    }
}

#[test]
fn every_attribute_of_the_operator_is_a_field() {
    for interface in interfaces() {
        let listed = interface.creators();
        for attribute in DensityPeaks::SCHEMA.attributes.iter().filter(|a| !a.name.starts_with("plugin_")) {
            assert!(listed.contains(&format!(" {}:", attribute.name)), "{}", attribute.name);
        }
        // Clusters on a grid have no plugin.
        let schemas = ailurus_ops::schemas().into_iter().filter(|schema| **schema != GridKMeans::SCHEMA);
        let names: Vec<&str> = schemas.map(|schema| schema.name).collect();
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
    for interface in interfaces() {
        let mut seen = vec![];
        for params in &cases {
            let plugin = density_peaks(interface, params);
            let description = plugin.describe();
            assert!(description.starts_with("AilurusDensityPeaks 1 ailurus "), "{description}");
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
