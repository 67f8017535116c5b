//! The terminal's line discipline: what becomes of the bytes that are typed, as termios(3) has it. A state machine: it
//! takes a byte, says what the terminal shows, and which signal the byte stands for, if any.
//!
//! ```text
//!   typed ──> keys: signals, erase ... ──> ring ──> read: in canonical mode by lines, otherwise as they come
//!                        │
//!                        └──> echo
//! ```
//! Bytes that nobody reads stay here; when the ring is full they are dropped, but for the end of the line, as in Linux.

use linux_raw_sys::general as linux;

use super::termios::Termios;
use crate::proc::signal::{SIGINT, SIGQUIT, SIGTSTP};

/// The most bytes of input that wait to be read.
const RING_BYTES: usize = 4096;

/// The settings, and input that was typed and not read yet.
pub struct Discipline {
    termios: Termios,
    bytes: [u8; RING_BYTES],
    /// By place in `bytes`: a line ends with this byte. Bit per byte.
    ends: [u64; RING_BYTES / 64],
    /// The place of the oldest byte.
    start: usize,
    /// Bytes that wait.
    len: usize,
    /// How many of them are complete lines.
    ready: usize,
    /// The next byte stands for itself (Control-V).
    literal: bool,
}

impl Default for Discipline {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline {
    /// No input, and the usual settings.
    pub const fn new() -> Self {
        Discipline {
            termios: Termios::new(),
            bytes: [0; RING_BYTES],
            ends: [0; RING_BYTES / 64],
            start: 0,
            len: 0,
            ready: 0,
            literal: false,
        }
    }

    /// The settings.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. What waits when canonical mode begins or ends counts as a line.
    pub fn set_termios(&mut self, termios: Termios) {
        let switches = (self.termios.local ^ termios.local) & linux::ICANON != 0;
        self.termios = termios;
        if switches {
            self.ends = [0; RING_BYTES / 64];
            self.literal = false;
            if termios.local(linux::ICANON) && self.len > 0 {
                self.mark(self.len - 1, true);
            }
            self.ready = self.len;
        }
    }

    /// Forgets what was typed.
    pub fn flush(&mut self) {
        (self.len, self.ready, self.literal) = (0, 0, false);
        self.ends = [0; RING_BYTES / 64];
    }

    /// How many bytes a read could have now.
    pub fn available(&self) -> usize {
        if self.termios.local(linux::ICANON) { self.ready } else { self.len }
    }

    /// Whether a read would not wait for more input: a line, or as many bytes as are asked for at least.
    pub fn is_readable(&self) -> bool {
        match self.termios.local(linux::ICANON) {
            true => self.ready > 0,
            false => self.len >= usize::from(self.termios.key(linux::VMIN)).max(1),
        }
    }

    /// Takes a byte from the keyboard, and hands what the terminal is to show to `echo`. Returns the signal that the
    /// foreground is to get.
    pub fn typed(&mut self, byte: u8, mut echo: impl FnMut(&[u8])) -> Option<u32> {
        if core::mem::take(&mut self.literal) {
            self.take(byte, &mut echo);
            return None;
        }
        let byte = match byte {
            b'\r' if self.termios.input(linux::IGNCR) => return None,
            b'\r' if self.termios.input(linux::ICRNL) => b'\n',
            b'\n' if self.termios.input(linux::INLCR) => b'\r',
            byte => byte,
        };
        if self.termios.local(linux::ISIG) {
            let keys = [(linux::VINTR, SIGINT), (linux::VQUIT, SIGQUIT), (linux::VSUSP, SIGTSTP)];
            if let Some((_, signal)) = keys.into_iter().find(|(key, _)| self.termios.is_key(*key, byte)) {
                if !self.termios.local(linux::NOFLSH) {
                    self.flush();
                }
                self.show(byte, &mut echo);
                return Some(signal);
            }
        }
        match self.termios.local(linux::ICANON) {
            true => self.edit(byte, &mut echo),
            false => self.take(byte, &mut echo),
        }
        None
    }

    /// Canonical mode.
    fn edit(&mut self, byte: u8, echo: &mut dyn FnMut(&[u8])) {
        let is = |key| self.termios.is_key(key, byte);
        let extended = self.termios.local(linux::IEXTEN);
        if is(linux::VERASE) || byte == 8 && self.termios.key(linux::VERASE) == 0x7f {
            self.erase(1, echo);
        } else if is(linux::VKILL) {
            self.erase(usize::MAX, echo);
        } else if extended && is(linux::VWERASE) {
            self.erase(self.last_word(), echo);
        } else if extended && is(linux::VREPRINT) {
            self.reprint(byte, echo);
        } else if extended && is(linux::VLNEXT) {
            self.literal = true;
        } else if is(linux::VEOF) {
            self.end_line(byte);
        } else if byte == b'\n' || is(linux::VEOL) || extended && is(linux::VEOL2) {
            if self.termios.local(linux::ECHO | linux::ECHONL) {
                echo(if self.termios.returns() { b"\r\n" } else { b"\n" });
            }
            self.end_line(byte);
        } else {
            self.take(byte, echo);
        }
    }

