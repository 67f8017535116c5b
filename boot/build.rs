//! Links the image with the workspace's `linker.ld`; from here, so that no other crate is linked with it.

use std::env;
use std::path::PathBuf;

fn main() {
    // Cargo sets both for every build script.
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("..");
    let bare_metal = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    let script = root.join("linker.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    if bare_metal {
        println!("cargo:rustc-link-arg-bins=-T{}", script.display());
        // The linker script aligns what has permissions of its own to pages of this size.
        let feature = |name: &str| env::var_os(name).is_some();
        let page = match (feature("CARGO_FEATURE_GRANULE_16K"), feature("CARGO_FEATURE_GRANULE_64K")) {
            (false, false) => 4 << 10,
            (true, false) => 16 << 10,
            _ => 64 << 10,
        };
        println!("cargo:rustc-link-arg-bins=-zmax-page-size={page}");
    }
}
