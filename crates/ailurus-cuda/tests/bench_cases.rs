//! The cases that `bench/gpu.sh` compares kernels with are what the reference gives today.

#[path = "common/cases.rs"]
mod cases;
mod common;

#[test]
fn the_cases_are_those_of_the_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/gpu/cases.json");
    let made = cases::file();
    if std::env::var_os("AILURUS_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(path, made).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap();
    for (made, committed) in made.lines().zip(committed.lines()) {
        assert_eq!(made, committed, "AILURUS_BLESS=1 writes the file");
    }
    assert_eq!(made.lines().count(), committed.lines().count(), "AILURUS_BLESS=1 writes the file");
}
