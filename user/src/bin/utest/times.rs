//! CPU time: who used how much of it, where, and what comes of that.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use linux_raw_sys::general as linux;
use user::counters::field;
use user::rt::start::Args;
use user::sys::memory::PRIVATE;
use user::sys::usage::{self, CHILDREN, PROF, SELF, THREAD, VIRTUAL, clock_ns, used};
use user::sys::{Errno, file, process, signal, thread, time};

use crate::harness::{Outcome, Test, Trouble, killed_by};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("CPU time at EL0 and in the kernel", where_spent),
    ("clocks of CPU time", clocks),
    ("clocks of others' CPU time", encoded_clocks),
    ("a process's time is its threads'", threads),
    ("children's time is told once they are waited for", children),
    ("/proc/self/stat tells the times", stat),
    ("/proc/stat and /proc/uptime tell the CPU's", system),
    ("switches are counted, and why", switches),
    ("page faults are counted", faults),
    ("timers of CPU time", timers),
    ("timers of CPU time are not inherited, the limit is", inheritance),
    ("the soft limit of CPU time is a signal", soft_limit),
    ("the hard limit of CPU time kills", hard_limit),
];

const PROCESS_CLOCK: i32 = linux::CLOCK_PROCESS_CPUTIME_ID as i32;
const THREAD_CLOCK: i32 = linux::CLOCK_THREAD_CPUTIME_ID as i32;
const SIGPROF: u32 = linux::SIGPROF;
const SIGVTALRM: u32 = linux::SIGVTALRM;
const SIGXCPU: u32 = linux::SIGXCPU;

/// Computes until this thread has used `ms` milliseconds more.
fn spin(ms: u64) -> Result<(), Errno> {
    let end = clock_ns(THREAD_CLOCK)? + ms * 1_000_000;
    while clock_ns(THREAD_CLOCK)? < end {
        core::hint::black_box((0..20_000u64).fold(0, |sum, number| core::hint::black_box(sum + number)));
    }
    Ok(())
}

/// Has the kernel work until this thread has used `ms` milliseconds more.
fn spin_in_kernel(ms: u64) -> Result<(), Errno> {
    static BYTES: [AtomicU32; 4096] = [const { AtomicU32::new(0) }; 4096];
    let end = clock_ns(THREAD_CLOCK)? + ms * 1_000_000;
    while clock_ns(THREAD_CLOCK)? < end {
        let args = [BYTES.as_ptr() as usize, size_of_val(&BYTES), 0];
        // SAFETY: the kernel writes into the array of atomics, which nobody reads.
        unsafe { user::sys::raw(linux::__NR_getrandom, args) }?;
    }
    Ok(())
}

fn where_spent(_: Args) -> Outcome {
    let start = used(SELF)?;
    spin(100)?;
    let computed = used(SELF)?;
    spin_in_kernel(100)?;
    let end = used(SELF)?;
    check!(computed.total_us() - start.total_us() >= 100_000);
    check!(end.total_us() - computed.total_us() >= 100_000);
    // Samples are few, and divide all time there was: so allow for some that were unlucky.
    check!(computed.user_us - start.user_us >= 75_000);
    check!(end.system_us - computed.system_us >= 50_000);
    Ok(())
}

fn clocks(_: Args) -> Outcome {
    let (process, own) = (clock_ns(PROCESS_CLOCK)?, clock_ns(THREAD_CLOCK)?);
    let start = time::now_ns();
    time::sleep_ns(20_000_000)?;
    check!(clock_ns(PROCESS_CLOCK)? - process < 10_000_000);
    spin(5)?;
    let wall = time::now_ns() - start;
    check!((5_000_000..wall).contains(&(clock_ns(THREAD_CLOCK)? - own)));
    check!(clock_ns(PROCESS_CLOCK)? - process >= 5_000_000);
    check_eq!(clock_ns(99), Err(Errno::EINVAL));
    let mut resolution = [0u64; 2];
    let args = [PROCESS_CLOCK as usize, resolution.as_mut_ptr() as usize];
    // SAFETY: the kernel writes one `timespec`.
    unsafe { user::sys::raw(linux::__NR_clock_getres, args) }?;
    check!(resolution[0] == 0 && resolution[1] > 0);
    check_eq!(used(2), Err(Errno::EINVAL));
    Ok(())
}

