//! Access to user memory by the kernel. Nothing else in the kernel follows a user pointer.
//!
//! Having copied once proves nothing for the next time: another thread may unmap the page, so what matters is copied
//! to the kernel first and judged there.
//!
//! A copy may fault, and the fault takes the lock of the address space and may allocate: the caller holds no lock.

use core::arch::global_asm;

use super::layout::USER_END;
use crate::errno::{Errno, Result};

global_asm!(include_str!("uaccess.s"));

/// What the copy functions return after a fault that was not repaired.
const FAULTED: usize = usize::MAX;

unsafe extern "C" {
    fn uaccess_copy_in(dst: *mut u8, src: usize, bytes: usize) -> usize;
    fn uaccess_copy_out(dst: usize, src: *const u8, bytes: usize) -> usize;
    fn uaccess_zero(dst: usize, bytes: usize) -> usize;
    fn uaccess_string_in(dst: *mut u8, src: usize, bytes: usize) -> usize;

    static uaccess_start: [u8; 0];
    static uaccess_end: [u8; 0];
    static uaccess_fault: [u8; 0];
}

/// Where the exception handler continues for a failed access to user memory at `pc`; `None` if `pc` is not part of
/// the copy functions, and so not allowed to fault.
pub(super) fn fixup(pc: u64) -> Option<u64> {
    let (start, end) = ((&raw const uaccess_start) as u64, (&raw const uaccess_end) as u64);
    (start..end).contains(&pc).then_some((&raw const uaccess_fault) as u64)
}

/// Whether `bytes` from `addr` are below the end of user addresses.
fn check(addr: usize, bytes: usize) -> Result<()> {
    match addr.checked_add(bytes) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

fn done(status: usize) -> Result<()> {
    if status == FAULTED { Err(Errno::EFAULT) } else { Ok(()) }
}

/// Copies from user address `src` to all of `dst`.
///
/// # Errors
/// `EFAULT` when EL0 could not read all of it; `dst` is then partly written.
pub fn copy_from_user(dst: &mut [u8], src: usize) -> Result<()> {
    check(src, dst.len())?;
    // SAFETY: writes `dst.len()` bytes at `dst`; the other side faults into the fixup wherever EL0 may not read.
    done(unsafe { uaccess_copy_in(dst.as_mut_ptr(), src, dst.len()) })
}

/// Copies all of `src` to user address `dst`.
///
/// # Errors
/// `EFAULT` when EL0 could not write all of it; a part may have been written.
pub fn copy_to_user(dst: usize, src: &[u8]) -> Result<()> {
    check(dst, src.len())?;
    // SAFETY: reads `src.len()` bytes at `src`; the other side is below the end of user addresses, so it can only
    // change memory that EL0 may write.
    done(unsafe { uaccess_copy_out(dst, src.as_ptr(), src.len()) })
}

/// Zeroes `bytes` at user address `dst`.
///
/// # Errors
/// `EFAULT` when EL0 could not write all of it; a part may have been written.
pub fn zero_user(dst: usize, bytes: usize) -> Result<()> {
    check(dst, bytes)?;
    // SAFETY: as for `copy_to_user`.
    done(unsafe { uaccess_zero(dst, bytes) })
}

/// Copies the NUL-terminated string at user address `src` to `dst`, NUL included, and returns its length without.
///
/// # Errors
/// `EFAULT` when EL0 could not read up to the NUL, `ENAMETOOLONG` when `dst` ends before it.
pub fn strncpy_from_user(dst: &mut [u8], src: usize) -> Result<usize> {
    let readable = USER_END.saturating_sub(src);
    let limit = dst.len().min(readable);
    // SAFETY: writes at most `limit` bytes at `dst`, which has them; the other side as in `copy_from_user`.
    match unsafe { uaccess_string_in(dst.as_mut_ptr(), src, limit) } {
        FAULTED => Err(Errno::EFAULT),
        length if length < limit => Ok(length),
        _ if limit == readable => Err(Errno::EFAULT),
        _ => Err(Errno::ENAMETOOLONG),
    }
}
