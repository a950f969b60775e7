//! Every code that any crate can show has an explanation.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::Place;

/// Codes of a source text.
fn codes(text: &str, out: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices("AIL0") {
        let code: String = text[at..].chars().take(7).collect();
        let digits = code.len() == 7 && code[3..].bytes().all(|b| b.is_ascii_digit());
        if digits {
            out.insert(code);
        }
    }
}

fn walk(folder: &Path, out: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            codes(&std::fs::read_to_string(&path).unwrap(), out);
        }
    }
}

#[test]
fn every_code_is_explained() {
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir(common::root().join("crates")).unwrap() {
        walk(&entry.unwrap().path().join("src"), &mut used);
    }
    let explained: BTreeSet<String> = ailurus::codes::all().into_iter().map(|e| e.code).collect();
    assert!(used.len() > 50, "{used:?}");
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "without an explanation: {missing:?}");
}

/// The plugins of TensorRT have their codes as numbers, in C++.
#[test]
fn every_code_of_the_plugins_is_explained() {
    let header = std::fs::read_to_string(common::root().join("crates/ailurus-trt/plugin/log.h")).unwrap();
    let numbers = header.lines().filter_map(|line| line.split_once(" = 10")?.1.strip_suffix(','));
    let used: Vec<String> = numbers.map(|rest| format!("AIL10{rest}")).collect();
    assert!(used.len() > 10, "{used:?}");
    for code in used {
        assert!(ailurus::codes::explain(&code).is_some(), "{code} has no explanation");
    }
}

#[test]
fn explain() {
    let place = Place::new();
    let one = place.ailurus(["explain", "ail0207"]).ok().stdout;
    assert!(one.starts_with("AIL0207: operator depends on token positions"), "{one}");
    assert!(one.contains("--layer"), "{one}");
    let all = place.ailurus(["explain"]).ok().stdout;
    assert_eq!(all.lines().count(), ailurus::codes::all().len());
    let json = place.ailurus(["explain", "AIL0101", "--json"]).ok().json();
    assert_eq!(json["code"], "AIL0101");
    let json = place.ailurus(["explain", "--json"]).ok().json();
    assert_eq!(json.as_array().unwrap().len(), ailurus::codes::all().len());
}
