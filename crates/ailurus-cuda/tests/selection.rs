//! Of the images that a library holds, the launcher loads the machine code that suits the device best, else PTX.

#[path = "common/compile.rs"]
mod compile;

#[test]
fn the_best_image_for_a_device_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("selection");
    let sources = ["launcher/driver.cpp", "launcher/module.cpp", "launcher/status.cpp", "shim/selection.cpp"];
    compile::compile(&program, &sources, &[]).unwrap();
    let output = compile::run(&program, &[ailurus_cuda::shim::LIBRARY]);
    assert!(output.status.success(), "{output:?}");
    let expected = "61: ptx\n70: ptx\n75: sm_75\n80: sm_80\n86: sm_86\n87: sm_86\n89: sm_86\n90: ptx\n120: ptx\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
