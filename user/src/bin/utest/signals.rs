//! Signal handlers: what they get, what they change, and what they interrupt.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use user::rt::start::Args;
use user::sys::process::{self, WNOHANG, signal::*};
use user::sys::signal::{
    self, Context, Info, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SIG_DFL, SIG_IGN, bit,
};
use user::sys::{Errno, file, memory, thread, time};

use crate::harness::{Outcome, Test, in_child, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a handler runs and everything is as before", handler),
    ("a handler finds the mask of its action", masks),
    ("a handler that is to run once", once),
    ("a handler repairs a fault", fault),
    ("a handler changes where to go on", redirect),
    ("a handler on the alternate stack", alternate_stack),
    ("a stack overflow without an alternate stack kills", overflow),
    ("a blocked fault kills", blocked_fault),
    ("blocked signals wait", blocked),
    ("real-time signals queue in order", queued),
    ("a handler ends a read, or does not", interrupted_read),
    ("a handler ends a sleep", interrupted_sleep),
    ("sigsuspend lets a signal through", suspended),
    ("sigtimedwait takes a signal, or its time", taken),
    ("SIGCHLD tells of a child", child_signal),
    ("ignored SIGCHLD: no zombies", no_zombies),
    ("an alarm, and another", alarms),
    ("an alarm that is always due lets others run", endless_alarm),
    ("a stop and its end are seen by the parent", stops),
    ("a sleep goes on after a stop", stopped_sleep),
    ("rt_sigreturn does not believe in anything", forged_frame),
    ("signals to a process group", groups),
    ("what setpgid and setsid refuse", group_errors),
];

const MILLISECOND: u64 = 1_000_000;

static COUNT: AtomicU32 = AtomicU32::new(0);
static SEEN: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

extern "C" fn count(_: u32, info: *const Info, _: *mut Context) {
    // SAFETY: the kernel's siginfo on this stack.
    let info = unsafe { &*info };
    COUNT.fetch_add(1, SeqCst);
    for (to, value) in SEEN.iter().zip([info.signal, info.code as u32, info.pid, info.status as u32]) {
        to.store(value.into(), SeqCst);
    }
    // Registers that the interrupted code may have in use.
    // SAFETY: all that is written is declared.
    unsafe {
        core::arch::asm!("movi v0.16b, #0", "movi v31.16b, #0", "mov x9, #0", out("v0") _, out("v31") _, out("x9") _)
    };
}

fn seen() -> [u64; 4] {
    core::array::from_fn(|index| SEEN[index].load(SeqCst))
}

fn counted() -> u32 {
    COUNT.load(SeqCst)
}

fn endless_alarm(_: Args) -> Outcome {
    signal::handle(SIGALRM, count, 0, 0)?;
    signal::set_alarm(1, 1)?;
    // Takes a while, and would take for ever if there were always an alarm to be dealt with first.
    let child = process::spawn(|| {
        let sum = (0..200_000u64).fold(0, |sum, number| core::hint::black_box(sum + number));
        i32::from(sum == 0)
    })?;
    let status = loop {
        match process::wait(child) {
            Err(Errno::EINTR) => {}
            ended => break ended?,
        }
    };
    signal::set_alarm(0, 0)?;
    check_eq!(status.exited(), Some(0));
    check!(counted() > 1);
    Ok(())
}

fn raise(signal: u32) -> user::sys::Result<()> {
    process::kill(process::getpid(), signal)
}

fn handler(_: Args) -> Outcome {
    signal::handle(SIGUSR1, count, 0, 0)?;
    let (me, mut low, mut high, mut x): (_, u64, u64, u64) = (process::getpid(), 0, 0, 0);
    // SAFETY: a system call that changes nothing but x0, with values in registers around it.
    unsafe {
        core::arch::asm!(
            "mov {x}, #0x55",
            "fmov d31, {x}",
            "fmov d0, {x}",
            "svc #0",
            "fmov {low}, d0",
            "fmov {high}, d31",
            x = out(reg) x, low = out(reg) low, high = out(reg) high,
            in("x8") linux_raw_sys::general::__NR_kill,
            inlateout("x0") me as usize => _, in("x1") SIGUSR1 as usize,
            out("v0") _, out("v31") _,
        );
    }
    check_eq!([x, low, high], [0x55; 3]);
    check_eq!(counted(), 1);
    check_eq!(seen(), [u64::from(SIGUSR1), 0, me as u64, 0]);
    signal::kill_thread(me, me, SIGUSR1)?;
    check_eq!(seen()[1] as i32, -6);
    check_eq!(signal::action(SIGUSR1, SIG_DFL, 0, 0)?, count as *const () as usize);
    check_eq!(signal::action(SIGKILL, SIG_IGN, 0, 0), Err(Errno::EINVAL));
    check_eq!(signal::action(65, SIG_IGN, 0, 0), Err(Errno::EINVAL));
    Ok(())
}

