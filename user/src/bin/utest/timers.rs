//! Timers of a process that send signals.

use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use linux_raw_sys::general::{CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, SIGALRM};
use user::rt::start::Args;
use user::sys::file::{self, CLOSE_ON_EXEC};
use user::sys::signal::{self, bit};
use user::sys::timer::{self, Event, SI_TIMER};
use user::sys::{Errno, process, thread, time};
use user::text::Text;

use crate::harness::{Outcome, Test, child_passes};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a timer sends its signal once", once),
    ("a timer's overruns are counted until its signal is taken", overruns),
    ("a timer's signal interrupts, time after time", interrupts),
    ("a timer goes off at a time of its clock, in one thread", absolute),
    ("a timer without a signal shows its time", silent),
    ("a timer that is deleted takes its signal along", deleted),
    ("a child has no timers", inheritance),
    ("exec takes the timers away", execution),
    ("timers that cannot be", refused),
];

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const SIGNAL: u32 = 40;

fn once(_: Args) -> Outcome {
    signal::set_mask(bit(SIGNAL))?;
    for clock in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME] {
        let id = timer::create(clock, Some(&Event::signal(SIGNAL, 0x1234)))?;
        check_eq!(timer::set(id, false, 1000 * SECOND, 7)?, [0, 0]);
        let [left, interval] = timer::set(id, false, 10 * MS, 0)?;
        check!(left > 900 * SECOND && left <= 1000 * SECOND);
        check_eq!(interval, 7);
        let info = signal::take(bit(SIGNAL), 10 * SECOND)?;
        check_eq!((info.signal, info.code), (SIGNAL, SI_TIMER));
        check_eq!((info.pid, info.uid, info.status), (id, 0, 0x1234));
        check_eq!(timer::get(id)?, [0, 0]);
        check_eq!(signal::take(bit(SIGNAL), 20 * MS).err(), Some(Errno::EAGAIN));
    }
    Ok(())
}

fn overruns(_: Args) -> Outcome {
    signal::set_mask(bit(SIGALRM))?;
    let id = timer::create(CLOCK_MONOTONIC, None)?;
    let before = time::now_ns();
    timer::set(id, false, 5 * MS, 5 * MS)?;
    time::sleep_ns(60 * MS)?;
    check_eq!(timer::overruns(id)?, 0);
    let info = signal::take(bit(SIGALRM), 10 * SECOND)?;
    let passed = (time::now_ns() - before) / (5 * MS);
    check_eq!((info.code, info.pid, info.status), (SI_TIMER, id, id as i32));
    check!(info.uid >= 10 && u64::from(info.uid) < passed);
    check_eq!(timer::overruns(id)?, info.uid as usize);
    let [left, interval] = timer::set(id, false, 0, 0)?;
    check!((1..=5 * MS).contains(&left));
    check_eq!(interval, 5 * MS);
    // Whatever came meanwhile was of the timer as it was set before.
    check_eq!(signal::take(bit(SIGALRM), 20 * MS).err(), Some(Errno::EAGAIN));
    Ok(())
}

static COUNT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: u32, info: *const signal::Info, _: *mut signal::Context) {
    // SAFETY: the kernel hands a handler a siginfo.
    let info = unsafe { &*info };
    COUNT.fetch_add(u32::from(info.code == SI_TIMER), SeqCst);
}

fn interrupts(_: Args) -> Outcome {
    signal::handle(SIGNAL, count, 0, 0)?;
    let id = timer::create(CLOCK_MONOTONIC, Some(&Event::signal(SIGNAL, 0)))?;
    timer::set(id, false, MS, MS)?;
    let end = time::now_ns() + 20 * SECOND;
    while COUNT.load(SeqCst) < 10 && time::now_ns() < end {}
    check!(COUNT.load(SeqCst) >= 10);
    check_eq!(time::sleep_ns(20 * SECOND), Err(Errno::EINTR));
    timer::delete(id)?;
    Ok(())
}

fn absolute(_: Args) -> Outcome {
    signal::set_mask(bit(SIGNAL))?;
    let event = Event { kind: timer::THREAD, thread: thread::gettid(), ..Event::signal(SIGNAL, 5) };
    let id = timer::create(CLOCK_MONOTONIC, Some(&event))?;
    let at = time::now_ns() + 20 * MS;
    timer::set(id, true, at, 0)?;
    check_eq!(signal::take(bit(SIGNAL), 10 * SECOND)?.status, 5);
    check!(time::now_ns() >= at);
    timer::set(id, true, 1, 0)?; // long ago
    check_eq!(signal::take(bit(SIGNAL), 10 * SECOND)?.pid, id);
    Ok(())
}

