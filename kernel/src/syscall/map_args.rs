//! The arguments of mmap, checked in Linux's order (arch/arm64/kernel/sys.c, mm/mmap.c).

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::proc::layout::PAGE;

/// What an mmap asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapArgs {
    /// Wished or demanded address (bytes).
    pub addr: usize,
    /// Bytes, a positive multiple of the page size.
    pub len: usize,
    /// `PROT_*`, without bits that do not exist.
    pub prot: u32,
    /// The address is demanded.
    pub fixed: bool,
    /// What is there must not be replaced.
    pub noreplace: bool,
    /// Changes are seen by all who map it.
    pub shared: bool,
    /// Fault everything in at once.
    pub populate: bool,
    /// Do not count it as promised.
    pub noreserve: bool,
    /// It stays in memory.
    pub locked: bool,
    /// It grows down to where it is accessed.
    pub grows_down: bool,
    /// The file and the first byte of it, a multiple of the page size; none: anonymous memory.
    pub file: Option<(i32, u64)>,
}

/// The flags that were there before MAP_SHARED_VALIDATE, so that all others count with it (Linux: `LEGACY_MAP_MASK`; the
/// last are sizes of MAP_HUGETLB).
const LEGACY: u32 = raw::MAP_TYPE
    | raw::MAP_FIXED
    | raw::MAP_ANONYMOUS
    | raw::MAP_GROWSDOWN
    | raw::MAP_DENYWRITE
    | raw::MAP_EXECUTABLE
    | raw::MAP_LOCKED
    | raw::MAP_NORESERVE
    | raw::MAP_POPULATE
    | raw::MAP_NONBLOCK
    | raw::MAP_STACK
    | raw::MAP_UNINITIALIZED
    | 0x3f << raw::MAP_HUGE_SHIFT;

/// Checks mmap(addr, len, prot, flags, fd, offset).
///
/// # Errors
/// `EINVAL`: contradictory or misaligned; `ENOMEM`: too long; `EOVERFLOW`: offset too great; `EOPNOTSUPP`: a flag that
/// MAP_SHARED_VALIDATE makes count.
pub fn check(args: &[u64; 6]) -> Result<MapArgs> {
    let [addr, len, prot, flags, fd, offset] = *args;
    let flags = flags as u32;
    let set = |flag| flags & flag != 0;
    if !offset.is_multiple_of(PAGE as u64) || len == 0 || set(raw::MAP_HUGETLB) {
        return Err(Errno::EINVAL);
    }
    let len = (len as usize).checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    let file = !set(raw::MAP_ANONYMOUS);
    if file && offset.checked_add(len as u64).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    let shared = match flags & raw::MAP_TYPE {
        raw::MAP_PRIVATE => false,
        raw::MAP_SHARED => true,
        raw::MAP_SHARED_VALIDATE if !file => return Err(Errno::EINVAL),
        raw::MAP_SHARED_VALIDATE if flags & !LEGACY != 0 => return Err(Errno::EOPNOTSUPP),
        raw::MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    // Only private memory grows.
    if set(raw::MAP_GROWSDOWN) && (file || shared) {
        return Err(Errno::EINVAL);
    }
    let noreplace = set(raw::MAP_FIXED_NOREPLACE);
    let fixed = set(raw::MAP_FIXED) || noreplace;
    if fixed && !addr.is_multiple_of(PAGE as u64) {
        return Err(Errno::EINVAL);
    }
    Ok(MapArgs {
        addr: addr as usize,
        len,
        prot: prot as u32 & (raw::PROT_READ | raw::PROT_WRITE | raw::PROT_EXEC),
        fixed,
        noreplace,
        shared,
        populate: set(raw::MAP_POPULATE) && !set(raw::MAP_NONBLOCK),
        noreserve: set(raw::MAP_NORESERVE),
        locked: set(raw::MAP_LOCKED),
        grows_down: set(raw::MAP_GROWSDOWN),
        file: file.then_some((fd as i32, offset)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANON: u64 = (raw::MAP_PRIVATE | raw::MAP_ANONYMOUS) as u64;
    const FILE: u64 = raw::MAP_PRIVATE as u64;
    const NO_FD: u64 = u64::MAX;
    const PAGE: u64 = paging::PAGE_SIZE;

    #[test]
    fn what_malloc_and_loaders_ask_for() {
        let anon = check(&[0, 5000, 3, ANON, NO_FD, 0]).unwrap();
        let expected = MapArgs {
            addr: 0,
            len: 5000usize.next_multiple_of(PAGE as usize),
            prot: 3,
            fixed: false,
            noreplace: false,
            shared: false,
            populate: false,
            noreserve: false,
            locked: false,
            grows_down: false,
            file: None,
        };
        assert_eq!(anon, expected);
        let file = check(&[PAGE, 1, 5, FILE | 0x10, 3, 2 * PAGE]).unwrap();
        assert_eq!(
            file,
            MapArgs {
                addr: PAGE as usize,
                len: PAGE as usize,
                prot: 5,
                fixed: true,
                file: Some((3, 2 * PAGE)),
                ..expected
            }
        );
        assert!(check(&[PAGE, 1, 3, ANON | 0x10_0000, NO_FD, 0]).unwrap().fixed);
    }

    #[test]
    fn nonsense_is_refused_as_by_linux() {
        for (args, error) in [
            ([0, 0, 3, ANON, NO_FD, 0], Errno::EINVAL),
            ([0, 1, 3, ANON, NO_FD, 1], Errno::EINVAL),
            ([0, 1, 3, 0x20, NO_FD, 0], Errno::EINVAL),
            ([0, 1, 3, ANON | 0x4_0000, NO_FD, 0], Errno::EINVAL),
            ([1, 1, 3, ANON | 0x10, NO_FD, 0], Errno::EINVAL),
            ([0, u64::MAX, 3, ANON, NO_FD, 0], Errno::ENOMEM),
            ([0, 2 * PAGE, 3, FILE, 3, 0u64.wrapping_sub(PAGE)], Errno::EOVERFLOW),
            ([0, 1, 3, 0x8_0003, 3, 0], Errno::EOPNOTSUPP),
            ([0, 1, 3, 0x20_0003, 3, 0], Errno::EOPNOTSUPP),
            ([PAGE, 1, 3, 0x10_0003, 3, 0], Errno::EOPNOTSUPP),
            ([0, 1, 3, 0x101, 3, 0], Errno::EINVAL),
            ([0, 1, 3, 0x102, 3, 0], Errno::EINVAL),
            (
                [0, 1, 3, (raw::MAP_SHARED | raw::MAP_ANONYMOUS | raw::MAP_GROWSDOWN) as u64, NO_FD, 0],
                Errno::EINVAL,
            ),
        ] {
            assert_eq!(check(&args), Err(error), "{args:x?}");
        }
        assert!(check(&[1, 1, 3, ANON, NO_FD, 0]).is_ok(), "a wish may be misaligned");
        assert!(check(&[0, 1, 3, 0x20_0001, 3, 0]).is_ok(), "what MAP_SHARED does not know is ignored");
        assert!(check(&[0, 1, 3, 0x8003, 3, 0]).is_ok(), "MAP_POPULATE is known to all");
    }
}
