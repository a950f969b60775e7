//! The driver without a device finds what it is there to find: kernels that wait apart, and kernels that do not wait.

#[path = "common/compile.rs"]
mod compile;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("faults");
        compile::compile(&program, &["shim/faults.cpp", "shim/block.cpp", "shim/fiber.cpp"], &[]).unwrap();
        (folder, program)
    });
    program
}

/// What the shim says, and what the kernel computed.
fn run(kernel: &str, schedule: u64) -> (String, String) {
    let output = compile::run(program(), &[kernel, &schedule.to_string()]);
    assert!(output.status.success(), "{kernel}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (said, computed) = text.split_once('\n').unwrap();
    (said.to_owned(), computed.to_owned())
}

/// What a kernel computes under several schedules.
fn results(kernel: &str) -> BTreeSet<String> {
    (0..12)
        .map(|schedule| {
            let (said, computed) = run(kernel, schedule);
            assert_eq!(said, "", "{kernel}");
            computed
        })
        .collect()
}

#[test]
fn kernels_without_a_fault_compute_the_same_under_every_schedule() {
    let neighbours: String = (0..96).map(|t| format!("{} ", ((t + 37) % 96) * ((t + 37) % 96))).collect();
    assert_eq!(results("right"), BTreeSet::from([neighbours + "\n"]));
    assert_eq!(results("collectives").len(), 1);
}

#[test]
fn collectives_compute_what_they_do_on_a_device() {
    let mut lanes: Vec<u64> = (0..32u64).map(|t| (t << 33) | 1).collect();
    for _ in 0..50 {
        for step in [16, 8, 4, 2, 1] {
            lanes = (0..32usize).map(|l| lanes[l].wrapping_add(lanes[l ^ step])).collect();
        }
        lanes = (0..32usize)
            .map(|l| {
                let below = if l < 3 { l } else { l - 3 };
                // Block 1 is the one that is looked at.
                lanes[l].wrapping_mul(3).wrapping_add(0xaaaa_aaaa + below as u64 + 1)
            })
            .collect();
    }
    let expected: Vec<i32> = lanes.iter().map(|&l| (l >> 20) as i32).collect();
    let (_, computed) = run("collectives", 0);
    let got: Vec<i32> = computed.split_whitespace().take(32).map(|v| v.parse().unwrap()).collect();
    assert_eq!(got, expected);
}

#[test]
fn the_switch_of_the_system_does_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("faults");
    let sources = ["shim/faults.cpp", "shim/block.cpp", "shim/fiber.cpp"];
    compile::compile(&program, &sources, &["-DAILURUS_SHIM_UCONTEXT"]).unwrap();
    for schedule in 0..4 {
        let output = compile::run(&program, &["collectives", &schedule.to_string()]);
        let (said, computed) = run("collectives", schedule);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{said}\n{computed}"));
    }
}

#[test]
fn missing_barriers_show_in_the_results() {
    for kernel in ["missing_barrier", "missing_warp_barrier"] {
        assert!(results(kernel).len() > 2, "{kernel}");
    }
    // Shared memory starts as garbage, not as zeros.
    assert!(results("uninitialised").iter().all(|r| r.contains(&i32::from_ne_bytes([0xcd; 4]).to_string())));
}

#[test]
fn waiting_apart_is_reported() {
    for (kernel, expected) in [
        ("divergent_barrier", "waits for threads that have ended"),
        ("different_barriers", "wait at different barriers"),
        ("divergent_shuffle", "waits for lanes that have ended"),
        ("different_shuffles", "take part in different operations"),
        ("barrier_against_shuffle", "deadlock"),
        ("partial_mask", "leaves lanes out"),
        ("too_much_shared_memory", "shared variables of 50176 bytes"),
    ] {
        for schedule in 0..8 {
            let (said, _) = run(kernel, schedule);
            assert!(said.contains(expected), "{kernel}, schedule {schedule}: {said}");
        }
    }
}
