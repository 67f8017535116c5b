//! `/dev/mem`: device registers as memory, to be looked at.
//!
//! Linux lets root map all of it; where it is told to be strict (`CONFIG_IO_STRICT_DEVMEM`) neither RAM nor what a driver
//! uses. Here only registers that no driver of ours uses and whose reading changes nothing may be mapped.

use core::ops::Range;

use paging::{PAGE_SIZE, Pfn, PhysAddr};
use spin::Once;

use crate::devicetree::Ranges;
use crate::errno::{Errno, Result};

/// What may be mapped: physical addresses, in bytes.
static REGISTERS: Once<Ranges> = Once::new();

/// Lets programs map these registers. Only the first call has an effect.
pub fn init(registers: &Ranges) {
    REGISTERS.call_once(|| registers.clone());
}

/// The first frame of a mapping of `bytes` bytes from physical address `offset` on, which is page-aligned.
///
/// # Errors
/// `EPERM`: not all of it may be mapped.
pub fn frames(offset: u64, bytes: u64) -> Result<Pfn> {
    within(REGISTERS.get().ok_or(Errno::EPERM)?, offset, bytes)
}

fn within(registers: &Ranges, offset: u64, bytes: u64) -> Result<Pfn> {
    // A device has whole pages to itself, or it could not be given to anyone.
    let pages = |range: Range<u64>| {
        let end = range.end.checked_next_multiple_of(PAGE_SIZE).unwrap_or(u64::MAX);
        range.start & !(PAGE_SIZE - 1)..end
    };
    let end = offset.checked_add(bytes).ok_or(Errno::EPERM)?;
    let known = registers.iter().map(pages).any(|range| range.start <= offset && end <= range.end);
    if known { Ok(PhysAddr::new(offset).pfn()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pages_of_known_registers_and_nothing_beside_them() {
        let start = 9 * PAGE_SIZE;
        let mut registers = Ranges::new();
        registers.insert(start..start + PAGE_SIZE + 1);
        assert_eq!(within(&registers, start, PAGE_SIZE), Ok(Pfn::new(9)));
        assert_eq!(within(&registers, start + PAGE_SIZE, PAGE_SIZE), Ok(Pfn::new(10)));
        for (offset, bytes) in [
            (start - PAGE_SIZE, PAGE_SIZE),
            (start - PAGE_SIZE, 2 * PAGE_SIZE),
            (start + PAGE_SIZE, 2 * PAGE_SIZE),
            (start, u64::MAX - start),
            (start, u64::MAX),
        ] {
            assert_eq!(within(&registers, offset, bytes), Err(Errno::EPERM), "{offset:#x}, {bytes:#x}");
        }
        assert_eq!(frames(start, PAGE_SIZE), Err(Errno::EPERM), "nothing before it is known what there is");
    }
}