/// As libcs make the number of a clock.
fn clock_of(number: process::Pid, thread: bool) -> i32 {
    (!number << 3) | 2 | i32::from(thread) << 2
}

fn encoded_clocks(_: Args) -> Outcome {
    let own = clock_ns(clock_of(process::getpid(), false))?;
    check!(clock_ns(clock_of(0, false))? >= own && clock_ns(clock_of(0, true))? >= own);
    check!(clock_ns(clock_of(thread::gettid(), true))? >= own);
    let parent = process::getppid();
    check!(clock_ns(clock_of(parent, false))? > 0);
    check_eq!(clock_ns(clock_of(parent, true)), Err(Errno::EINVAL));
    check_eq!(clock_ns(clock_of(9_999_999, false)), Err(Errno::EINVAL));
    check_eq!(clock_ns(clock_of(process::getpid(), false) | 3), Err(Errno::EINVAL));
    Ok(())
}

extern "C" fn spin_30(_: usize) {
    let _ = spin(30); // how long is seen by others
}

fn threads(_: Args) -> Outcome {
    let (process, own) = (used(SELF)?.total_us(), used(THREAD)?.total_us());
    let started = [thread::start(spin_30, 0)?, thread::start(spin_30, 0)?];
    started.iter().for_each(thread::Thread::join);
    check!(used(SELF)?.total_us() - process >= 60_000);
    check!(used(THREAD)?.total_us() - own < 30_000);
    check!(clock_ns(PROCESS_CLOCK)? >= clock_ns(THREAD_CLOCK)? + 60_000_000);
    Ok(())
}

fn children(_: Args) -> Outcome {
    let before = used(CHILDREN)?;
    let child = process::spawn(|| {
        let grandchild = process::spawn(|| spin(30).map_or(1, |()| 0));
        match grandchild.and_then(process::wait) {
            Ok(status) if status.exited() == Some(0) => spin(20).map_or(1, |()| 0),
            _ => 1,
        }
    })?;
    time::sleep_ns(1_000_000)?;
    check_eq!(used(CHILDREN)?, before);
    let (status, usage) = usage::wait(child)?;
    check_eq!(status.exited(), Some(0));
    check!((50_000..1_000_000).contains(&usage.total_us()));
    let after = used(CHILDREN)?;
    check_eq!(after.total_us() - before.total_us(), usage.total_us());
    check!(after.minor > before.minor && after.voluntary > before.voluntary);
    let times = usage::times()?;
    check!(times[2] + times[3] >= 4);
    Ok(())
}

/// Field `number` (1-based) of this process's stat.
fn stat_field(number: usize) -> Result<u64, Trouble> {
    let mut buffer = [0; 1024];
    let text = file::read_file(c"/proc/self/stat", &mut buffer)?;
    let text = core::str::from_utf8(text).unwrap_or("");
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').nth(number - 3).and_then(|word| word.trim().parse().ok()).ok_or(Trouble::Failed)
}

fn stat(_: Args) -> Outcome {
    let before = [10, 14, 15].map(stat_field);
    spin(50)?;
    // Both are cut to whole ticks of 10 ms, so what they add up to may be one less than they were.
    check!(stat_field(14)? + stat_field(15)? >= before[1].as_ref().unwrap_or(&0) + 4);
    let pages = Pages::map(1 << 20, PRIVATE)?;
    pages.fill(1);
    check!(stat_field(10)? > *before[0].as_ref().unwrap_or(&u64::MAX));
    check_eq!(process::wait(process::spawn(|| spin(40).map_or(1, |()| 0))?)?.exited(), Some(0));
    check!(stat_field(16)? + stat_field(17)? >= 3);
    // Started in the last minute, in hundredths of a second since boot.
    let now = time::now_ns() / 10_000_000;
    let started = stat_field(22)?;
    check!(started <= now && started + 6000 > now);
    Ok(())
}

/// The first line's user, system and idle time, in hundredths of a second.
fn cpu_times() -> Result<[u64; 3], Trouble> {
    let mut buffer = [0; 4096];
    let text = file::read_file(c"/proc/stat", &mut buffer)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or(b"");
    let mut words = core::str::from_utf8(line).unwrap_or("").split_ascii_whitespace().skip(1);
    let mut times = [0; 4];
    for time in &mut times {
        *time = words.next().and_then(|word| word.parse().ok()).ok_or(Trouble::Failed)?;
    }
    Ok([times[0], times[2], times[3]])
}

