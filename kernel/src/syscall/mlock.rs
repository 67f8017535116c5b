//! System calls about which memory is there, and what is to stay: the mlock family, mincore and msync.

use linux_raw_sys::general as raw;
use paging::{PAGE_SIZE, VirtAddr};

use crate::arch::layout::USER_END;
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::mm::mlock::Lock;
use crate::proc::userfault::with_current_mm_filled;
use crate::proc::{kill_pending, with_current_mm, yield_now};

/// Pages that mincore tells of between two looks for a signal that ends it all.
const PAGES_AT_ONCE: usize = 512;

/// The whole pages that `len` bytes from `addr` touch, as Linux computes them: a length that is too great wraps.
///
/// # Errors
/// `EINVAL`: they end before they begin.
fn pages(addr: u64, len: u64) -> Result<(VirtAddr, VirtAddr)> {
    let bytes = len.wrapping_add(addr % PAGE_SIZE).wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
    let start = addr & !(PAGE_SIZE - 1);
    let end = start.checked_add(bytes).ok_or(Errno::EINVAL)?;
    Ok((VirtAddr::new(start), VirtAddr::new(end)))
}

fn lock(addr: u64, len: u64, how: Option<Lock>) -> Result<usize> {
    let (start, end) = pages(addr, len)?;
    if start == end {
        return Ok(0);
    }
    with_current_mm_filled(|space| space.mlock(crate::mm(), start, end, how))
        .ok_or(Errno::ENOMEM)?
        .map(|()| 0)
}

/// mlock(addr, len).
pub fn mlock(args: &[u64; 6]) -> Result<usize> {
    lock(args[0], args[1], Some(Lock::Now))
}

/// mlock2(addr, len, flags).
pub fn mlock2(args: &[u64; 6]) -> Result<usize> {
    match args[2] as u32 {
        0 => mlock(args),
        raw::MLOCK_ONFAULT => lock(args[0], args[1], Some(Lock::OnFault)),
        _ => Err(Errno::EINVAL),
    }
}

/// munlock(addr, len).
pub fn munlock(args: &[u64; 6]) -> Result<usize> {
    lock(args[0], args[1], None)
}

/// mlockall(flags).
pub fn mlockall(args: &[u64; 6]) -> Result<usize> {
    let flags = args[0] as u32;
    let (current, future) = (flags & raw::MCL_CURRENT != 0, flags & raw::MCL_FUTURE != 0);
    if flags & !(raw::MCL_CURRENT | raw::MCL_FUTURE | raw::MCL_ONFAULT) != 0 || !(current || future) {
        return Err(Errno::EINVAL);
    }
    let how = if flags & raw::MCL_ONFAULT != 0 { Lock::OnFault } else { Lock::Now };
    with_current_mm_filled(|space| match current {
        true => space.mlockall(crate::mm(), Some(how), Some(how).filter(|_| future)),
        false => space.mlock_future(how),
    })
    .map_or(Err(Errno::ENOMEM), |()| Ok(0))
}

/// munlockall().
pub fn munlockall(_: &[u64; 6]) -> Result<usize> {
    with_current_mm(|space| space.mlockall(crate::mm(), None, None)).map_or(Err(Errno::ENOMEM), |()| Ok(0))
}

/// mincore(addr, len, vec).
pub fn mincore(args: &[u64; 6]) -> Result<usize> {
    let [addr, len, to, ..] = *args;
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let is_user = |start: u64, bytes: u64| start.checked_add(bytes).is_some_and(|end| end <= USER_END as u64);
    let count = len.div_ceil(PAGE_SIZE);
    if !is_user(addr, len) {
        return Err(Errno::ENOMEM);
    }
    if !is_user(to, count) {
        return Err(Errno::EFAULT);
    }
    let mut there = [0; PAGES_AT_ONCE];
    let mut done = 0;
    while done < count {
        let start = VirtAddr::new(addr + done * PAGE_SIZE);
        let part = &mut there[..PAGES_AT_ONCE.min((count - done) as usize)];
        let look = |space: &mut crate::mm::AddressSpace| space.mincore(crate::mm(), start, part);
        let told = with_current_mm(look).ok_or(Errno::ENOMEM)??;
        copy_to_user((to + done) as usize, &there[..told])?;
        done += told as u64;
        if kill_pending() {
            return Err(Errno::EINTR);
        }
        if told == PAGES_AT_ONCE {
            yield_now(); // interrupts are masked, so nobody else ends this
        }
    }
    Ok(0)
}

/// msync(addr, len, flags): memory is all that files have, so they have what was written to their mappings.
pub fn msync(args: &[u64; 6]) -> Result<usize> {
    let [addr, len, flags, ..] = *args;
    let flags = flags as u32;
    let both = raw::MS_ASYNC | raw::MS_SYNC;
    if flags & !(both | raw::MS_INVALIDATE) != 0 || flags & both == both || !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let bytes = len.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
    let end = addr.checked_add(bytes).ok_or(Errno::ENOMEM)?;
    if end == addr {
        return Ok(0);
    }
    let (start, end) = (VirtAddr::new(addr), VirtAddr::new(end));
    let invalidate = flags & raw::MS_INVALIDATE != 0;
    with_current_mm(|space| space.msync(start, end, invalidate)).ok_or(Errno::ENOMEM)?.map(|()| 0)
}