extern "C" fn note_mask(_: u32, _: *const Info, _: *mut Context) {
    let now = signal::set_mask(0).unwrap_or(0);
    let _ = signal::set_mask(now);
    SEEN[0].store(now, SeqCst);
}

fn masks(_: Args) -> Outcome {
    signal::handle(SIGUSR1, note_mask, 0, bit(SIGUSR2) | bit(SIGKILL))?;
    raise(SIGUSR1)?;
    check_eq!(seen()[0], bit(SIGUSR1) | bit(SIGUSR2));
    signal::handle(SIGUSR1, note_mask, SA_NODEFER, 0)?;
    signal::set_mask(bit(SIGTERM))?;
    raise(SIGUSR1)?;
    check_eq!(seen()[0], bit(SIGTERM));
    check_eq!(signal::set_mask(0)?, bit(SIGTERM));
    Ok(())
}

fn once(_: Args) -> Outcome {
    signal::handle(SIGUSR1, count, SA_RESETHAND, 0)?;
    raise(SIGUSR1)?;
    check_eq!(counted(), 1);
    killed_by(SIGUSR1, || raise(SIGUSR1))
}

extern "C" fn repair(_: u32, info: *const Info, context: *mut Context) {
    // SAFETY: the kernel's, on this stack.
    let (info, context) = unsafe { (&*info, &*context) };
    SEEN[0].store(info.addr() as u64, SeqCst);
    SEEN[1].store(info.code as u64, SeqCst);
    SEEN[2].store(context.fault_address, SeqCst);
    COUNT.fetch_add(1, SeqCst);
    let page = info.addr() & !(memory::page_size() - 1);
    // SAFETY: the test's own page.
    let _ = unsafe { memory::protect(page, memory::page_size(), memory::READ_WRITE) };
}

fn fault(_: Args) -> Outcome {
    signal::handle(SIGSEGV, repair, 0, 0)?;
    let page = memory::map(memory::page_size(), memory::READ, memory::PRIVATE)?;
    // SAFETY: the fresh mapping; the write faults, and is repeated when it may be written.
    unsafe { ((page + 8) as *mut u64).write_volatile(7) };
    check_eq!(counted(), 1);
    check_eq!([seen()[0], seen()[1]], [page as u64 + 8, 2]);
    // SAFETY: the fresh mapping.
    check_eq!(unsafe { ((page + 8) as *const u64).read_volatile() }, 7);
    Ok(())
}

extern "C" fn skip(_: u32, info: *const Info, context: *mut Context) {
    // SAFETY: the kernel's, on this stack, and the context is to be written.
    unsafe {
        SEEN[0].store((*info).code as u64, SeqCst);
        (*context).pc += 4;
        (*context).x[9] = 0x77;
    }
}

fn redirect(_: Args) -> Outcome {
    signal::handle(SIGSEGV, skip, 0, 0)?;
    let value: u64;
    // SAFETY: a load from an address where nothing is: the handler skips it and sets its target.
    unsafe {
        core::arch::asm!("mov x9, #16", "ldr x9, [x9]", "mov {v}, x9", v = out(reg) value, out("x9") _)
    };
    check_eq!(value, 0x77);
    check_eq!(seen()[0], 1);
    Ok(())
}

static STACK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_stack(_: u32, _: *const Info, _: *mut Context) {
    let local = 0u8;
    SEEN[0].store(&raw const local as u64, SeqCst);
    let now = signal::set_alt_stack(None).map_or(0, |stack| stack[1]);
    SEEN[1].store(now as u64, SeqCst);
    let denied = signal::set_alt_stack(Some([STACK.load(SeqCst), 0, 16 << 10]));
    SEEN[2].store(u64::from(denied == Err(Errno::EPERM)), SeqCst);
}

