//! fork: copying an address space by copying its PTEs, batch by batch.
//!
//! ```text
//!   for each VMA with anonymous pages, or that cannot be faulted in
//!     for each last-level table of the parent in it
//!       for each batch of PTEs that map one folio
//!         take nr references and mappings            one atomic update
//!         write-protect the parent's PTEs            whole blocks stay folded
//!         write the child's PTEs                     whole blocks are written folded
//!   flush the parent's address space                 once
//! ```
//!
//! A batch of a pinned folio is copied instead of shared, page by page, and the parent's entries stay as they are:
//! were they write-protected, the parent's next write would be a fault at best, and at worst, copied, go to another
//! frame than the one that is pinned.
//!
//! Until that flush another CPU, or this one, may write through an old translation to a page that is already
//! shared; the child does not run before it, so it sees all such writes and the parent never sees the child's.
//! Failure anywhere leaves the parent as it is, correct with more pages write-protected than needed: the next write
//! finds the folio its own and takes it back.

use core::sync::atomic::Ordering;

use paging::batch::{Batch, Respect, folio_pte_batch};
use paging::contpte::{Share, ptep_get_raw, ptep_set_wrprotect, set_pte_at, set_ptes, wrprotect_ptes};
use paging::flush::Gather;
use paging::walk::{Part, PteRef, lookup_alloc_unseen, parts};
use paging::{Asid, CONT_PTES, Event, PAGE_SIZE, Pte, VirtAddr};

use self::blocks::Blocks;
use self::nonpresent::{child_entry, copy_nonpresent};
use self::share::Sharing;
use super::Mm;
use super::frame::Kind;
use super::machine::Machine;
use super::pmd::PMD_PAGES;
use super::space::AddressSpace;
use super::vma::{Prot, Vma};
use crate::errno::{Errno, Result};

mod blocks;
mod nonpresent;
mod share;

/// In private memory neither a page's dirty state nor its write permission ends a batch: the child gets all pages
/// write-protected and dirty whatever they were. It also gets each page's soft-dirty bit, so those must agree.
const PRIVATE: Respect = Respect { write: false, dirty: false, soft_dirty: true };

/// In shared memory what the single pages are is not the child's to change: their dirty state ends a batch. Their
/// write permission does not, but only if all have it does the child get it.
const SHARED: Respect = Respect { dirty: true, ..PRIVATE };

