//! The committed PTX belongs to the committed sources.

use ailurus_cuda::sources;

#[test]
fn ptx_was_made_from_these_sources() {
    assert_eq!(
        sources::PTX_STAMP,
        sources::stamp(),
        "kernels have changed: run `cargo xtask cuda`, which makes the PTX"
    );
}

#[test]
fn ptx_suits_every_driver_and_device_that_is_promised() {
    // PTX 8.0 is what CUDA 12.0 brought.
    assert!(sources::PTX.contains("\n.version 8.0\n"));
    assert!(sources::PTX.contains("\n.target sm_75\n"));
    assert!(sources::PTX.len() < 1 << 20, "{} bytes", sources::PTX.len());
}

#[test]
fn nothing_is_fused_in_single_precision() {
    let fused: Vec<&str> = sources::PTX.lines().filter(|l| l.contains("fma.rn.f32") || l.contains("mad.f32")).collect();
    assert!(fused.is_empty(), "{fused:?}");
    assert!(!sources::PTX.contains(".ftz.f32"), "subnormal numbers count");
    assert!(!sources::PTX.contains(".approx.f32"), "divisions and roots are rounded exactly");
}

#[test]
fn every_file_of_the_folders_is_listed() {
    let crate_folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [("kernels", sources::KERNELS, "ptx"), ("launcher", sources::LAUNCHER, "")];
    for (folder, listed, generated) in folders {
        let mut found: Vec<String> = std::fs::read_dir(crate_folder.join(folder))
            .unwrap()
            .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|name| generated.is_empty() || !name.contains(&format!(".{generated}")))
            .collect();
        found.sort();
        let listed: Vec<&str> = listed.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, listed);
    }
}