fn system(_: Args) -> Outcome {
    let start = cpu_times()?;
    spin(80)?;
    let computed = cpu_times()?;
    spin_in_kernel(80)?;
    let worked = cpu_times()?;
    time::sleep_ns(100_000_000)?;
    let slept = cpu_times()?;
    check!(computed[0] - start[0] >= 5);
    check!(worked[1] - computed[1] >= 4);
    check!(slept[2] - worked[2] >= 8);
    Ok(())
}

/// The two counts of switches in this process's status.
fn status_switches() -> Result<[u64; 2], Trouble> {
    let mut buffer = [0; 2048];
    let text = file::read_file(c"/proc/self/status", &mut buffer)?;
    let counts = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|name| field(text, name));
    match counts {
        [Some(voluntary), Some(involuntary)] => Ok([voluntary, involuntary]),
        _ => Err(Trouble::Failed),
    }
}

fn switches(_: Args) -> Outcome {
    let (before, told) = (used(SELF)?, status_switches()?);
    for _ in 0..5 {
        time::sleep_ns(1_000_000)?;
    }
    let slept = used(SELF)?;
    check!(slept.voluntary - before.voluntary >= 5);
    let child = process::spawn(|| spin(100).map_or(1, |()| 0))?;
    spin(100)?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check!(used(SELF)?.involuntary > slept.involuntary);
    let now = status_switches()?;
    check!(now[0] >= told[0] + 5 && now[1] > told[1]);
    Ok(())
}

fn faults(_: Args) -> Outcome {
    let pages = Pages::map(1 << 20, PRIVATE)?;
    // SAFETY: the mapping is this test's own, and the advice changes no contents.
    unsafe { user::sys::memory::advise(pages.base, 1 << 20, linux::MADV_NOHUGEPAGE) }?;
    let before = used(SELF)?;
    pages.fill(1);
    let after = used(SELF)?;
    check!(after.minor - before.minor >= 16);
    check_eq!(after.major, before.major);
    Ok(())
}

static TOLD: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

extern "C" fn tell(signal: u32, _: *const signal::Info, _: *mut signal::Context) {
    TOLD[usize::from(signal == SIGPROF)].fetch_add(1, SeqCst);
}

fn timers(_: Args) -> Outcome {
    signal::handle(SIGVTALRM, tell, 0, 0)?;
    signal::handle(SIGPROF, tell, 0, 0)?;
    check_eq!(usage::set_timer(VIRTUAL, 40_000, 0)?, [0, 0]);
    check_eq!(usage::set_timer(PROF, 20_000, 20_000)?, [0, 0]);
    time::sleep_ns(60_000_000)?;
    check_eq!(TOLD.each_ref().map(|count| count.load(SeqCst)), [0, 0]);
    spin(150)?;
    let [virtual_time, prof] = TOLD.each_ref().map(|count| count.load(SeqCst));
    check_eq!(virtual_time, 1);
    check!((4..=8).contains(&prof));
    let [left, interval] = usage::set_timer(PROF, 0, 0)?;
    check!((1..=20_000).contains(&left));
    check_eq!(interval, 20_000);
    check_eq!(usage::set_timer(VIRTUAL, 0, 0)?, [0, 0]);
    check_eq!(usage::set_timer(3, 0, 0), Err(Errno::EINVAL));
    Ok(())
}

fn inheritance(_: Args) -> Outcome {
    usage::set_timer(PROF, 10_000_000, 7)?;
    usage::limit_cpu(1000, 2000)?;
    let child = process::spawn(|| {
        let timer = usage::set_timer(PROF, 0, 0);
        i32::from(timer != Ok([0, 0]) || usage::cpu_limit() != Ok([1000, 2000]))
    })?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check!(usage::set_timer(PROF, 0, 0)?[1] == 7);
    check_eq!(usage::limit_cpu(2, 1), Err(Errno::EINVAL));
    Ok(())
}

fn soft_limit(_: Args) -> Outcome {
    killed_by(SIGXCPU, || usage::limit_cpu(1, 100).and_then(|()| spin(3000)))
}

fn hard_limit(_: Args) -> Outcome {
    killed_by(process::signal::SIGKILL, || {
        signal::handle(SIGXCPU, tell, 0, 0)?;
        usage::limit_cpu(1, 1)?;
        spin(3000)
    })
}
