//! `true`: does nothing, successfully. What exec is measured with.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
user::entry!(main);

#[cfg(target_os = "none")]
fn main(_args: user::rt::start::Args) -> i32 {
    0
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("true: built for the host; it runs on aarch64 only");
}
