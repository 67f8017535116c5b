//! How a terminal is set: `struct termios` (termios(3)), as far as it makes a difference here.
//!
//! Speeds, parity and flow control are kept for those who ask and mean nothing. Output is not changed but by ONLCR, which
//! is off at first: what shows it, a terminal emulator or a log, moves to the first column by itself.

use linux_raw_sys::general as linux;

/// Bytes of a `struct termios` as the kernel has it.
pub const TERMIOS_BYTES: usize = 36;
const KEYS: usize = 19;

/// A terminal's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Termios {
    /// `c_iflag`.
    pub input: u32,
    /// `c_oflag`.
    pub output: u32,
    /// `c_cflag`.
    pub control: u32,
    /// `c_lflag`.
    pub local: u32,
    /// `c_line`.
    line: u8,
    /// `c_cc`.
    keys: [u8; KEYS],
}

impl Default for Termios {
    fn default() -> Self {
        Self::new()
    }
}

impl Termios {
    /// What a terminal starts with: lines, echo, signals.
    pub const fn new() -> Self {
        let mut keys = [0; KEYS];
        keys[linux::VINTR as usize] = 3;
        keys[linux::VQUIT as usize] = 0x1c;
        keys[linux::VERASE as usize] = 0x7f;
        keys[linux::VKILL as usize] = 0x15;
        keys[linux::VEOF as usize] = 4;
        keys[linux::VMIN as usize] = 1;
        keys[linux::VSTART as usize] = 0x11;
        keys[linux::VSTOP as usize] = 0x13;
        keys[linux::VSUSP as usize] = 0x1a;
        keys[linux::VREPRINT as usize] = 0x12;
        keys[linux::VDISCARD as usize] = 0xf;
        keys[linux::VWERASE as usize] = 0x17;
        keys[linux::VLNEXT as usize] = 0x16;
        Termios {
            input: linux::ICRNL,
            output: linux::OPOST,
            control: linux::B115200 | linux::CS8 | linux::CREAD | linux::HUPCL,
            local: linux::ISIG
                | linux::ICANON
                | linux::ECHO
                | linux::ECHOE
                | linux::ECHOK
                | linux::ECHOCTL
                | linux::ECHOKE
                | linux::IEXTEN,
            line: 0,
            keys,
        }
    }

    /// Whether a flag of `c_lflag` is set.
    pub fn local(&self, flag: u32) -> bool {
        self.local & flag != 0
    }

    /// Whether a flag of `c_iflag` is set.
    pub fn input(&self, flag: u32) -> bool {
        self.input & flag != 0
    }

    /// Whether a newline is shown with a return before it.
    pub fn returns(&self) -> bool {
        self.output & (linux::OPOST | linux::ONLCR) == linux::OPOST | linux::ONLCR
    }

    /// The value of `c_cc[key]`: a character, or a count.
    pub fn key(&self, key: u32) -> u8 {
        self.keys[key as usize % KEYS]
    }

    /// Whether `byte` is the character `key`, which may be none (0).
    pub fn is_key(&self, key: u32, byte: u8) -> bool {
        byte != 0 && self.key(key) == byte
    }

    /// As programs see it.
    pub fn to_bytes(self) -> [u8; TERMIOS_BYTES] {
        let mut bytes = [0; TERMIOS_BYTES];
        let flags = [self.input, self.output, self.control, self.local];
        for (to, flags) in bytes.chunks_exact_mut(4).zip(flags) {
            to.copy_from_slice(&flags.to_ne_bytes());
        }
        bytes[16] = self.line;
        bytes[17..].copy_from_slice(&self.keys);
        bytes
    }

    /// What a program asks for.
    pub fn from_bytes(bytes: &[u8; TERMIOS_BYTES]) -> Termios {
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
        let mut keys = [0; KEYS];
        keys.copy_from_slice(&bytes[17..]);
        Termios { input: word(0), output: word(4), control: word(8), local: word(12), line: bytes[16], keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_what_they_set() {
        assert_eq!(size_of::<linux::termios>(), TERMIOS_BYTES);
        let mut bytes = Termios::new().to_bytes();
        assert_eq!(bytes[17 + linux::VEOF as usize], 4);
        bytes[17 + linux::VMIN as usize] = 7;
        bytes[12] = 0;
        let termios = Termios::from_bytes(&bytes);
        assert_eq!(termios.to_bytes(), bytes);
        assert!(termios.key(linux::VMIN) == 7 && !termios.local(linux::ICANON));
    }

    #[test]
    fn a_key_of_0_is_no_key() {
        let mut bytes = Termios::new().to_bytes();
        bytes[17 + linux::VINTR as usize] = 0;
        let termios = Termios::from_bytes(&bytes);
        assert!(!termios.is_key(linux::VINTR, 0) && termios.is_key(linux::VEOF, 4));
    }
}