    /// A byte that stands for itself. The last place is kept for the end of a line.
    fn take(&mut self, byte: u8, echo: &mut dyn FnMut(&[u8])) {
        let room = if self.termios.local(linux::ICANON) { RING_BYTES - 1 } else { RING_BYTES };
        if self.len < room {
            self.push(byte, false);
            self.show(byte, echo);
        }
    }

    fn push(&mut self, byte: u8, ends: bool) {
        self.bytes[(self.start + self.len) % RING_BYTES] = byte;
        self.mark(self.len, ends);
        self.len += 1;
    }

    /// Ends the line. If there is no room for that, because nobody reads, the line is lost.
    fn end_line(&mut self, mark: u8) {
        if self.len < RING_BYTES {
            self.push(mark, true);
            self.ready = self.len;
        } else {
            self.len = self.ready;
        }
    }

    /// Takes the last `count` bytes of the line away.
    fn erase(&mut self, count: usize, echo: &mut dyn FnMut(&[u8])) {
        for _ in 0..count.min(self.len - self.ready) {
            self.len -= 1;
            let byte = self.byte(self.len);
            // What belongs to a character of more bytes goes with it (UTF-8: 10xxxxxx).
            let continues = byte & 0xc0 == 0x80;
            if self.termios.local(linux::ECHO) && !continues {
                let columns = if self.is_shown_as_control(byte) { 2 } else { 1 };
                (0..columns).for_each(|_| echo(b"\x08 \x08"));
            }
            if continues && count == 1 {
                return self.erase(1, echo);
            }
        }
    }

    /// How many bytes the last word of the line has, with the blanks behind it.
    fn last_word(&self) -> usize {
        let line = || (self.ready..self.len).rev().map(|at| self.byte(at));
        let blanks = line().take_while(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').count();
        blanks + line().skip(blanks).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
    }

    fn reprint(&mut self, key: u8, echo: &mut dyn FnMut(&[u8])) {
        self.show(key, echo);
        echo(b"\n");
        for at in self.ready..self.len {
            self.show(self.byte(at), echo);
        }
    }

    /// Shows a typed byte, if that is wanted; control characters as ^X.
    fn show(&self, byte: u8, echo: &mut dyn FnMut(&[u8])) {
        if !self.termios.local(linux::ECHO) {
            return;
        }
        match byte {
            b'\n' if self.termios.returns() => echo(b"\r\n"),
            byte if self.is_shown_as_control(byte) => echo(&[b'^', byte ^ 0x40]),
            byte => echo(&[byte]),
        }
    }

    fn is_shown_as_control(&self, byte: u8) -> bool {
        self.termios.local(linux::ECHOCTL) && byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t')
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes[(self.start + at) % RING_BYTES]
    }

    fn mark(&mut self, at: usize, ends: bool) {
        let place = (self.start + at) % RING_BYTES;
        let bit = 1 << (place % 64);
        match ends {
            true => self.ends[place / 64] |= bit,
            false => self.ends[place / 64] &= !bit,
        }
    }

    fn ends_line(&self, at: usize) -> bool {
        let place = (self.start + at) % RING_BYTES;
        self.ends[place / 64] & 1 << (place % 64) != 0
    }

    /// Takes input. In canonical mode that is up to the end of a line or until `to` is full: `None` while no line is
    /// complete, 0 bytes for the end of the input. Otherwise it is what there is, `None` if that is nothing.
    pub fn read(&mut self, to: &mut [u8]) -> Option<usize> {
        let canonical = self.termios.local(linux::ICANON);
        if self.available() == 0 {
            return None;
        }
        let (mut copied, mut taken, mut end) = (0, 0, false);
        while copied < to.len() && taken < self.available() && !end {
            let byte = self.byte(taken);
            end = canonical && self.ends_line(taken);
            taken += 1;
            // A newline is part of the line; a Control-D only ends it.
            if !(end && self.termios.is_key(linux::VEOF, byte)) {
                to[copied] = byte;
                copied += 1;
            }
        }
        // A Control-D right behind what fits would be the end of the input to the next read.
        if canonical && !end && taken < self.ready && self.ends_line(taken) {
            taken += usize::from(self.termios.is_key(linux::VEOF, self.byte(taken)));
        }
        self.start = (self.start + taken) % RING_BYTES;
        self.len -= taken;
        self.ready = self.ready.saturating_sub(taken);
        Some(copied)
    }
}

#[cfg(test)]
#[path = "discipline_tests.rs"]
mod tests;
