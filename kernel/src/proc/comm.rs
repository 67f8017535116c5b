//! A process's name: that of its program, for messages and `/proc`.

use core::fmt;

/// Bytes of a name, including at least one NUL (Linux: `TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// A name. Aligned, so that it is copied by words.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(align(8))]
pub struct Comm([u8; COMM_LEN]);

impl Comm {
    /// The last part of a path, cut to what fits.
    pub fn of_path(path: &[u8]) -> Comm {
        Comm::named(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
    }

    /// A name up to its first NUL, cut to what fits.
    pub fn named(name: &[u8]) -> Comm {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut comm = Comm::default();
        for (to, from) in comm.0[..COMM_LEN - 1].iter_mut().zip(name) {
            *to = *from;
        }
        comm
    }

    /// The name's bytes, without NULs.
    pub fn bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
        &self.0[..len]
    }
}

impl fmt::Display for Comm {
    /// What is not printable ASCII is shown as `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.bytes()
            .iter()
            .try_for_each(|byte| f.write_char(if matches!(byte, b' '..=b'~') { *byte as char } else { '?' }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_last_parts_cut_and_printable() {
        assert_eq!(Comm::of_path(b"/bin/storm").bytes(), b"storm");
        assert_eq!(Comm::of_path(b"a-very-long-name-indeed").bytes(), b"a-very-long-nam");
        assert_eq!(Comm::of_path(b"/").bytes(), b"");
        assert_eq!(Comm::named(b"kworker/0:1\0x").bytes(), b"kworker/0:1");
        assert_eq!(format!("{}", Comm::of_path(b"x/\x1b[2J\xff")), "?[2J?");
    }
}
