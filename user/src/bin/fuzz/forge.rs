//! Programs that are not quite right: a copy of one with some words of its headers changed, or a script whose interpreter
//! is a script. A child executes it, with an alarm that ends it should it run.

use core::ffi::CStr;
use core::ptr;

use linux_raw_sys::general as linux;
use user::sys::file::{self, READ_ONLY, WRITE_ONLY};
use user::sys::process;
use user::sys::{raw, signal, tree};

use crate::worker::Worker;

const NAME: &CStr = c"fz-e";
/// Bytes of the program's headers: the ELF header and a few program headers, 56 bytes each.
const HEADERS: u64 = 64 + 4 * 56;
/// How long it may run, in microseconds.
const ALARM_US: u64 = 4000;

/// Writes such a program and has a child execute it. Returns the child's number.
pub fn forge(worker: &mut Worker) -> Option<i32> {
    let random = &mut worker.random;
    let here = linux::AT_FDCWD as usize;
    let flags = (WRITE_ONLY | linux::O_CREAT | linux::O_TRUNC) as usize;
    // SAFETY: the kernel only reads the path.
    let out = unsafe { raw(linux::__NR_openat, [here, NAME.as_ptr() as usize, flags, 0o755]) }.ok()? as i32;
    if random.one_in(4) {
        let line = random.pick(&[
            &b"#!fz-e\n"[..],
            b"#!/bin/true\n",
            b"#!",
            b"#! /bin/echo  a b \n",
            b"#!/proc/self/exe -\n",
        ]);
        let _ = file::write(out, line);
    } else {
        let program = random.pick(&[c"/bin/true", c"/bin/true", c"/bin/echo"]);
        if let Ok(input) = file::open(program, READ_ONLY) {
            let _ = tree::send_file(out, input, 1 << 20);
            let _ = file::close(input);
        }
        for _ in 0..1 + random.below(3) {
            let (at, bytes) = (random.below(HEADERS), random.pick(&[1, 2, 4, 8]));
            let word = match random.below(4) {
                0 => random.next(),
                1 => 0,
                2 => 1 << random.below(64),
                _ => (random.below(1 << 20) << 12) + random.below(2) * 0xfff,
            };
            let _ = tree::write_at(out, &word.to_ne_bytes()[..bytes], at & !(bytes as u64 - 1));
        }
    }
    let _ = file::close(out);
    process::spawn(|| {
        let _ = signal::set_alarm(ALARM_US, 0);
        let _ = signal::set_mask(0);
        let argv = [NAME.as_ptr(), c"word".as_ptr(), ptr::null()];
        process::execve(NAME, &argv, &[ptr::null()]);
        1
    })
    .ok()
}
