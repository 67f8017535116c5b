//! The character devices, told apart by their Linux device numbers (Documentation/admin-guide/devices.txt).

/// A character device the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Swallows what is written, has nothing to read.
    Null,
    /// Swallows what is written, reads as zero bytes without end.
    Zero,
    /// Reads as zero bytes without end, and has no room for what is written.
    Full,
    /// Reads as random bytes without end.
    Random,
    /// The boot console; also every process's controlling terminal.
    Console,
    /// Physical memory: device registers to be mapped ([`super::devmem`]); can be neither read nor written.
    Mem,
    /// Makes descriptors of userfaultfd, by ioctl.
    Userfault,
}

impl Device {
    /// Names in `/dev` besides `console`.
    pub const NODES: [(&'static [u8], Device); 8] = [
        (b"full", Device::Full),
        (b"mem", Device::Mem),
        (b"null", Device::Null),
        (b"random", Device::Random),
        (b"tty", Device::Console),
        (b"urandom", Device::Random),
        (b"userfaultfd", Device::Userfault),
        (b"zero", Device::Zero),
    ];

    /// Links in `/dev`, and where they lead.
    pub const LINKS: [(&'static [u8], &'static [u8]); 4] = [
        (b"fd", b"/proc/self/fd"),
        (b"stdin", b"/proc/self/fd/0"),
        (b"stdout", b"/proc/self/fd/1"),
        (b"stderr", b"/proc/self/fd/2"),
    ];

    /// The device behind a character device node, if the kernel has it. The console answers to `/dev/tty`,
    /// `/dev/console`, `/dev/tty0`, `/dev/ttyS0` and `/dev/ttyAMA0`.
    pub const fn from_number(major: u32, minor: u32) -> Option<Self> {
        match (major, minor) {
            (1, 1) => Some(Device::Mem),
            (1, 3) => Some(Device::Null),
            (1, 5) => Some(Device::Zero),
            (1, 7) => Some(Device::Full),
            (1, 8 | 9) => Some(Device::Random),
            // A number that Linux gives away at boot; this is the first of those.
            (10, 255) => Some(Device::Userfault),
            (5, 0 | 1) | (4, 0 | 64) | (204, 64) => Some(Device::Console),
            _ => None,
        }
    }

    /// The (major, minor) number of a node the kernel makes for it.
    pub const fn number(self) -> (u32, u32) {
        match self {
            Device::Null => (1, 3),
            Device::Zero => (1, 5),
            Device::Full => (1, 7),
            Device::Random => (1, 9),
            Device::Console => (5, 0),
            Device::Mem => (1, 1),
            Device::Userfault => (10, 255),
        }
    }

    /// Permission bits of such a node.
    pub const fn permissions(self) -> u32 {
        match self {
            Device::Mem => 0o640,
            Device::Userfault => 0o600,
            _ => 0o666,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_leads_back_to_its_device() {
        for (_, device) in Device::NODES {
            let (major, minor) = device.number();
            assert_eq!(Device::from_number(major, minor), Some(device));
        }
        assert_eq!(Device::from_number(1, 2), None);
    }
}
