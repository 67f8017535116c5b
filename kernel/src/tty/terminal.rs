//! The one terminal there is.
//!
//! The UART interrupts when something is typed; on a board where it cannot, whoever waits for input looks from time to time.
//!
//! # Locks
//! `TTY` is held for moments, with nothing inside it but the console's lock. Signals are sent without it.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use linux_raw_sys::general as linux;
use spin::Mutex;

use super::discipline::Discipline;
use super::job;
use super::termios::Termios;
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};
use crate::proc::signal::{SIGTTIN, SIGTTOU, SIGWINCH};
use crate::proc::{Pid, WaitQueue, kill};
use crate::{console, devicetree, drivers};

/// How often the UART is looked at by those who wait, if it does not interrupt (nanoseconds).
const POLL_NS: u64 = 1_000_000;
/// A tenth of a second, in which VTIME counts (nanoseconds).
const TENTH_NS: u64 = 100_000_000;
/// No interrupt has this number.
const NONE: u32 = u32::MAX;

/// The terminal's state; see the module's text.
pub(super) struct Terminal {
    pub discipline: Discipline,
    /// The session whose terminal it is; [`Pid::NONE`]: nobody's.
    pub session: Pid,
    /// The process group that has the terminal.
    pub foreground: Pid,
    /// Rows, columns, and both in pixels.
    size: [u16; 4],
}

pub(super) static TTY: Mutex<Terminal> = Mutex::new(Terminal {
    discipline: Discipline::new(),
    session: Pid::NONE,
    foreground: Pid::NONE,
    size: [24, 80, 0, 0],
});

/// Those who wait for input.
static READERS: WaitQueue = WaitQueue::new();
static INTERRUPT: AtomicU32 = AtomicU32::new(NONE);

/// Has the UART interrupt when something is typed.
pub(crate) fn listen(interrupt: Option<devicetree::Interrupt>) {
    let Some(interrupt) = interrupt else { return };
    match drivers::gic::enable(interrupt) {
        Ok(()) => {
            console::listen();
            INTERRUPT.store(interrupt.id, Relaxed);
            receive();
        }
        Err(error) => log::warn!("console interrupt {}: {error:?}", interrupt.id),
    }
}

/// Whether interrupt `id` is the UART's.
pub(crate) fn is_interrupt(id: u32) -> bool {
    id == INTERRUPT.load(Relaxed)
}

/// Takes over what was typed.
pub(crate) fn receive() {
    while let Some(byte) = console::read_byte() {
        type_in(byte);
    }
}

/// A byte from the keyboard.
pub(crate) fn type_in(byte: u8) {
    let (signal, foreground) = {
        let mut tty = TTY.lock();
        (tty.discipline.typed(byte, console::write), tty.foreground)
    };
    if let Some(signal) = signal {
        kill::signal_group(foreground, signal);
    }
    READERS.wake_all();
}

/// Looks for input where no interrupt tells of it. Whether none does.
fn poll() -> bool {
    let polled = INTERRUPT.load(Relaxed) == NONE;
    if polled {
        receive();
    }
    polled
}

