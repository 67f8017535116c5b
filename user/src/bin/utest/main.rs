//! `utest`: tests of the kernel from EL0, through its system calls alone. KTAP output, exit status = failed tests.
//!
//! The specification is Linux: the same file must pass there (what only Pleat has is skipped). Each test runs in a
//! process of its own ([`harness`]), which may fault, hang or be killed without harm to the others.
//! `utest WORD...` runs only the tests whose name contains one of the words.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod accounting;
#[cfg(target_os = "none")]
mod claims;
#[cfg(target_os = "none")]
mod clones;
#[cfg(target_os = "none")]
mod devices;
#[cfg(target_os = "none")]
mod events;
#[cfg(target_os = "none")]
mod exec;
#[cfg(target_os = "none")]
mod faults;
#[cfg(target_os = "none")]
mod fifos;
#[cfg(target_os = "none")]
mod files;
#[cfg(target_os = "none")]
mod folios;
#[cfg(target_os = "none")]
mod fork;
#[cfg(target_os = "none")]
mod harness;
#[cfg(target_os = "none")]
mod huge;
#[cfg(target_os = "none")]
mod khugepaged;
#[cfg(target_os = "none")]
mod limits;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod mremap;
#[cfg(target_os = "none")]
mod oom;
#[cfg(target_os = "none")]
mod overcommit;
#[cfg(target_os = "none")]
mod pointers;
#[cfg(target_os = "none")]
mod processes;
#[cfg(target_os = "none")]
mod refusals;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod residency;
#[cfg(target_os = "none")]
mod shared;
#[cfg(target_os = "none")]
mod signals;
#[cfg(target_os = "none")]
mod splice;
#[cfg(target_os = "none")]
mod swap;
#[cfg(target_os = "none")]
mod system;
#[cfg(target_os = "none")]
mod terminal;
#[cfg(target_os = "none")]
mod thp_disable;
#[cfg(target_os = "none")]
mod threads;
#[cfg(target_os = "none")]
mod timers;
#[cfg(target_os = "none")]
mod times;
#[cfg(target_os = "none")]
mod tree;
#[cfg(target_os = "none")]
mod userfault;
#[cfg(target_os = "none")]
mod userfault_waits;

#[cfg(target_os = "none")]
user::entry!(main);

#[cfg(target_os = "none")]
fn main(args: user::rt::start::Args) -> i32 {
    let groups = [
        fork::TESTS,
        folios::TESTS,
        claims::TESTS,
        thp_disable::TESTS,
        khugepaged::TESTS,
        memory::TESTS,
        residency::TESTS,
        accounting::TESTS,
        shared::TESTS,
        devices::TESTS,
        mremap::TESTS,
        swap::TESTS,
        huge::TESTS,
        oom::TESTS,
        overcommit::TESTS,
        userfault::TESTS,
        userfault_waits::TESTS,
        faults::TESTS,
        pointers::TESTS,
        processes::TESTS,
        signals::TESTS,
        threads::TESTS,
        clones::TESTS,
        terminal::TESTS,
        registers::TESTS,
        exec::TESTS,
        files::TESTS,
        fifos::TESTS,
        splice::TESTS,
        refusals::TESTS,
        limits::TESTS,
        times::TESTS,
        timers::TESTS,
        tree::TESTS,
        events::TESTS,
        system::TESTS,
    ];
    harness::run(&groups, args)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("utest: built for the host; it runs on aarch64 only");
}