impl AddressSpace {
    /// What [`AddressSpace::fork_into`] does, but that memory is not reclaimed.
    pub(super) fn try_fork<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        place: &mut Option<AddressSpace>,
    ) -> Result<()> {
        let child = place.insert(AddressSpace::new(mm)?);
        if let Err(error) = self.vmas.fork_into(&mut child.vmas) {
            AddressSpace::destroy_in(place, mm);
            return Err(error);
        }
        (child.brk_start, child.brk) = (self.brk_start, self.brk);
        child.thp = self.thp;
        // What was ours alone is shared from here on.
        self.ours = None;
        let mut flush = Gather::new();
        let copied = self.copy_page_tables(mm, child, &mut flush);
        flush.flush(&mm.machine, self.asid());
        match copied {
            Ok(()) => mm.count(Event::Forks),
            Err(_) => AddressSpace::destroy_in(place, mm),
        }
        copied
    }

    fn copy_page_tables<M: Machine>(
        &self,
        mm: &Mm<M>,
        child: &mut AddressSpace,
        flush: &mut Gather,
    ) -> Result<()> {
        let mut blocks = Blocks::new();
        let copied = self.copy_parts(mm, child, flush, &mut blocks);
        let (pages, protected) = blocks.finish(mm);
        child.rss += pages;
        if protected {
            flush.add_all();
        }
        copied
    }

    fn copy_parts<M: Machine>(
        &self,
        mm: &Mm<M>,
        child: &mut AddressSpace,
        flush: &mut Gather,
        blocks: &mut Blocks,
    ) -> Result<()> {
        for vma in self.vmas.iter().filter(|vma| vma.needs_copy()) {
            for part in parts(&mm.machine, self.root, vma.start, vma.end) {
                match part {
                    Part::Table(first, nr) => self.copy_table(mm, child, vma, first, nr, flush)?,
                    Part::Block(at, block) => {
                        if !blocks.copy(mm, child, at, block)? {
                            let dst = child.table_for(mm, at.va())?;
                            copy_pinned_pages(mm, child, vma, dst, block.mkpage(), PMD_PAGES)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies the `nr` entries from `src`, which lie in one table and in `vma`.
    fn copy_table<M: Machine>(
        &self,
        mm: &Mm<M>,
        child: &mut AddressSpace,
        vma: &Vma,
        src: PteRef,
        nr: usize,
        flush: &mut Gather,
    ) -> Result<()> {
        let mut sharing = Sharing::new();
        let copied = self.copy_entries(mm, child, vma, src, nr, flush, &mut sharing);
        let (pages, protected) = sharing.finish(mm);
        child.rss += pages;
        if protected {
            flush.add_all();
        }
        copied
    }

    #[allow(clippy::too_many_arguments)] // two sides of a copy, its bounds and its effects
    fn copy_entries<'m, M: Machine>(
        &self,
        mm: &'m Mm<M>,
        child: &mut AddressSpace,
        vma: &Vma,
        src: PteRef,
        nr: usize,
        flush: &mut Gather,
        sharing: &mut Sharing<'m>,
    ) -> Result<()> {
        let batching = mm.batching.load(Ordering::Relaxed);
        let (runs, keep_wp) = (batching && vma.is_private(), vma.child_keeps_wp());
        let mut dst: Option<PteRef> = None;
        let mut index = 0;
        while index < nr {
            let here = src.add(index);
            let pte = ptep_get_raw(&mm.machine, here);
            if pte.is_none() {
                index += 1;
                continue;
            }
            let absent = if pte.is_present() { None } else { child_entry(pte, keep_wp) };
            if absent.is_none() && !pte.is_present() {
                index += 1;
                continue;
            }
            let to = match dst {
                Some(first) => first.add(index),
                None => {
                    let first = child.table_for(mm, src.va())?;
                    dst = Some(first);
                    first.add(index)
                }
            };
            if let Some(entry) = absent {
                copy_nonpresent(mm, child, here, to, pte, entry)?;
                index += 1;
                continue;
            }
            if runs && let Some(share) = Share::of(pte, keep_wp) {
                let shared = sharing.copy(mm, &share, here, to, pte, nr - index, index);
                index += shared;
                if shared > 0 {
                    continue;
                }
            }
            let max = if batching { nr - index } else { 1 };
            index += copy_present_ptes(mm, self.asid(), child, vma, here, to, pte, max, flush)?;
        }
        Ok(())
    }

    /// The entry for `va` of a child that has not run ([`AddressSpace::activate`] has the barrier), its tables made if need
    /// be.
    fn table_for<M: Machine>(&self, mm: &Mm<M>, va: VirtAddr) -> Result<PteRef> {
        lookup_alloc_unseen(&mm.machine, self.root, va, &mut || mm.alloc_table()).map_err(|_| Errno::ENOMEM)
    }
}

/// Copies the batch that begins with `pte` at `src`, in `vma`, of at most `max` entries, to `dst`; returns how many it
/// was.
#[inline]
#[allow(clippy::too_many_arguments)] // two sides of a copy, its bounds and its effects
fn copy_present_ptes<M: Machine>(
    mm: &Mm<M>,
    asid: Asid,
    child: &mut AddressSpace,
    vma: &Vma,
    src: PteRef,
    dst: PteRef,
    pte: Pte,
    max: usize,
    flush: &mut Gather,
) -> Result<usize> {
    let keep_wp = vma.child_keeps_wp();
    if pte.is_special() {
        // The zero page, or device registers: read-only on both sides for good, and not counted.
        set_ptes(&mm.machine, dst, child_pte(pte, keep_wp), 1);
        return Ok(1);
    }
    let folio = mm.frames.folio(pte.pfn());
    let (span, anon) = (folio.span(), folio.kind == Kind::Anon);
    // An entry without access stays alone: what it would permit is not what its neighbours do.
    let max = if pte.is_protnone() { 1 } else { max };
    let respect = if vma.is_private() { PRIVATE } else { SHARED };
    let batch = folio_pte_batch(&mm.machine, src, pte, max, span, respect);
    let nr = batch.nr;
    mm.machine.count(Event::ForkBatches, 1);
    let before = mm.folio_add_mappings(folio.head, nr as u32).map_err(|_| Errno::ENOMEM)?;
    if anon && before.pins > 0 {
        mm.folio_remove_mappings(folio.head, nr as u32);
        return copy_pinned_pages(mm, child, vma, dst, pte, nr).map(|()| nr);
    }
    let shared = if vma.is_private() {
        if batch.any_writable {
            if nr == 1 {
                ptep_set_wrprotect(&mm.machine, asid, src);
            } else {
                wrprotect_ptes(&mm.machine, asid, src, nr);
            }
            flush.add_all();
        }
        let shared = child_pte(pte, keep_wp).wrprotect();
        // Whatever the single pages were: a dirty state lost is data lost.
        if anon { shared.mkdirty() } else { shared }
    } else {
        child_of_shared(child_pte(pte, keep_wp), batch)
    };
    if nr == 1 {
        // As it would be without batches: one by one, folding when a block is complete.
        set_pte_at(&mm.machine, child.asid(), dst, shared, Some(span));
    } else {
        set_ptes(&mm.machine, dst, shared, nr);
    }
    if pte.is_cont() && nr >= CONT_PTES {
        mm.machine.count(Event::ForkBlocks, (nr / CONT_PTES) as u64);
    }
    child.rss += nr;
    Ok(nr)
}

/// Gives the child copies of the `nr` pages, of a pinned folio, that the parent maps by `pte` and the entries behind
/// it, at `dst` in its VMA like `vma`. They are its own: dirty, and writable if the VMA is. The parent's side is not
/// touched.
///
/// Nothing of the parent is write-protected for this, so a second thread of it, or the device that has the page
/// pinned, may write during the copy, and the child then sees some of it, as it would of any write at the moment of a
/// fork. New pins cannot come up meanwhile: taking one needs the parent's lock, as this does.
#[cold]
fn copy_pinned_pages<M: Machine>(
    mm: &Mm<M>,
    child: &mut AddressSpace,
    vma: &Vma,
    dst: PteRef,
    pte: Pte,
    nr: usize,
) -> Result<()> {
    for index in 0..nr {
        let copy = mm.alloc_anon(0, child.owner).ok_or(Errno::ENOMEM)?;
        mm.copy(copy, pte.pfn().add(index as u64), 1);
        if vma.prot.contains(Prot::EXEC) {
            mm.machine.sync_icache(copy.addr(), PAGE_SIZE as usize);
        }
        mm.frames.set_first_mappings(copy, 1);
        let own = if vma.prot.contains(Prot::WRITE) { vma.written(copy) } else { vma.pte(copy).mkdirty() };
        let own = own.tracked_like(child_pte(pte, vma.child_keeps_wp()));
        let own = if vma.prot.is_empty() { own.mkprotnone() } else { own };
        set_ptes(&mm.machine, dst.add(index), own, 1);
        child.rss += 1;
    }
    mm.machine.count(Event::ForkPinnedCopies, nr as u64);
    Ok(())
}

/// The first entry of the child for a batch of shared memory that begins with `pte`. The child may write where the
/// parent may in all of the batch; if that differs it may nowhere, and its first write asks: an entry may be read-only
/// so that somebody hears of the write. The child has written nothing yet, so its entries are clean.
fn child_of_shared(pte: Pte, batch: Batch) -> Pte {
    let pte = if batch.all_writable { pte } else { pte.wrprotect() };
    pte.mkclean()
}

/// What the child's entry begins as where the parent's is `pte`: old, and protected for userfaultfd only if it keeps the
/// registration.
#[inline]
fn child_pte(pte: Pte, keep_wp: bool) -> Pte {
    let old = pte.mkold();
    if keep_wp { old } else { old.clear_uffd_wp() }
}
