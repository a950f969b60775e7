//! What the README shows is what the programs say. `AILURUS_BLESS=1` writes it anew.

mod common;

use common::{Place, root};

/// Times differ from run to run.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let masked: Vec<&str> = (0..words.len())
            .map(|at| {
                let unit = words.get(at + 1).map(|u| u.trim_end_matches(','));
                let time = matches!(unit, Some("s" | "ms")) && words[at].parse::<f64>().is_ok();
                if time { "#" } else { words[at] }
            })
            .collect();
        out += masked.join(" ").trim_end();
        out.push('\n');
    }
    out
}

/// Runs the commands of a transcript in the workspace, `/tmp` standing for a folder of the test's own.
fn replay(transcript: &str) -> String {
    let place = Place::new();
    let folder = place.path("").to_str().unwrap().to_owned();
    let mut out = String::new();
    for line in transcript.lines().filter_map(|l| l.strip_prefix("$ ")) {
        let words: Vec<String> = line.split_whitespace().map(|w| w.replace("/tmp/", &folder)).collect();
        let program = match words[0].as_str() {
            "ailurus" => env!("CARGO_BIN_EXE_ailurus"),
            "ailurus-rewrite" => env!("CARGO_BIN_EXE_ailurus-rewrite"),
            other => panic!("the README runs {other}"),
        };
        let run = place.run(place.command(program).args(&words[1..]).current_dir(root()));
        out += &format!("$ {line}\n{}{}", run.stdout, run.stderr).replace(&folder, "/tmp/");
    }
    out
}

#[test]
fn transcripts() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (mut rest, mut new, mut seen) = (readme.as_str(), String::new(), 0);
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (transcript, after) = after.split_once("```").unwrap();
        let now = replay(transcript);
        let same = mask(&now) == mask(transcript);
        new += &format!("{before}```console\n{}```", if same { transcript } else { &now });
        (rest, seen) = (after, seen + 1);
    }
    new += rest;
    assert!(seen >= 2, "the README shows no transcripts");
    if std::env::var_os("AILURUS_BLESS").is_some() {
        std::fs::write(&path, &new).unwrap();
    } else {
        assert!(new == readme, "the README is out of date; AILURUS_BLESS=1 writes this:\n{new}");
    }
}
