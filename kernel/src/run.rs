//! From a machine that is up to its first process: memory management, self-tests, files, PID 1.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use paging::{Pfn, PhysAddr};
use spin::Once;

use crate::arch::kmap::frames::{FrameSource, set_source};
use crate::arch::{self, features};
use crate::bbm::Choice;
use crate::cmdline::CommandLine;
use crate::errno::{Errno, Result};
use crate::mm::PhysRange;
use crate::mm::frame::Kind;
use crate::start::BootContext;
use crate::{fs, global, panic, println, proc, selftest};

/// QEMU's exit status when a self-test fails.
const SELFTEST_FAILED: i32 = 1;
/// Ranges of RAM that memory management is told of: as many as a set of `devicetree::Ranges` holds.
const MAX_RANGES: usize = 32;

static CMDLINE: Once<&'static str> = Once::new();

/// The whole command line, as the boot loader passed it.
pub fn command_line() -> &'static str {
    CMDLINE.get().copied().unwrap_or("")
}

/// What [`crate::start`] ends in.
pub fn main(boot: &'static BootContext) -> ! {
    CMDLINE.call_once(|| boot.platform.bootargs);
    start_mm(boot);
    choose_bbm_level(&boot.cmdline);
    run_selftests(&boot.cmdline);
    fs::generated::devmem::init(&boot.platform.passive);
    if let Err(error) = fs::init(crate::mm(), boot.initramfs) {
        stop(format_args!("cannot unpack the initramfs: {error}"));
    }
    if let Err(error) = start_init(&boot.cmdline) {
        stop(format_args!("cannot start the first process: {error:?}"));
    }
    proc::run()
}

/// Hands the free RAM to `mm`, and makes it the source of frames for heap and stacks.
fn start_mm(boot: &BootContext) {
    let mut ranges = [PhysRange { start: PhysAddr::new(0), bytes: 0 }; MAX_RANGES];
    let mut count = 0;
    for usable in boot.usable.iter().take(MAX_RANGES) {
        ranges[count] = PhysRange { start: PhysAddr::new(usable.start), bytes: usable.end - usable.start };
        count += 1;
    }
    let asid_bits = if features().asid16 { 16 } else { 8 };
    // SAFETY: the only call, before anything calls `mm()`; `usable` is RAM in the linear map that nothing else uses.
    if let Err(error) = unsafe { global::init(&ranges[..count], asid_bits) } {
        stop(format_args!("cannot manage {} KiB of free RAM: {error:?}", boot.usable.bytes() >> 10));
    }
    set_source(FrameSource {
        allocate: |order| crate::mm().alloc_frames(order, Kind::Kernel, 0).map(|pfn| pfn.addr().get()),
        free: |pa| crate::mm().folio_put(Pfn::new(pa >> paging::PAGE_SHIFT)),
    });
    let batching = boot.cmdline.get("pleat.batch") != Some("off");
    crate::mm().batching.store(batching, Ordering::Relaxed);
    start_swap(&boot.cmdline);
    log::info!(
        "{} MiB free, fork copies PTEs {}",
        crate::mm().free_pages() >> (20 - paging::PAGE_SHIFT),
        if batching { "in batches" } else { "one by one" }
    );
}

/// Decides how blocks are folded and unfolded.
fn choose_bbm_level(cmdline: &CommandLine<'_>) {
    let wanted = cmdline.get("pleat.bbm");
    let choice = Choice::new(wanted, features().bbm_level);
    arch::rely_on_bbm_level(choice.level());
    match choice {
        Choice::Level0 => {}
        Choice::Level2 => log::info!("contpte blocks are folded and unfolded without a flush (BBM level 2)"),
        Choice::NotOffered(level) => log::warn!("pleat.bbm=2: this CPU offers level {level}; not relied on"),
        Choice::Unknown => log::warn!("pleat.bbm={}: neither 0 nor 2, taken as 0", wanted.unwrap_or("")),
    }
}

/// Makes swap of `pleat.swap=<MiB>`; without it there is none, and memory exhausted is memory exhausted.
fn start_swap(cmdline: &CommandLine<'_>) {
    let Some(size) = cmdline.get("pleat.swap") else { return };
    let made = size.parse::<usize>().ok().and_then(|mib| mib.checked_mul(1 << (20 - paging::PAGE_SHIFT)));
    match made.ok_or(Errno::EINVAL).and_then(|pages| crate::mm().swap_on(pages)) {
        Ok(()) => log::info!("{size} MiB of swap in compressed memory"),
        Err(error) => log::warn!("no swap of {size} MiB: {error:?}"),
    }
}

/// Runs the self-tests unless `pleat.selftest=off`; ends the boot if one fails, or with `pleat.selftest=only`.
fn run_selftests(cmdline: &CommandLine<'_>) {
    let wanted = cmdline.get("pleat.selftest").unwrap_or("on");
    if wanted == "off" {
        return;
    }
    let passed = selftest::run(wanted == "fail");
    if !passed {
        arch::exit(SELFTEST_FAILED);
    }
    if wanted == "only" {
        arch::exit(0);
    }
}

/// Creates the first process: `init=` or /init, with the words behind `--` as its arguments, as on Linux.
fn start_init(cmdline: &CommandLine<'_>) -> Result<()> {
    let path = cmdline.get("init").unwrap_or("/init").as_bytes();
    let mut argv: Vec<&[u8]> = Vec::new();
    argv.try_reserve_exact(1 + cmdline.init_arguments().count())?;
    argv.push(path);
    argv.extend(cmdline.init_arguments().map(str::as_bytes));
    proc::spawn_init(path, &argv)
}

/// Ends a boot that cannot go on.
fn stop(why: core::fmt::Arguments<'_>) -> ! {
    println!("pleat: {why}");
    arch::exit(panic::EXIT_STATUS)
}
