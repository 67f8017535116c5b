//! Whether a system call may promise memory: the settings of [`overcommit`](crate::mm::overcommit), applied before the
//! call changes anything. All processes may have to be looked at, so the caller holds no lock.

use paging::{PAGE_SIZE, VirtAddr};

use crate::errno::{Errno, Result};
use crate::mm::overcommit::Mode;
use crate::mm::{AddressSpace, Prot};
use crate::proc::{self, current_files, with_current_mm};

/// Refuses `bytes` more, of a private mapping that may be written or of shared memory, if they are too many.
///
/// # Errors
/// `ENOMEM`.
pub fn promise(bytes: u64, noreserve: bool) -> Result<()> {
    let mm = crate::mm();
    let permitted =
        mm.overcommit.permits(bytes.div_ceil(PAGE_SIZE), noreserve, mm.supply(), proc::committed_pages);
    if permitted { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// Refuses `bytes` more of address space, `data` if they are private and can be written, if the process has a limit and
/// would be above it (RLIMIT_AS, RLIMIT_DATA). What is mapped in `replaced`, the first byte and the length, goes.
///
/// # Errors
/// `ENOMEM`.
pub fn expand(bytes: u64, data: bool, replaced: Option<(usize, usize)>) -> Result<()> {
    // Kept until after the lock.
    let Some(limits) = current_files().lock().own_limits().cloned() else { return Ok(()) };
    let sizes = |space: &mut AddressSpace| {
        let gone = replaced.map_or(0, |(addr, len)| {
            let start = VirtAddr::new(addr as u64);
            space.mapped_in(start, VirtAddr::new(start.get().saturating_add(len as u64)))
        });
        (space.expanse(), gone)
    };
    let (sizes, gone) = with_current_mm(sizes).ok_or(Errno::ENOMEM)?;
    if limits.permit(sizes, bytes.saturating_sub(gone), data) { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// Whether promises are added up.
fn is_strict() -> bool {
    crate::mm().overcommit.mode() == Mode::Never
}

/// As [`promise`], for a fork of the current process.
///
/// # Errors
/// `ENOMEM`.
pub fn promise_fork() -> Result<()> {
    if is_strict() {
        let pages = with_current_mm(|space| space.committed_by_fork()).unwrap_or(0);
        promise(pages * PAGE_SIZE, false)?;
    }
    Ok(())
}

/// As [`promise`], for a mapping at `addr` that is to grow by `bytes`.
///
/// # Errors
/// `ENOMEM`.
pub fn promise_growth(addr: usize, bytes: usize) -> Result<()> {
    match with_current_mm(|space| space.is_committed(addr)) {
        Some(true) => promise(bytes as u64, false),
        _ => Ok(()),
    }
}

/// As [`promise`], for `bytes` bytes at `addr` that are to have the rights `prot`.
///
/// # Errors
/// `ENOMEM`.
pub fn promise_write(addr: usize, bytes: usize, prot: Prot) -> Result<()> {
    if is_strict() && prot.contains(Prot::WRITE) {
        let pages = with_current_mm(|space| space.committed_by_write(addr, bytes)).unwrap_or(0);
        promise(pages * PAGE_SIZE, false)?;
    }
    Ok(())
}
