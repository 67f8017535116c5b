//! The console's line discipline, reduced to what a keyboard needs: bytes become lines, with erase, kill and
//! end-of-file keys and an echo (termios(3), canonical mode).
//!
//! Bytes that nobody reads stay here; beyond `LINE_BYTES` they are dropped until a newline comes, as Linux does.

/// The most bytes of input that wait to be read.
const LINE_BYTES: usize = 1024;

/// End of file, Control-D.
const EOT: u8 = 4;
/// Erases the line, Control-U.
const KILL: u8 = 21;

/// Input that was typed and not read yet.
pub struct Tty {
    bytes: [u8; LINE_BYTES],
    /// Bytes in use.
    len: usize,
    /// How many of them are complete lines, each with the newline or [`EOT`] that ends it.
    ready: usize,
}

impl Default for Tty {
    fn default() -> Self {
        Self::new()
    }
}

impl Tty {
    /// No input.
    pub const fn new() -> Self {
        Tty { bytes: [0; LINE_BYTES], len: 0, ready: 0 }
    }

    /// Takes a byte from the keyboard and hands what the terminal is to show to `echo`.
    pub fn typed(&mut self, byte: u8, mut echo: impl FnMut(&[u8])) {
        match byte {
            b'\r' | b'\n' => {
                self.end_line(b'\n');
                echo(b"\n");
            }
            EOT => self.end_line(EOT),
            0x7f | 0x08 if self.len > self.ready => {
                self.len -= 1;
                echo(b"\x08 \x08");
            }
            0x7f | 0x08 => {}
            KILL => {
                for _ in self.ready..self.len {
                    echo(b"\x08 \x08");
                }
                self.len = self.ready;
            }
            _ if self.len < LINE_BYTES - 1 => {
                self.bytes[self.len] = byte;
                self.len += 1;
                echo(&[byte]);
            }
            _ => {}
        }
    }

    /// Takes input up to the end of a line or until `to` is full; `None` while no line is complete, 0 bytes for the
    /// end of the input.
    pub fn read(&mut self, to: &mut [u8]) -> Option<usize> {
        let end = self.bytes[..self.ready].iter().position(|b| matches!(*b, b'\n' | EOT))?;
        // A newline is part of the line; a Control-D only ends it.
        let (line, mark) = if self.bytes[end] == EOT { (end, 1) } else { (end + 1, 0) };
        let count = line.min(to.len());
        to[..count].copy_from_slice(&self.bytes[..count]);
        let taken = if count == line { count + mark } else { count };
        self.bytes.copy_within(taken..self.len, 0);
        self.len -= taken;
        self.ready -= taken;
        Some(count)
    }

    /// The last byte is kept free for this, so that a line that is too long can still be ended; if even that is used
    /// up by lines nobody reads, the newest line is lost.
    fn end_line(&mut self, mark: u8) {
        if self.len < LINE_BYTES {
            self.bytes[self.len] = mark;
            self.len += 1;
            self.ready = self.len;
        } else {
            self.len = self.ready;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn type_in(tty: &mut Tty, keys: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for key in keys {
            tty.typed(*key, |echo| shown.extend(echo));
        }
        shown
    }

    fn read(tty: &mut Tty, len: usize) -> Option<Vec<u8>> {
        let mut to = vec![0; len];
        let count = tty.read(&mut to)?;
        to.truncate(count);
        Some(to)
    }

    #[test]
    fn input_comes_by_lines() {
        let mut tty = Tty::new();
        assert_eq!(type_in(&mut tty, b"ls"), b"ls");
        assert_eq!(read(&mut tty, 9), None);
        assert_eq!(type_in(&mut tty, b"\rps\nx"), b"\nps\nx");
        assert_eq!(read(&mut tty, 2).unwrap(), b"ls");
        assert_eq!(read(&mut tty, 9).unwrap(), b"\n");
        assert_eq!(read(&mut tty, 9).unwrap(), b"ps\n");
        assert_eq!(read(&mut tty, 9), None);
    }

    #[test]
    fn keys_erase_within_the_line_only() {
        let mut tty = Tty::new();
        type_in(&mut tty, b"a\n");
        assert_eq!(type_in(&mut tty, b"\x7fbc\x7f"), b"bc\x08 \x08");
        assert_eq!(type_in(&mut tty, b"de\x15f\n"), b"de\x08 \x08\x08 \x08\x08 \x08f\n");
        assert_eq!(read(&mut tty, 9).unwrap(), b"a\n");
        assert_eq!(read(&mut tty, 9).unwrap(), b"f\n");
    }

    #[test]
    fn control_d_ends_the_input_or_the_line() {
        let mut tty = Tty::new();
        type_in(&mut tty, b"\x04");
        assert_eq!(read(&mut tty, 9).unwrap(), b"");
        assert_eq!(read(&mut tty, 9), None);
        type_in(&mut tty, b"ab\x04cd\n");
        assert_eq!(read(&mut tty, 2).unwrap(), b"ab");
        assert_eq!(read(&mut tty, 9).unwrap(), b"cd\n");
        assert_eq!(read(&mut tty, 9), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let mut tty = Tty::new();
        type_in(&mut tty, &[b'x'; 2000]);
        type_in(&mut tty, b"\n");
        let line = read(&mut tty, 4000).unwrap();
        assert_eq!((line.len(), line[LINE_BYTES - 1]), (LINE_BYTES, b'\n'));
        type_in(&mut tty, b"y\n");
        assert_eq!(read(&mut tty, 9).unwrap(), b"y\n");
        for _ in 0..LINE_BYTES {
            type_in(&mut tty, b"z\n");
        }
        assert_eq!(read(&mut tty, 9).unwrap(), b"z\n");
        type_in(&mut tty, b"a\n");
        assert_eq!(read(&mut tty, 9).unwrap(), b"z\n");
    }
}
