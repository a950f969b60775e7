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
    assert!(sources::PTX.len() < 3 << 19, "{} bytes", sources::PTX.len());
}

#[test]
fn nothing_is_fused_in_single_precision() {
    let fused: Vec<&str> = sources::PTX.lines().filter(|l| l.contains("fma.rn.f32") || l.contains("mad.f32")).collect();
    assert!(fused.is_empty(), "{fused:?}");
    assert!(!sources::PTX.contains(".ftz.f32"), "subnormal numbers count");
    assert!(!sources::PTX.contains(".approx.f32"), "divisions and roots are rounded exactly");
}

/// The body of a kernel.
fn kernel(name: &str) -> &'static str {
    let at = sources::PTX.find(&format!(".visible .entry ailurus_{name}(")).expect("a kernel");
    let body = &sources::PTX[at..];
    &body[..body.find("\n}").expect("its end")]
}

#[test]
fn rows_move_sixteen_bytes_at_a_time() {
    // What compilers make of structures that are aligned: hoped for in the source, seen here.
    for operator in ["merge", "unfold_sum", "unfold_residual"] {
        for element in ["f32", "f16", "bf16"] {
            let body = kernel(&format!("{operator}_{element}"));
            let wide =
                |what: &str| body.contains(&format!("{what}.v4.u32")) || body.contains(&format!("{what}.v4.f32"));
            assert!(wide("ld.global") && wide("st.global"), "{operator}_{element}");
            assert!(!body.contains("ld.global.u16") && !body.contains("st.global.u16"), "{operator}_{element}");
        }
    }
    assert!(kernel("unfold_copy16").contains("ld.global.v4.u32"));
    assert!(kernel("distances_f32").contains("ld.global.v4.f32"));
    assert!(kernel("distances_f16").contains("ld.global.v4.u16"));
    for kernel in ["around", "search", "update"].map(|name| kernel(&format!("grid_{name}_f16"))) {
        assert!(kernel.contains("ld.global.v4.u16") && !kernel.contains("ld.global.u16"));
    }
    assert!(
        kernel("grid_search_f16").contains("ld.global.v4.f32")
            || kernel("grid_search_f16").contains("ld.global.v4.u32")
    );
    assert!(kernel("grid_update_f16").contains("ld.shared.v4.f32"));
}

#[test]
fn no_memory_is_read_through_the_cache_for_constants() {
    // It does not see what the same launch writes, and tensors may overlap.
    assert!(!sources::PTX.contains("ld.global.nc"));
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
