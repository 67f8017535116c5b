//! System calls about memory.

use linux_raw_sys::general::{MADV_REMOVE, PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM};

use super::{commit, map_args};
use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::kernel::Kernel;
use crate::mm::overcommit::Mode;
use crate::mm::{AddressSpace, Backing, MapFlags, MapRequest, Prot, RemapFlags, RemapRequest};
use crate::proc::layout::PAGE;
use crate::proc::userfault::with_current_mm_filled;
use crate::proc::{current_files, with_current_mm};

/// mmap(addr, len, prot, flags, fd, offset).
pub fn mmap(args: &[u64; 6]) -> Result<usize> {
    let asked = map_args::check(args)?;
    let mut flags = MapFlags::empty();
    flags.set(MapFlags::FIXED, asked.fixed);
    flags.set(MapFlags::NOREPLACE, asked.noreplace);
    flags.set(MapFlags::POPULATE, asked.populate);
    flags.set(MapFlags::LOCKED, asked.locked);
    flags.set(MapFlags::GROWS_DOWN, asked.grows_down);
    let prot = Prot::from_bits_truncate(asked.prot);
    let replaced = asked.fixed.then_some((asked.addr, asked.len));
    commit::expand(asked.len as u64, !asked.shared && prot.contains(Prot::WRITE), replaced)?;
    let promised = if asked.shared { asked.file.is_none() } else { prot.contains(Prot::WRITE) };
    if promised {
        commit::promise(asked.len as u64, asked.noreserve)?;
    }
    flags.set(MapFlags::NORESERVE, asked.noreserve && crate::mm().overcommit.mode() != Mode::Never);
    // Kept until the mapping is made, and has a reference of its own to what the file shows.
    let file = match asked.file {
        Some((fd, _)) => Some(current_files().lock().get(fd as u32 as usize)?),
        None => None,
    };
    let backing = match (&file, asked.file) {
        (Some(file), Some((_, offset))) => {
            if asked.shared && !file.writable() {
                if prot.contains(Prot::WRITE) {
                    return Err(Errno::EACCES);
                }
                flags |= MapFlags::READ_ONLY;
            }
            if asked.shared && file.is_sealed() {
                if prot.contains(Prot::WRITE) {
                    return Err(Errno::EPERM);
                }
                flags |= MapFlags::READ_ONLY;
            }
            file.backing(offset, asked.len as u64)?
        }
        _ => Backing::Anon,
    };
    flags.set(MapFlags::SHARED, asked.shared);
    let request = MapRequest { addr: asked.addr, len: asked.len, prot, flags, backing };
    with_current_mm(|space| space.mmap(crate::mm(), request)).ok_or(Errno::ENOMEM)?
}

fn page_aligned(addr: u64) -> Result<usize> {
    if addr.is_multiple_of(PAGE as u64) { Ok(addr as usize) } else { Err(Errno::EINVAL) }
}

/// munmap(addr, len).
pub fn munmap(args: &[u64; 6]) -> Result<usize> {
    let addr = page_aligned(args[0])?;
    let len =
        (args[1] as usize).checked_next_multiple_of(PAGE).filter(|len| *len != 0).ok_or(Errno::EINVAL)?;
    with_current_mm(|space| space.munmap(crate::mm(), addr, len)).ok_or(Errno::EINVAL)?.map(|()| 0)
}

/// mremap(old_address, old_size, new_size, flags, new_address).
pub fn mremap(args: &[u64; 6]) -> Result<usize> {
    let [addr, old_len, new_len, flags, new_addr, _] = args.map(|arg| arg as usize);
    let flags = u32::try_from(flags).ok().and_then(RemapFlags::from_bits).ok_or(Errno::EINVAL)?;
    if new_len > old_len {
        commit::promise_growth(addr, new_len - old_len)?;
        let is_data = |space: &mut AddressSpace| space.is_committed(addr);
        commit::expand((new_len - old_len) as u64, with_current_mm(is_data) == Some(true), None)?;
    }
    let request = RemapRequest { addr, old_len, new_len, flags, new_addr };
    with_current_mm(|space| space.mremap(crate::mm(), request)).ok_or(Errno::EFAULT)?
}

/// mprotect(addr, len, prot).
pub fn mprotect(args: &[u64; 6]) -> Result<usize> {
    let mut addr = page_aligned(args[0])?;
    let grows = args[2] as u32 & (PROT_GROWSDOWN | PROT_GROWSUP);
    // That atomic operations be possible is no wish that anything depends on.
    let prot = u32::try_from(args[2]).ok().and_then(|prot| Prot::from_bits(prot & !(PROT_SEM | grows)));
    // Nothing grows up.
    let prot = prot.filter(|_| grows & PROT_GROWSUP == 0).ok_or(Errno::EINVAL)?;
    let mut len = (args[1] as usize).checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    if len == 0 {
        return Ok(0);
    }
    if grows == PROT_GROWSDOWN {
        let start = with_current_mm(|space| space.start_of_growing(addr, len)).ok_or(Errno::ENOMEM)??;
        (addr, len) = (start, addr + len - start);
    }
    commit::promise_write(addr, len, prot)?;
    with_current_mm(|space| space.mprotect(crate::mm(), addr, len, prot)).ok_or(Errno::ENOMEM)?.map(|()| 0)
}

/// madvise(addr, len, advice).
pub fn madvise(args: &[u64; 6]) -> Result<usize> {
    let addr = page_aligned(args[0])?;
    let len = (args[1] as usize).checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
    let advice = args[2] as u32;
    if advice == MADV_REMOVE {
        return remove(addr, len);
    }
    with_current_mm_filled(|space| space.madvise(crate::mm(), addr, len, advice))
        .ok_or(Errno::ENOMEM)?
        .map(|()| 0)
}

/// madvise(addr, len, MADV_REMOVE): makes what files and shared memory have there zero, for all who map it.
fn remove(addr: usize, len: usize) -> Result<usize> {
    let mut done = 0;
    while done < len {
        let next = |space: &mut AddressSpace| space.removable(addr + done, len - done);
        let (bytes, object, first) = with_current_mm(next).ok_or(Errno::ENOMEM)??;
        let range = first..first + bytes as u64;
        let outcome = crate::mm().object_punch(&object, range.clone());
        Kernel.unmap(&object, range.start / PAGE as u64..range.end / PAGE as u64);
        crate::mm().object_put(object);
        outcome?;
        done += bytes;
    }
    Ok(0)
}

/// brk(addr). Returns where the break is then, whether or not it is where it was wished.
pub fn brk(args: &[u64; 6]) -> Result<usize> {
    let now = with_current_mm(|space| space.brk(crate::mm(), 0)).ok_or(Errno::ENOMEM)?;
    let wished = args[0] as usize;
    if wished > now {
        let more = (wished - now) as u64;
        if commit::expand(more, true, None).and_then(|()| commit::promise(more, false)).is_err() {
            return Ok(now);
        }
    }
    with_current_mm(|space| space.brk(crate::mm(), wished)).ok_or(Errno::ENOMEM)
}
