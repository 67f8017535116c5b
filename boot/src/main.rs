//! The bootable image: arm64 Image header, entry at EL2 or EL1, first page tables, MMU on, jump to the kernel.
//!
//! All of it is assembly, because until the MMU is on no Rust code may run: it is linked at its virtual address, and
//! unaligned accesses fault on memory that is not yet "normal". The kernel itself is the library `kernel`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod entry;

/// On a host there is nothing to run: this crate is an image for bare metal.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("pleat is a kernel image: build it with --target aarch64-unknown-none-softfloat");
}