fn alternate_stack(_: Args) -> Outcome {
    const BYTES: usize = 64 << 10;
    let stack = memory::map(BYTES, memory::READ_WRITE, memory::PRIVATE)?;
    STACK.store(stack, SeqCst);
    check_eq!(signal::set_alt_stack(Some([stack, 0, 100])), Err(Errno::ENOMEM));
    check_eq!(signal::set_alt_stack(Some([stack, 0, BYTES]))?[1], 2);
    signal::handle(SIGUSR1, note_stack, SA_ONSTACK, 0)?;
    raise(SIGUSR1)?;
    check!((stack..stack + BYTES).contains(&(seen()[0] as usize)));
    check_eq!([seen()[1], seen()[2]], [1, 1]);
    check_eq!(signal::set_alt_stack(None)?, [stack, 0, BYTES]);
    signal::handle(SIGUSR1, note_stack, 0, 0)?;
    raise(SIGUSR1)?;
    check!(!(stack..stack + BYTES).contains(&(seen()[0] as usize)));
    Ok(())
}

#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    let mut room = [n; 64];
    core::hint::black_box(&mut room);
    deeper(n + 1) + room[n as usize % 64]
}

fn overflow(_: Args) -> Outcome {
    signal::handle(SIGSEGV, count, 0, 0)?;
    killed_by(SIGSEGV, || deeper(0))?;
    extern "C" fn leave(_: u32, _: *const Info, _: *mut Context) {
        process::exit(33)
    }
    let stack = memory::map(64 << 10, memory::READ_WRITE, memory::PRIVATE)?;
    signal::set_alt_stack(Some([stack, 0, 64 << 10]))?;
    signal::handle(SIGSEGV, leave, SA_ONSTACK, 0)?;
    check_eq!(in_child(|| deeper(0) as i32)?.exited(), Some(33));
    Ok(())
}

fn blocked_fault(_: Args) -> Outcome {
    signal::handle(SIGSEGV, count, 0, 0)?;
    signal::set_mask(bit(SIGSEGV))?;
    // SAFETY: it faults.
    killed_by(SIGSEGV, || unsafe { (16 as *const u64).read_volatile() })?;
    signal::set_mask(0)?;
    signal::action(SIGSEGV, SIG_IGN, 0, 0)?;
    // SAFETY: as above.
    killed_by(SIGSEGV, || unsafe { (16 as *const u64).read_volatile() })
}

fn blocked(_: Args) -> Outcome {
    signal::handle(SIGUSR1, count, 0, 0)?;
    signal::set_mask(bit(SIGUSR1))?;
    raise(SIGUSR1)?;
    raise(SIGUSR1)?;
    check_eq!([counted(), (signal::pending()? == bit(SIGUSR1)) as u32], [0, 1]);
    check_eq!(in_child(|| signal::pending().map_or(9, |set| set as i32))?.exited(), Some(0));
    signal::set_mask(0)?;
    check_eq!(counted(), 1);
    signal::set_mask(bit(SIGUSR1))?;
    raise(SIGUSR1)?;
    signal::action(SIGUSR1, SIG_IGN, 0, 0)?;
    check_eq!(signal::pending()?, 0);
    Ok(())
}

fn queued(_: Args) -> Outcome {
    let me = process::getpid();
    signal::set_mask(bit(40) | bit(35))?;
    for (number, value) in [(40, 1), (35, 2), (40, 3), (35, 4)] {
        signal::queue(me, number, value)?;
    }
    for expected in [(35, 2), (35, 4), (40, 1), (40, 3)] {
        let info = signal::take(bit(40) | bit(35), 0)?;
        check_eq!((info.signal, info.status), expected);
        check_eq!((info.code, info.pid), (-1, me as u32));
    }
    check_eq!(signal::pending()?, 0);
    Ok(())
}

/// A child that sends `signal` to this process after some time, and then does `more`.
fn later(signal: u32, more: impl FnOnce()) -> user::sys::Result<process::Pid> {
    let parent = process::getpid();
    process::spawn(|| {
        let _ = time::sleep_ns(5 * MILLISECOND);
        let sent = process::kill(parent, signal);
        let _ = time::sleep_ns(5 * MILLISECOND);
        more();
        i32::from(sent.is_err())
    })
}

