//! Memory mappings.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use linux_raw_sys::general as linux;

use super::{Result, raw};

/// The largest page a kernel may have, in bytes; `link.ld` aligns segments to it.
pub const LARGEST_PAGE: usize = 64 << 10;

/// What the kernel said; 4 KiB if it said nothing.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(4096);

/// Bytes in a page of the kernel this runs on, from the auxiliary vector (AT_PAGESZ): 4, 16 or 64 KiB.
#[inline]
pub fn page_size() -> usize {
    PAGE_SIZE.load(Relaxed)
}

/// Takes note of the page size; once, by the program's entry.
pub(crate) fn set_page_size(bytes: usize) {
    PAGE_SIZE.store(bytes, Relaxed);
}

/// Bytes in a contpte block: 64 KiB with 4 KiB pages, 2 MiB with larger ones.
#[inline]
pub fn block_size() -> usize {
    if page_size() == 4096 { 64 << 10 } else { 2 << 20 }
}

/// No access.
pub const NONE: u32 = linux::PROT_NONE;
/// Read.
pub const READ: u32 = linux::PROT_READ;
/// Read and write.
pub const READ_WRITE: u32 = linux::PROT_READ | linux::PROT_WRITE;

/// Anonymous private memory.
pub const PRIVATE: u32 = linux::MAP_PRIVATE | linux::MAP_ANONYMOUS;
/// Anonymous memory shared with children.
pub const SHARED: u32 = linux::MAP_SHARED | linux::MAP_ANONYMOUS;
/// At exactly the address given, replacing what is there.
pub const FIXED: u32 = linux::MAP_FIXED;
/// A file's contents, copied on write; takes a file descriptor.
pub const FILE_PRIVATE: u32 = linux::MAP_PRIVATE;

/// mremap: the mapping may go elsewhere.
pub const MAYMOVE: u32 = linux::MREMAP_MAYMOVE;
/// mremap: it goes to exactly the address given, replacing what is there.
pub const MOVE_TO: u32 = linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED;
/// mremap: the old range stays mapped, empty.
pub const DONTUNMAP: u32 = linux::MREMAP_DONTUNMAP;

/// Forget the pages' contents.
pub const DONTNEED: u32 = linux::MADV_DONTNEED;
/// Do not give it to children.
pub const DONTFORK: u32 = linux::MADV_DONTFORK;
/// Give it to children again.
pub const DOFORK: u32 = linux::MADV_DOFORK;
/// Make large folios of what is there. Linux: 2 MiB only.
pub const COLLAPSE: u32 = linux::MADV_COLLAPSE;
/// Use large folios.
pub const HUGEPAGE: u32 = linux::MADV_HUGEPAGE;

/// Maps `len` bytes of anonymous memory, anywhere. `flags` is [`PRIVATE`] or [`SHARED`].
///
/// # Errors
/// `ENOMEM`: no room. `EINVAL`: `len` is 0.
pub fn map(len: usize, prot: u32, flags: u32) -> Result<usize> {
    // SAFETY: without MAP_FIXED the kernel picks a place where nothing is mapped.
    unsafe { map_at(0, len, prot, flags & !FIXED, -1, 0) }
}

/// mmap with everything said.
///
/// # Errors
/// See mmap(2).
///
/// # Safety
/// With [`FIXED`], nothing in the range may be in use.
pub unsafe fn map_at(addr: usize, len: usize, prot: u32, flags: u32, fd: i32, offset: u64) -> Result<usize> {
    let args = [addr, len, prot as usize, flags as usize, fd as usize, offset as usize];
    // SAFETY: the caller vouches for the range.
    unsafe { raw(linux::__NR_mmap, args) }
}

/// Has the `len` bytes at `base`, both multiples of 2 MiB, mapped by PTEs, whatever block descriptors map them now: a
/// VMA that ends inside a block splits it, on Linux as on Pleat. Nothing else changes for good.
///
/// # Errors
/// `ENOMEM`: no memory to split a mapping or a block.
///
/// # Safety
/// The range is the caller's, and nobody forks meanwhile.
pub unsafe fn split_blocks(base: usize, len: usize) -> Result<()> {
    if block_size() == 2 << 20 {
        // So large a contpte block is only where a block descriptor maps far more.
        return Ok(());
    }
    for block in (base..base + len).step_by(2 << 20) {
        for advice in [DONTFORK, DOFORK] {
            // SAFETY: changes no contents; the caller vouches for the rest.
            unsafe { advise(block + block_size(), block_size(), advice) }?;
        }
    }
    Ok(())
}

/// Unmaps the pages of `len` bytes at `addr`.
///
/// # Errors
/// `EINVAL`: not page-aligned, or not user addresses. `ENOMEM`: no memory to split a mapping.
///
/// # Safety
/// Nothing in the range may be in use.
pub unsafe fn unmap(addr: usize, len: usize) -> Result<()> {
    // SAFETY: the caller vouches for the range.
    unsafe { raw(linux::__NR_munmap, [addr, len]) }.map(drop)
}

