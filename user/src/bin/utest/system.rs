//! Time, randomness, and what the kernel says about itself.

use user::counters::field;
use user::probe;
use user::rt::counter::{Source, virtual_hz};
use user::rt::start::Args;
use user::sys::{Errno, file, raw, time};

use crate::harness::{Outcome, Test, Trouble};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("nanosleep takes its time", sleep),
    ("nanosleep rejects bad times", bad_sleep),
    ("clocks go forwards", clocks),
    ("getrandom", random),
    ("uname", uname),
    ("root has all capabilities", capabilities),
    ("/proc/vmstat counts", vmstat),
    ("/proc/self/smaps_rollup", smaps),
    ("PMCCNTR_EL0 is readable and runs", cycles),
];

fn sleep(_: Args) -> Outcome {
    for ms in [1, 5, 20] {
        let start = time::now_ns();
        time::sleep_ns(ms * 1_000_000)?;
        check!(time::now_ns() - start >= ms * 1_000_000);
    }
    time::sleep_ns(0)?;
    Ok(())
}

fn bad_sleep(_: Args) -> Outcome {
    check_eq!(time::sleep_raw(0, 1_000_000_000), Err(Errno::EINVAL));
    check_eq!(time::sleep_raw(0, -1), Err(Errno::EINVAL));
    check_eq!(time::sleep_raw(-1, 0), Err(Errno::EINVAL));
    Ok(())
}

fn clocks(_: Args) -> Outcome {
    check!(virtual_hz() > 0);
    let (mut clock, mut count) = (time::now_ns(), Source::Virtual.read());
    for _ in 0..1000 {
        let (new_clock, new_count) = (time::now_ns(), Source::Virtual.read());
        check!(new_clock >= clock && new_count >= count);
        (clock, count) = (new_clock, new_count);
    }
    Ok(())
}

fn random(_: Args) -> Outcome {
    let (mut a, mut b) = ([0; 32], [0; 32]);
    check_eq!(time::random(&mut a), Ok(32));
    check_eq!(time::random(&mut b), Ok(32));
    check!(a != b && a != [0; 32]);
    check_eq!(time::random(&mut []), Ok(0));
    Ok(())
}

fn uname(_: Args) -> Outcome {
    let name = time::kernel_name();
    let (system, release) = name.as_str().split_once(' ').unwrap_or(("", ""));
    check!(!system.is_empty() && !release.is_empty());
    Ok(())
}

fn capabilities(_: Args) -> Outcome {
    const VERSION: u32 = 0x2008_0522;
    let call = |number: u32, header: &mut [u32; 2], data: usize| {
        // SAFETY: the kernel reads and writes the header, and what a test passes as data.
        unsafe { raw(number, [header.as_mut_ptr() as usize, data]) }
    };
    let (get, set) = (linux_raw_sys::general::__NR_capget, linux_raw_sys::general::__NR_capset);
    let mut header = [0x1234, 0];
    check_eq!(call(get, &mut header, 0), Ok(0));
    check_eq!(header[0], VERSION);
    let mut sets = [0u32; 6];
    check_eq!(call(get, &mut [7, 0], sets.as_mut_ptr() as usize), Err(Errno::EINVAL));
    check_eq!(call(get, &mut header, sets.as_mut_ptr() as usize), Ok(0));
    check!(sets[..2] == [u32::MAX; 2] && sets[3] == sets[4] && sets[3] != 0);
    check_eq!(call(set, &mut header, sets.as_mut_ptr() as usize), Ok(0));
    sets[1] = 0;
    check_eq!(call(set, &mut header, sets.as_mut_ptr() as usize), Err(Errno::EPERM));
    check_eq!(call(get, &mut [VERSION, -1i32 as u32], sets.as_mut_ptr() as usize), Err(Errno::EINVAL));
    check_eq!(call(get, &mut [VERSION, 9_999_999], sets.as_mut_ptr() as usize), Err(Errno::ESRCH));
    check_eq!(call(get, &mut header, 1), Err(Errno::EFAULT));
    Ok(())
}

fn vmstat(_: Args) -> Outcome {
    let before = probe::counters();
    let pages = crate::memory::Pages::map(1 << 20, user::sys::memory::PRIVATE)?;
    pages.fill(1);
    let after = probe::counters();
    if before.get("pgfault").is_none() {
        return Err(Trouble::Skip("no /proc/vmstat"));
    }
    check!(after.since(&before).get("pgfault") > Some(0));
    check!(probe::free_pages() > Some(0));
    if probe::is_pleat() {
        // Every counter that the benchmark prints exists.
        check_eq!(before.iter().count(), user::counters::NAMES.len());
        check!(after.since(&before).get("pte_stores") >= Some(pages.count() as u64));
    }
    Ok(())
}

fn smaps(_: Args) -> Outcome {
    let mut buffer = [0; 2048];
    let Ok(text) = file::read_file(c"/proc/self/smaps_rollup", &mut buffer) else {
        return Err(Trouble::Skip("no /proc/self/smaps_rollup"));
    };
    let before = field(text, "Rss");
    let pages = crate::memory::Pages::map(1 << 20, user::sys::memory::PRIVATE)?;
    pages.fill(1);
    let after = field(file::read_file(c"/proc/self/smaps_rollup", &mut buffer)?, "Rss");
    check!(before.is_some() && after >= before.map(|kib| kib + 1024));
    Ok(())
}

fn cycles(_: Args) -> Outcome {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("Pleat's promise only"));
    }
    check!(Source::Cycles.time_loop(10_000) > 0);
    Ok(())
}