fn interrupted_read(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    signal::handle(SIGUSR1, count, 0, 0)?;
    let child = later(SIGUSR1, || ())?;
    check_eq!(file::read(pipe.read, &mut [0]), Err(Errno::EINTR));
    process::wait(child)?;
    signal::handle(SIGUSR1, count, SA_RESTART, 0)?;
    let child = later(SIGUSR1, || _ = file::write(pipe.write, b"x"))?;
    let mut byte = [0];
    check_eq!(file::read(pipe.read, &mut byte), Ok(1));
    check_eq!([byte[0] as u32, counted()], [b'x' as u32, 2]);
    process::wait(child)?;
    Ok(())
}

fn interrupted_sleep(_: Args) -> Outcome {
    signal::handle(SIGUSR1, count, SA_RESTART, 0)?;
    let child = later(SIGUSR1, || ())?;
    check_eq!(time::sleep_ns(10_000 * MILLISECOND), Err(Errno::EINTR));
    check_eq!(counted(), 1);
    process::wait(child)?;
    Ok(())
}

fn suspended(_: Args) -> Outcome {
    signal::handle(SIGUSR1, count, 0, 0)?;
    signal::set_mask(bit(SIGUSR1) | bit(SIGUSR2))?;
    raise(SIGUSR1)?;
    check_eq!(signal::suspend(bit(SIGUSR2)), Err(Errno::EINTR));
    check_eq!(counted(), 1);
    check_eq!(signal::set_mask(0)?, bit(SIGUSR1) | bit(SIGUSR2));
    let child = later(SIGUSR1, || ())?;
    check_eq!(signal::suspend(0), Err(Errno::EINTR));
    check_eq!(counted(), 2);
    process::wait(child)?;
    Ok(())
}

fn taken(_: Args) -> Outcome {
    signal::set_mask(bit(SIGUSR1))?;
    check_eq!(signal::take(bit(SIGUSR1), 2 * MILLISECOND).err(), Some(Errno::EAGAIN));
    let child = later(SIGUSR1, || ())?;
    let info = signal::take(bit(SIGUSR1), 10_000 * MILLISECOND)?;
    check_eq!((info.signal, info.pid), (SIGUSR1, child as u32));
    process::wait(child)?;
    Ok(())
}

fn child_signal(_: Args) -> Outcome {
    signal::handle(SIGCHLD, count, SA_RESTART, 0)?;
    let child = process::spawn(|| 5)?;
    check_eq!(process::wait(child)?.exited(), Some(5));
    check_eq!(counted(), 1);
    check_eq!(seen(), [u64::from(SIGCHLD), 1, child as u64, 5]);
    let child = process::spawn(|| {
        let _ = raise(SIGKILL);
        0
    })?;
    process::wait(child)?;
    check_eq!(seen(), [u64::from(SIGCHLD), 2, child as u64, u64::from(SIGKILL)]);
    Ok(())
}

fn no_zombies(_: Args) -> Outcome {
    signal::action(SIGCHLD, SIG_IGN, 0, 0)?;
    let child = process::spawn(|| 5)?;
    check_eq!(process::wait(child), Err(Errno::ECHILD));
    check_eq!(process::kill(child, 0), Err(Errno::ESRCH));
    Ok(())
}

fn alarms(_: Args) -> Outcome {
    signal::handle(SIGALRM, count, 0, 0)?;
    let start = time::now_ns();
    // Long enough that the sleep has begun, however slow the machine is just now.
    signal::set_alarm(400_000, 0)?;
    check_eq!(time::sleep_ns(10_000 * MILLISECOND), Err(Errno::EINTR));
    check!(time::now_ns() - start >= 400 * MILLISECOND);
    check_eq!(counted(), 1);
    signal::set_alarm(1000, 1000)?;
    while counted() < 4 {
        core::hint::spin_loop();
    }
    signal::set_alarm(0, 0)?;
    let now = counted();
    time::sleep_ns(5 * MILLISECOND)?;
    check_eq!(counted(), now);
    signal::action(SIGALRM, SIG_DFL, 0, 0)?;
    killed_by(SIGALRM, || {
        let _ = signal::set_alarm(1000, 0);
        time::sleep_ns(10_000 * MILLISECOND)
    })
}