/// mremap: makes the mapping of `old_len` bytes at `addr` one of `new_len`, elsewhere if `flags` permit and it must be;
/// returns where.
///
/// # Errors
/// See mremap(2).
///
/// # Safety
/// Nothing in the old range may be in use, nor in the new one with [`MOVE_TO`].
pub unsafe fn remap(
    addr: usize,
    old_len: usize,
    new_len: usize,
    flags: u32,
    new_addr: usize,
) -> Result<usize> {
    // SAFETY: the caller vouches for both ranges.
    unsafe { raw(linux::__NR_mremap, [addr, old_len, new_len, flags as usize, new_addr]) }
}

/// Sets the access permissions of the pages of `len` bytes at `addr`.
///
/// # Errors
/// `ENOMEM`: not all mapped, or no memory to split a mapping. `EINVAL`: not page-aligned.
///
/// # Safety
/// Nothing in the range may be in use in a way that the new permissions forbid.
pub unsafe fn protect(addr: usize, len: usize, prot: u32) -> Result<()> {
    // SAFETY: the caller vouches for the range.
    unsafe { raw(linux::__NR_mprotect, [addr, len, prot as usize]) }.map(drop)
}

/// madvise.
///
/// # Errors
/// `ENOMEM`: not all mapped. `EINVAL`: unknown advice, or not page-aligned.
///
/// # Safety
/// With [`DONTNEED`], nothing in the range may be borrowed: it reads as zero afterwards.
pub unsafe fn advise(addr: usize, len: usize, advice: u32) -> Result<()> {
    // SAFETY: the caller vouches for the range.
    unsafe { raw(linux::__NR_madvise, [addr, len, advice as usize]) }.map(drop)
}

/// Has the pages of `len` bytes at `addr` stay in memory, with flags as for mlock2.
///
/// # Errors
/// `ENOMEM`: not all mapped, or no access. `EINVAL`: unknown flags. `EAGAIN`: no memory for all of it.
pub fn lock(addr: usize, len: usize, flags: u32) -> Result<()> {
    // SAFETY: changes no contents.
    unsafe { raw(linux::__NR_mlock2, [addr, len, flags as usize]) }.map(drop)
}

/// Takes [`lock`] back.
///
/// # Errors
/// `ENOMEM`: not all mapped.
pub fn unlock(addr: usize, len: usize) -> Result<()> {
    // SAFETY: changes no contents.
    unsafe { raw(linux::__NR_munlock, [addr, len]) }.map(drop)
}

/// Locks what is mapped, what will be, or both: see mlockall(2). No flags: munlockall.
///
/// # Errors
/// `EINVAL`: flags that make no sense.
pub fn lock_all(flags: u32) -> Result<()> {
    let number = if flags == 0 { linux::__NR_munlockall } else { linux::__NR_mlockall };
    // SAFETY: changes no contents.
    unsafe { raw(number, [flags as usize]) }.map(drop)
}

/// Says of each page of `pages` from `addr` on whether it is there, in bit 0 of each byte.
///
/// # Errors
/// `ENOMEM`: not all mapped. `EINVAL`: not page-aligned.
pub fn in_core(addr: usize, pages: &mut [u8]) -> Result<()> {
    let len = pages.len() * page_size();
    // SAFETY: the kernel writes a byte for each page.
    unsafe { raw(linux::__NR_mincore, [addr, len, pages.as_mut_ptr() as usize]) }.map(drop)
}

/// msync.
///
/// # Errors
/// `ENOMEM`: not all mapped. `EBUSY`: locked. `EINVAL`: unknown flags, or not page-aligned.
pub fn sync(addr: usize, len: usize, flags: u32) -> Result<()> {
    // SAFETY: changes no contents.
    unsafe { raw(linux::__NR_msync, [addr, len, flags as usize]) }.map(drop)
}

/// Which way [`remote`] copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the other process.
    Read,
    /// To the other process.
    Write,
}

/// Copies between buffers of this process and of process `pid`, each an address and a length; returns how many bytes.
///
/// # Errors
/// See process_vm_readv(2).
///
/// # Safety
/// With [`Way::Read`], nothing borrows `local`, with [`Way::Write`] nobody there what is written to.
pub unsafe fn remote(way: Way, pid: i32, local: &[[usize; 2]], there: &[[usize; 2]]) -> Result<usize> {
    let number = match way {
        Way::Read => linux::__NR_process_vm_readv,
        Way::Write => linux::__NR_process_vm_writev,
    };
    let args = [pid as usize, local.as_ptr() as usize, local.len(), there.as_ptr() as usize, there.len(), 0];
    // SAFETY: the caller vouches for the buffers.
    unsafe { raw(number, args) }
}

/// Sets the program break to `addr` and returns what it is now: the old one if that was not possible; 0 only asks.
///
/// # Safety
/// Nothing above the new break may be in use.
pub unsafe fn brk(addr: usize) -> usize {
    // SAFETY: the caller vouches for the range. brk never returns an errno.
    unsafe { raw(linux::__NR_brk, [addr]) }.unwrap_or(0)
}
