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
        // Segments on their own 4 KiB pages, not on 64 KiB ones: the image is mapped by 4 KiB pages.
        println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
    }
}