fn silent(_: Args) -> Outcome {
    let event = Event { kind: timer::NONE, ..Event::signal(SIGNAL, 0) };
    let id = timer::create(CLOCK_MONOTONIC, Some(&event))?;
    timer::set(id, false, 10 * MS, 1000 * SECOND)?;
    time::sleep_ns(20 * MS)?;
    let [left, interval] = timer::get(id)?;
    check!(left > 900 * SECOND && left < 1000 * SECOND);
    check_eq!(interval, 1000 * SECOND);
    timer::set(id, false, MS, 0)?;
    time::sleep_ns(2 * MS)?;
    check_eq!(timer::get(id)?, [0, 0]);
    Ok(())
}

fn deleted(_: Args) -> Outcome {
    signal::set_mask(bit(SIGNAL))?;
    let ids = [timer::create(CLOCK_MONOTONIC, None)?, timer::create(CLOCK_MONOTONIC, None)?];
    check!(ids[0] != ids[1]);
    let id = timer::create(CLOCK_MONOTONIC, Some(&Event::signal(SIGNAL, 0)))?;
    timer::set(id, false, MS, MS)?;
    time::sleep_ns(10 * MS)?;
    check_eq!(signal::pending()?, bit(SIGNAL));
    timer::delete(id)?;
    check_eq!(signal::pending()?, 0);
    check_eq!(timer::delete(id), Err(Errno::EINVAL));
    check_eq!(timer::get(id), Err(Errno::EINVAL));
    check_eq!(timer::set(id, false, 1, 0), Err(Errno::EINVAL));
    check_eq!(timer::overruns(id), Err(Errno::EINVAL));
    Ok(())
}

fn inheritance(_: Args) -> Outcome {
    let id = timer::create(CLOCK_MONOTONIC, None)?;
    timer::set(id, false, 1000 * SECOND, 0)?;
    child_passes(|| {
        check_eq!(timer::get(id), Err(Errno::EINVAL));
        // Its end takes this one away: there is nobody whom the signal could end.
        let own = timer::create(CLOCK_MONOTONIC, None)?;
        timer::set(own, false, 5 * MS, MS)?;
        Ok(())
    })?;
    time::sleep_ns(20 * MS)?;
    check!(timer::get(id)?[0] > 900 * SECOND);
    Ok(())
}

fn execution(args: Args) -> Outcome {
    let me = args.get(0).unwrap_or("");
    let directory = me.rsplit_once('/').map_or("/bin", |(directory, _)| directory);
    let path: Text<256> = Text::format(format_args!("{directory}/sh\0"));
    let path = CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"");
    let (pipe, output) = (file::pipe(CLOSE_ON_EXEC)?, file::pipe(CLOSE_ON_EXEC)?);
    let child = process::spawn(|| {
        let ready = timer::create(CLOCK_MONOTONIC, None)
            .and_then(|id| timer::set(id, false, 200 * MS, 0))
            .and_then(|_| file::duplicate(pipe.read, 0))
            .and_then(|_| file::duplicate(output.write, 1))
            .and_then(|_| file::duplicate(output.write, 2));
        if ready.is_ok() {
            process::execve(path, &[path.as_ptr(), ptr::null()], &[ptr::null()]);
        }
        127
    })?;
    file::close(pipe.read)?;
    // The shell waits for a line meanwhile, and then there is none.
    time::sleep_ns(300 * MS)?;
    file::close(pipe.write)?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn refused(_: Args) -> Outcome {
    check_eq!(timer::create(99, None), Err(Errno::EINVAL));
    check_eq!(timer::create(CLOCK_MONOTONIC_RAW, None), Err(Errno::EOPNOTSUPP));
    for event in [
        Event::signal(0, 0),
        Event::signal(65, 0),
        Event { kind: 3, ..Event::signal(SIGNAL, 0) },
        // The first process's thread.
        Event { kind: timer::THREAD, thread: 1, ..Event::signal(SIGNAL, 0) },
    ] {
        check_eq!(timer::create(CLOCK_MONOTONIC, Some(&event)), Err(Errno::EINVAL));
    }
    let mut id = 0u32;
    check_eq!(timer::create_at(CLOCK_MONOTONIC, 8, &raw mut id as usize), Err(Errno::EFAULT));
    check_eq!(timer::create_at(CLOCK_MONOTONIC, 0, 8), Err(Errno::EFAULT));
    id = timer::create(CLOCK_MONOTONIC, None)?;
    for bad in [[0, SECOND as i64, 1, 0], [0, 0, 0, -1], [-1, 0, 0, 1], [0, 0, 0, SECOND as i64]] {
        check_eq!(timer::set_raw(id, false, bad), Err(Errno::EINVAL));
    }
    check_eq!(timer::set_raw(id, false, [7, 0, 0, 0])?, [0, 0]);
    check_eq!(timer::get(id)?, [0, 0]);
    let mut made = 1;
    let full = loop {
        match timer::create(CLOCK_MONOTONIC, None) {
            Ok(_) if made < 1_000_000 => made += 1,
            other => break other,
        }
    };
    check_eq!(full, Err(Errno::EAGAIN));
    Ok(())
}
