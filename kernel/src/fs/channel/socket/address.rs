//! Addresses of sockets: paths and abstract names (unix(7)), and ports of this machine (ip(7)).

use alloc::vec::Vec;

use linux_raw_sys::net::{AF_INET, AF_UNIX};

use crate::errno::{Errno, Result};

/// Bytes of a path in an address at most (`sun_path`).
const PATH_BYTES: usize = 108;
/// Bytes of `struct sockaddr_in`.
const INET_BYTES: usize = 16;
/// 127.0.0.1, and what stands for any address.
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const ANY: [u8; 4] = [0; 4];

/// Which kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AF_UNIX.
    Unix,
    /// AF_INET: TCP, to this machine itself.
    Inet,
}

/// A name of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// None, of this family.
    Unnamed(Family),
    /// A path in the file system, and the number of the inode there; 0 while that is not known.
    Path(Vec<u8>, u64),
    /// A name that is not in the file system.
    Abstract(Vec<u8>),
    /// A port of this machine.
    Port(u16),
}

impl Address {
    /// Reads what a program wrote, for a socket of this family.
    ///
    /// # Errors
    /// `EINVAL`: too short or too long; `EAFNOSUPPORT`: of another family; `EADDRNOTAVAIL`: not this machine's; `ENOMEM`.
    pub fn parse(bytes: &[u8], family: Family) -> Result<Address> {
        let [low, high, rest @ ..] = bytes else { return Err(Errno::EINVAL) };
        let named = u32::from(u16::from_ne_bytes([*low, *high]));
        let wanted = if family == Family::Unix { AF_UNIX } else { AF_INET };
        if named != wanted {
            return Err(Errno::EAFNOSUPPORT);
        }
        match (family, rest) {
            (Family::Unix, []) => Ok(Address::Unnamed(family)),
            (Family::Unix, rest) if rest.len() > PATH_BYTES => Err(Errno::EINVAL),
            (Family::Unix, [0, name @ ..]) => Ok(Address::Abstract(copy(name)?)),
            (Family::Unix, path) => {
                Ok(Address::Path(copy(path.split(|b| *b == 0).next().unwrap_or(path))?, 0))
            }
            (Family::Inet, [high, low, address @ ..]) if bytes.len() >= INET_BYTES => match address {
                // All of 127.0.0.0/8 is this machine.
                [127, ..] | [0, 0, 0, 0, ..] => Ok(Address::Port(u16::from_be_bytes([*high, *low]))),
                _ => Err(Errno::EADDRNOTAVAIL),
            },
            (Family::Inet, _) => Err(Errno::EINVAL),
        }
    }

    /// Writes it as a program reads it; returns how many bytes that is.
    pub fn write(&self, out: &mut [u8; 2 + PATH_BYTES]) -> usize {
        out.fill(0);
        let unix = !matches!(self, Address::Port(_) | Address::Unnamed(Family::Inet));
        let family = if unix { AF_UNIX } else { AF_INET } as u16;
        out[..2].copy_from_slice(&family.to_ne_bytes());
        match self {
            Address::Unnamed(Family::Unix) => 2,
            Address::Unnamed(Family::Inet) => {
                out[4..8].copy_from_slice(&ANY);
                INET_BYTES
            }
            Address::Port(port) => {
                out[2..4].copy_from_slice(&port.to_be_bytes());
                out[4..8].copy_from_slice(&LOOPBACK);
                INET_BYTES
            }
            Address::Path(path, _) => {
                let len = path.len().min(PATH_BYTES - 1);
                out[2..2 + len].copy_from_slice(&path[..len]);
                2 + len + 1
            }
            Address::Abstract(name) => {
                let len = name.len().min(PATH_BYTES - 1);
                out[3..3 + len].copy_from_slice(&name[..len]);
                3 + len
            }
        }
    }
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(address: &Address, family: Family) -> Result<Address> {
        let mut bytes = [0; 2 + PATH_BYTES];
        let len = address.write(&mut bytes);
        Address::parse(&bytes[..len], family)
    }

    #[test]
    fn addresses_survive_a_program() {
        let unix = [
            Address::Path(b"/tmp/s".to_vec(), 0),
            Address::Abstract(b"a\0b".to_vec()),
            Address::Unnamed(Family::Unix),
        ];
        for address in unix {
            assert_eq!(round(&address, Family::Unix), Ok(address.clone()));
            assert_eq!(round(&address, Family::Inet), Err(Errno::EAFNOSUPPORT));
        }
        assert_eq!(round(&Address::Port(6379), Family::Inet), Ok(Address::Port(6379)));
    }

    #[test]
    fn only_this_machine_is_there() {
        let inet = |address: [u8; 4]| {
            let mut bytes = [0; INET_BYTES];
            bytes[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
            bytes[2..8].copy_from_slice(&[0x18, 0xeb, address[0], address[1], address[2], address[3]]);
            Address::parse(&bytes, Family::Inet)
        };
        assert_eq!(inet([127, 0, 0, 1]), Ok(Address::Port(6379)));
        assert_eq!(inet([0, 0, 0, 0]), Ok(Address::Port(6379)));
        assert_eq!(inet([10, 0, 2, 2]), Err(Errno::EADDRNOTAVAIL));
        assert_eq!(Address::parse(&[2, 0, 1], Family::Inet), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[1], Family::Unix), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[1; 200], Family::Unix), Err(Errno::EAFNOSUPPORT));
    }
}
