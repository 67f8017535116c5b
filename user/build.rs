//! Hands `link.ld` to the linker, for the bare-metal target only: on the host the programs are empty shells.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-arg-bins=-T{here}/link.ld");
    // Linux may run with 64 KiB pages: segments of different permissions must not share one.
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=65536");
    println!("cargo::rustc-link-arg-bins=--build-id=none");
}