/// Reads as the settings say: a line, or what there is.
///
/// # Errors
/// `EAGAIN`: nothing is there and `nonblocking`. `EINTR`: there is a signal to deal with. `EIO`: in the background, where
/// nobody can be stopped.
pub(crate) fn read(to: &mut [u8], nonblocking: bool) -> Result<usize> {
    if to.is_empty() {
        return Ok(0);
    }
    job::check_background(SIGTTIN)?;
    let (canonical, least, time) = {
        let tty = TTY.lock();
        let termios = tty.discipline.termios();
        let least = usize::from(termios.key(linux::VMIN)).min(to.len());
        (termios.local(linux::ICANON), least, u64::from(termios.key(linux::VTIME)) * TENTH_NS)
    };
    let mut wait = |least: usize, deadline: u64| {
        wait_until(deadline, || {
            let mut tty = TTY.lock();
            if !canonical && tty.discipline.available() < least.max(1) {
                return nonblocking.then_some(Err(Errno::EAGAIN));
            }
            tty.discipline.read(to).map(Ok).or_else(|| nonblocking.then_some(Err(Errno::EAGAIN)))
        })
    };
    if canonical || least > 0 && time == 0 {
        return wait(least, u64::MAX)?.unwrap_or(Ok(0));
    }
    let now = now_ns();
    if least == 0 {
        return match wait(1, now + time) {
            // Without a time to wait for that is no error.
            Ok(Some(Err(Errno::EAGAIN))) if time == 0 => Ok(0),
            other => other?.unwrap_or(Ok(0)),
        };
    }
    // The time runs from the first byte on.
    wait_until(u64::MAX, || {
        let there = TTY.lock().discipline.available() > 0;
        if nonblocking && !there { Some(Err(Errno::EAGAIN)) } else { there.then_some(Ok(())) }
    })?
    .unwrap_or(Ok(()))?;
    let outcome = wait(least, now_ns() + time)?;
    outcome.unwrap_or_else(|| Ok(TTY.lock().discipline.read(to).unwrap_or(0)))
}

/// Waits for input until `ready` has something, or until `deadline` (nanoseconds since boot): none then.
fn wait_until<T>(deadline: u64, mut ready: impl FnMut() -> Option<T>) -> Result<Option<T>> {
    loop {
        if !poll() {
            return READERS.wait_with_deadline(deadline, ready);
        }
        let look = deadline.min(now_ns() + POLL_NS);
        if let Some(value) = READERS.wait_with_deadline(look, &mut ready)? {
            return Ok(Some(value));
        }
        if now_ns() >= deadline {
            return Ok(None);
        }
    }
}

/// Shows `bytes`.
///
/// # Errors
/// From the background, if the settings forbid that: as [`read`].
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let (stops, returns) = {
        let tty = TTY.lock();
        (tty.discipline.termios().local(linux::TOSTOP), tty.discipline.termios().returns())
    };
    if stops {
        job::check_background(SIGTTOU)?;
    }
    if !returns {
        console::write(bytes);
        return Ok(());
    }
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                console::write(text);
                console::write(b"\r\n");
            }
            None => console::write(line),
        }
    }
    Ok(())
}

/// What poll finds.
pub(crate) fn readiness() -> u32 {
    poll();
    let there = if TTY.lock().discipline.is_readable() { linux::POLLIN | linux::POLLRDNORM } else { 0 };
    there | linux::POLLOUT | linux::POLLWRNORM
}

/// How many bytes a read would have.
pub(crate) fn available() -> usize {
    poll();
    TTY.lock().discipline.available()
}

/// The settings.
pub(crate) fn termios() -> Termios {
    *TTY.lock().discipline.termios()
}

/// Changes the settings; what was typed is forgotten first if `flush`.
///
/// # Errors
/// From the background: as [`read`].
pub(crate) fn set_termios(termios: Termios, flush: bool) -> Result<()> {
    job::check_background(SIGTTOU)?;
    {
        let mut tty = TTY.lock();
        if flush {
            tty.discipline.flush();
        }
        tty.discipline.set_termios(termios);
    }
    READERS.wake_all();
    Ok(())
}

/// Forgets what was typed.
///
/// # Errors
/// From the background: as [`read`].
pub(crate) fn flush() -> Result<()> {
    job::check_background(SIGTTOU)?;
    TTY.lock().discipline.flush();
    Ok(())
}

/// Rows, columns, and both in pixels.
pub(crate) fn size() -> [u16; 4] {
    TTY.lock().size
}

/// Takes note of the size; the foreground hears of a change.
pub(crate) fn set_size(size: [u16; 4]) {
    let (old, foreground) = {
        let mut tty = TTY.lock();
        (core::mem::replace(&mut tty.size, size), tty.foreground)
    };
    if old != size {
        kill::signal_group(foreground, SIGWINCH);
    }
}