fn stops(_: Args) -> Outcome {
    use process::{WCONTINUED, WUNTRACED};
    let child = process::spawn(|| {
        loop {
            core::hint::spin_loop();
        }
    })?;
    let wait = |options| process::wait_for(child, options).map(|found| found.map(|(_, status)| status));
    for stop in [SIGSTOP, SIGTSTP] {
        process::kill(child, stop)?;
        let Some(status) = wait(WUNTRACED)? else { return Err(crate::harness::Trouble::Failed) };
        check_eq!(status.stopped(), Some(stop));
        check_eq!(wait(WUNTRACED | WNOHANG)?, None);
        process::kill(child, SIGCONT)?;
        check_eq!(wait(WCONTINUED)?.map(|status| status.0), Some(process::CONTINUED));
        check_eq!(wait(WCONTINUED | WUNTRACED | WNOHANG)?, None);
        // SIGTSTP stops only groups that somebody in the session could let go on.
        process::set_group(child, child)?;
    }
    process::kill(child, SIGSTOP)?;
    wait(WUNTRACED)?;
    process::kill(child, SIGTERM)?;
    check_eq!(wait(WNOHANG)?, None);
    process::kill(child, SIGKILL)?;
    check_eq!(process::wait(child)?.signalled(), Some(SIGKILL));
    Ok(())
}

fn stopped_sleep(_: Args) -> Outcome {
    let child = process::spawn(|| {
        let start = time::now_ns();
        let slept = time::sleep_ns(20 * MILLISECOND);
        i32::from(slept.is_err() || time::now_ns() - start < 20 * MILLISECOND)
    })?;
    time::sleep_ns(2 * MILLISECOND)?;
    process::kill(child, SIGSTOP)?;
    process::wait_for(child, process::WUNTRACED)?;
    process::kill(child, SIGCONT)?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

extern "C" fn forge(_: u32, _: *const Info, context: *mut Context) {
    // SAFETY: the kernel's context on this stack, to be written.
    unsafe { (*context).pstate = SEEN[3].load(SeqCst) };
}

fn forged_frame(_: Args) -> Outcome {
    signal::handle(SIGUSR1, forge, 0, 0)?;
    SEEN[3].store(0x8000_0000, SeqCst);
    raise(SIGUSR1)?;
    for pstate in [5, 0x3c0, 0x10] {
        SEEN[3].store(pstate, SeqCst);
        killed_by(SIGSEGV, || raise(SIGUSR1))?;
    }
    // No frame at all: whatever the stack holds.
    // SAFETY: the child does not come back from it.
    killed_by(SIGSEGV, || unsafe { user::sys::raw(linux_raw_sys::general::__NR_rt_sigreturn, []) })
}

fn groups(_: Args) -> Outcome {
    let mut children = [0; 3];
    for child in &mut children {
        *child = process::spawn(|| {
            let _ = time::sleep_ns(60_000 * MILLISECOND);
            0
        })?;
    }
    let leader = children[0];
    process::set_group(leader, 0)?;
    process::set_group(children[1], leader)?;
    check_eq!(process::group_of(children[1])?, leader);
    process::kill(-leader, SIGTERM)?;
    check_eq!(process::wait_for(-leader, 0)?.map(|(_, status)| status.signalled()), Some(Some(SIGTERM)));
    check_eq!(process::wait_for(-leader, 0)?.map(|(_, status)| status.signalled()), Some(Some(SIGTERM)));
    check_eq!(process::wait_for(-leader, 0), Err(Errno::ECHILD));
    check_eq!(process::kill(-leader, 0), Err(Errno::ESRCH));
    check_eq!(process::wait_for(0, WNOHANG)?, None);
    process::kill(children[2], SIGKILL)?;
    process::wait(children[2])?;
    Ok(())
}

fn group_errors(_: Args) -> Outcome {
    check_eq!(process::set_group(0, -1), Err(Errno::EINVAL));
    check_eq!(process::set_group(process::getppid(), 0), Err(Errno::ESRCH));
    check_eq!(process::set_group(0, 0x3fff_fffe), Err(Errno::EPERM));
    let status = in_child(|| {
        let me = process::getpid();
        let made = process::new_session() == Ok(me) && process::session_of(0) == Ok(me);
        let again = process::new_session() == Err(Errno::EPERM);
        let moved = process::set_group(0, 0) == Err(Errno::EPERM);
        i32::from(!(made && again && moved && process::group_of(0) == Ok(me) && thread::gettid() == me))
    })?;
    check_eq!(status.exited(), Some(0));
    Ok(())
}
