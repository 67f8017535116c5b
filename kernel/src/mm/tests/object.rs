//! Files and shared memory as processes map them: whole folios at once, and what is around a fault.

use linux_raw_sys::general::MADV_DONTNEED;
use model::machine::MachineConfig;
use paging::contpte::wrprotect_ptes;
use paging::flush::issue_range;
use paging::walk::lookup;
use paging::{CONT_PTES, CONT_SIZE, Event, Pfn, VirtAddr};

use super::*;
use crate::mm::testing::{FRAMES, machine, sized, with};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Object, Prot, VmaFlags};
use crate::util::Ref;

const RW: Prot = Prot::READ.union(Prot::WRITE);
const BLOCK: usize = CONT_PTES;

/// A file of `pages` whole pages, each full of its number plus 1.
fn file(pages: usize) -> Ref<Object> {
    let data: std::vec::Vec<u8> =
        (0..pages * PAGE).map(|byte| ((byte / PAGE) as u8).wrapping_add(1)).collect();
    Object::file(data.leak()).unwrap()
}

/// Maps `pages` pages of `object` from its page `page` on; at `addr` unless that is 0.
fn map(
    process: &mut Process<'_>,
    addr: usize,
    pages: usize,
    flags: MapFlags,
    object: &Ref<Object>,
    page: u64,
) -> usize {
    process.enter();
    let fixed = if addr == 0 { MapFlags::empty() } else { MapFlags::FIXED };
    let backing = Backing::Object { object: object.clone(), page };
    let request = MapRequest { addr, len: pages * PAGE, prot: RW, flags: flags | fixed, backing };
    process.space.mmap(process.mm, request).unwrap()
}

fn map_shared(process: &mut Process<'_>, addr: usize, pages: usize) {
    process.enter();
    let flags = MapFlags::FIXED | MapFlags::SHARED;
    let request = MapRequest { addr, len: pages * PAGE, prot: RW, flags, backing: Backing::Anon };
    process.space.mmap(process.mm, request).unwrap();
}

/// Batches of entries that faults wrote. Faults themselves are more: one whose entry a walker does not see yet repeats.
fn batches(mm: &Mm<HostMachine>) -> u64 {
    mm.machine.counted(Event::SetPtesBatches)
}

#[test]
fn one_fault_maps_a_file_s_block_folded() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let object = file(4 * BLOCK);
        let mut process = Process::new(&mm);
        map(&mut process, BASE, 4 * BLOCK, MapFlags::empty(), &object, 0);
        check(&mut process, BASE, 4 * BLOCK, 1);
        assert_eq!((folded(&process, BASE, 4 * BLOCK), batches(&mm)), (4 * BLOCK, 4));
        assert_eq!(process.space.usage(&mm).rss_pages, 4 * BLOCK);
        assert_eq!(mm.machine.counted(Event::Fold), 0, "written folded, not converted");
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn a_block_with_one_page_populated_is_mapped_around_it() {
    // Failure 6: mapping a whole file folio over a populated entry failed, and the fault repeated for ever.
    let mm = machine();
    leaks_nothing(&mm, || {
        let object = file(BLOCK);
        let mut process = Process::new(&mm);
        let middle = BLOCK / 2;
        map(&mut process, BASE + middle * PAGE, 1, MapFlags::empty(), &object, middle as u64);
        process.write(BASE + middle * PAGE, 200).unwrap();
        map(&mut process, BASE, middle, MapFlags::empty(), &object, 0);
        map(
            &mut process,
            BASE + (middle + 1) * PAGE,
            BLOCK - middle - 1,
            MapFlags::empty(),
            &object,
            middle as u64 + 1,
        );
        let before = batches(&mm);
        assert_eq!(process.read(BASE), Ok(1));
        assert_eq!(process.space.usage(&mm).rss_pages, BLOCK, "on both sides of it");
        assert_eq!(process.read(BASE + middle * PAGE), Ok(200), "and it stays what it was");
        check(&mut process, BASE + (middle + 1) * PAGE, BLOCK - middle - 1, middle as u8 + 2);
        assert_eq!(batches(&mm), before + 2, "one fault");
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn small_folios_around_a_read_fault_are_mapped_if_they_are_there() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let object = file(2 * BLOCK);
        // No memory for more than a page at a time while the file is first read.
        let mut held = mm.hold_all();
        assert!(held.release(1));
        for page in 0..4 {
            assert!(held.release(1));
            mm.object_page(&object, page, VmaFlags::empty()).unwrap();
        }
        drop(held);
        let mut process = Process::new(&mm);
        map(&mut process, BASE, 2 * BLOCK, MapFlags::empty(), &object, 0);
        process.read(BASE + PAGE).unwrap();
        // On granules whose page is all that is mapped around a fault, there is nothing to see.
        let around = (65536 / PAGE).clamp(1, 4);
        assert_eq!(process.space.usage(&mm).rss_pages, around);
        check(&mut process, BASE, 2 * BLOCK, 1);
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn fault_around_stays_in_its_vma_and_in_the_file() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let object = file(BLOCK + 2);
        let mut process = Process::new(&mm);
        map(&mut process, BASE + 3 * PAGE, BLOCK + 5, MapFlags::empty(), &object, 3);
        process.read(BASE + 4 * PAGE).unwrap();
        assert!(process.pte(BASE + 2 * PAGE).is_none() && process.pte(BASE + 3 * PAGE).is_present());
        assert_eq!(process.read(BASE + BLOCK * PAGE), Ok(BLOCK as u8 + 1));
        assert_eq!(process.read(BASE + (BLOCK + 2) * PAGE), Err(FaultError::Bus));
        assert_eq!(process.space.usage(&mm).rss_pages, BLOCK - 3 + 2);
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn pages_nobody_asked_for_are_old_where_hardware_says_when_they_are_used() {
    for hw_af in [false, true] {
        let mm = with(FRAMES, MachineConfig { hw_af, ..MachineConfig::default() });
        let object = file(2 * BLOCK);
        let mut held = mm.hold_all();
        assert!(held.release(1));
        for page in 0..2 {
            assert!(held.release(1));
            mm.object_page(&object, page, VmaFlags::empty()).unwrap();
        }
        drop(held);
        let mut process = Process::new(&mm);
        map(&mut process, BASE, 2 * BLOCK, MapFlags::empty(), &object, 0);
        process.read(BASE).unwrap();
        process.read(BASE + BLOCK * PAGE).unwrap();
        assert!(
            (0..BLOCK).all(|page| process.pte(BASE + (BLOCK + page) * PAGE).is_young()),
            "the folio was used"
        );
        if PAGE < 65536 {
            assert_eq!(process.pte(BASE + PAGE).is_young(), !hw_af);
        }
        process.exit();
        mm.object_put(object);
    }
}

#[test]
fn mappings_of_objects_are_placed_in_step_with_their_folios() {
    let mm = machine();
    let object = file(4 * BLOCK);
    let mut process = Process::new(&mm);
    for page in [0, 1, BLOCK as u64 - 1, BLOCK as u64 + 3] {
        let at = map(&mut process, 0, 2 * BLOCK, MapFlags::empty(), &object, page);
        assert_eq!(at as u64 % CONT_SIZE, page * PAGE as u64 % CONT_SIZE, "page {page}");
        check(&mut process, at, 2 * BLOCK, page as u8 + 1);
        assert!(folded(&process, at, 2 * BLOCK) >= BLOCK);
    }
    process.exit();
    mm.object_put(object);
}

#[test]
fn shared_blocks_are_written_folded_and_seen_by_a_child_that_faults_them_in() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        map_shared(&mut parent, BASE, 4 * BLOCK);
        let mut child = parent.fork().unwrap();
        fill(&mut parent, BASE, 4 * BLOCK, 1);
        assert_eq!((folded(&parent, BASE, 4 * BLOCK), batches(&mm)), (4 * BLOCK, 4));
        check(&mut child, BASE, 4 * BLOCK, 1);
        assert_eq!((folded(&child, BASE, 4 * BLOCK), batches(&mm)), (4 * BLOCK, 8));
        assert!(child.pte(BASE).is_writable() && !child.pte(BASE).is_dirty(), "it has only read");
        child.write(BASE, 99).unwrap();
        assert!(child.pte(BASE).is_dirty());
        assert_eq!(parent.read(BASE), Ok(99));
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_write_to_a_read_only_shared_block_makes_it_writable_whole_and_folded() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, 2 * BLOCK);
        fill(&mut process, BASE, 2 * BLOCK, 1);
        protect_entries(&process, BASE, 2 * BLOCK);
        let before = mm.machine.counted(Event::PageFaults);
        fill(&mut process, BASE, 2 * BLOCK, 7);
        assert_eq!(
            (mm.machine.counted(Event::PageFaults) - before, mm.machine.counted(Event::Unfold)),
            (2, 0)
        );
        assert_eq!(folded(&process, BASE, 2 * BLOCK), 2 * BLOCK);
        process.exit();
    });
}

#[test]
fn discarding_part_of_a_shared_block_keeps_its_contents_and_the_next_touch_folds_it() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, 2 * BLOCK);
        fill(&mut process, BASE, 2 * BLOCK, 1);
        process.space.madvise(&mm, BASE + 3 * PAGE, BLOCK * PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(process.space.usage(&mm).rss_pages, BLOCK);
        assert_eq!(folded(&process, BASE, 2 * BLOCK), 0);
        check(&mut process, BASE, 2 * BLOCK, 1);
        assert_eq!(process.space.usage(&mm).rss_pages, 2 * BLOCK);
        assert_eq!(folded(&process, BASE, 2 * BLOCK), 2 * BLOCK, "as before");
        process.exit();
    });
}

#[test]
fn object_faults_fail_cleanly_wherever_memory_runs_out() {
    let mm = sized(2048);
    leaks_nothing(&mm, || {
        let object = file(BLOCK + 1);
        let mut process = Process::new(&mm);
        map(&mut process, BASE, BLOCK + 1, MapFlags::empty(), &object, 0);
        let mut held = mm.hold_all();
        let mut failed = 0;
        // The tables below the topmost, the chunk, the page itself.
        while process.read(BASE).is_err() {
            assert_eq!(process.read(BASE), Err(FaultError::Oom));
            failed += 1;
            assert!(held.release(1));
        }
        let tables = paging::Level::PTE.number() - paging::Level::TOP.number();
        assert!(failed > tables, "failed {failed} times");
        assert_eq!(process.space.usage(&mm).rss_pages, 1, "a page alone");
        assert_eq!(process.write(BASE, 9), Err(FaultError::Oom), "no memory for a copy");
        assert_eq!(process.read(BASE), Ok(1));
        drop(held);
        check(&mut process, BASE, BLOCK + 1, 1);
        process.exit();
        mm.object_put(object);
    });
}

/// Shared memory of two blocks, all written, which userfaultfd watches: fork copies its entries.
fn watched<'m>(mm: &'m Mm<HostMachine>) -> Process<'m> {
    let mut process = Process::new(mm);
    map_shared(&mut process, BASE, 2 * BLOCK);
    let (start, end) = (VirtAddr::new(BASE as u64), VirtAddr::new((BASE + 2 * BLOCK * PAGE) as u64));
    process.space.vmas.change(start, end, |vma| vma.flags |= VmaFlags::UFFD_WP | VmaFlags::UFFD_EVENTS);
    process
}

/// Write-protects `pages` pages from `addr` and nothing else, as resolving a write notification may leave them.
fn protect_entries(process: &Process<'_>, addr: usize, pages: usize) {
    let (machine, asid) = (&process.mm.machine, process.space.asid());
    let at = lookup(machine, process.space.root(), VirtAddr::new(addr as u64)).unwrap();
    wrprotect_ptes(machine, asid, at, pages);
    issue_range(machine, asid, at.va(), pages as u64).sync(machine);
}

#[test]
fn pinned_shared_memory_stays_shared_even_if_fork_copies_its_entries() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = watched(&mm);
        fill(&mut parent, BASE, 2 * BLOCK, 1);
        let mut frames = [Pfn::new(0)];
        parent.space.pin_pages(&mm, BASE + PAGE, false, &mut frames).unwrap();
        let mut child = parent.fork().unwrap();
        assert_eq!(child.pte(BASE + PAGE).pfn(), frames[0]);
        assert_eq!(mm.machine.counted(Event::ForkPinnedCopies), 0);
        child.write(BASE + PAGE, 99).unwrap();
        assert_eq!(parent.read(BASE + PAGE), Ok(99));
        mm.unpin(frames[0]);
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_shared_batch_that_differs_in_write_permission_is_read_only_for_the_child() {
    // The seed's mail: shared memory, R/O and R/W in one batch: R/O for the child. Never may it get a writable entry
    // where the parent has none.
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = watched(&mm);
        fill(&mut parent, BASE, 2 * BLOCK, 1);
        protect_entries(&parent, BASE + 3 * PAGE, 1);
        let count = |event| mm.machine.counted(event);
        let (batches, unfolds, flushes) =
            (count(Event::ForkBatches), count(Event::Unfold), count(Event::TlbiAsid));
        let mut child = parent.fork().unwrap();
        assert_eq!(count(Event::ForkBatches) - batches, 2, "one a folio");
        assert_eq!(
            (count(Event::Unfold), count(Event::TlbiAsid)),
            (unfolds, flushes),
            "the parent stays as it is"
        );
        for page in 0..2 * BLOCK {
            let (theirs, ours) = (child.pte(BASE + page * PAGE), parent.pte(BASE + page * PAGE));
            assert_eq!((theirs.is_writable(), ours.is_writable()), (page >= BLOCK, page != 3), "page {page}");
            assert!(!theirs.is_dirty() && !theirs.is_young() && theirs.pfn() == ours.pfn());
        }
        assert_eq!(folded(&child, BASE, 2 * BLOCK), 2 * BLOCK);
        child.write(BASE + 5 * PAGE, 99).unwrap();
        assert_eq!(parent.read(BASE + 5 * PAGE), Ok(99), "shared it is");
        assert_eq!(folded(&child, BASE, 2 * BLOCK), 2 * BLOCK);
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_shared_batch_ends_where_the_dirty_state_changes() {
    let mm = with(FRAMES, MachineConfig { hw_af: true, hw_dirty: true, ..MachineConfig::default() });
    leaks_nothing(&mm, || {
        let mut parent = watched(&mm);
        parent.read(BASE).unwrap();
        parent.write(BASE + 3 * PAGE, 3).unwrap();
        assert!(parent.pte(BASE + 3 * PAGE).is_dirty() && !parent.pte(BASE).is_dirty());
        let batches = mm.machine.counted(Event::ForkBatches);
        let mut child = parent.fork().unwrap();
        assert_eq!(mm.machine.counted(Event::ForkBatches) - batches, 3);
        let entries = (0..BLOCK).map(|page| child.pte(BASE + page * PAGE));
        assert!(entries.into_iter().all(|pte| pte.is_writable() && !pte.is_dirty()));
        assert_eq!(child.read(BASE + 3 * PAGE), Ok(3));
        child.exit();
        parent.exit();
    });
}

#[test]
fn shared_memory_nobody_watches_is_not_copied() {
    let mm = machine();
    let mut parent = Process::new(&mm);
    map_shared(&mut parent, BASE, BLOCK);
    fill(&mut parent, BASE, BLOCK, 1);
    let child = parent.fork().unwrap();
    assert_eq!((mm.machine.counted(Event::ForkBatches), child.space.usage(&mm).rss_pages), (0, 0));
    child.exit();
    parent.exit();
}

#[test]
fn what_is_mapped_of_shared_memory_is_counted_and_no_more_than_all_of_it() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, 2 * BLOCK);
        assert_eq!(mm.anon_and_mapped_pages()[1], 0);
        process.write(BASE, 1).unwrap();
        process.write(BASE + BLOCK * PAGE, 1).unwrap();
        let mapped = mm.anon_and_mapped_pages()[1];
        assert!(mapped >= 2 && mapped == process.space.mapped_everywhere(&mm).rss, "{mapped}");
        let mut child = process.fork().unwrap();
        child.read(BASE).unwrap();
        assert_eq!(mm.anon_and_mapped_pages()[1], mapped, "mapped twice is mapped");
        process.space.munmap(&mm, BASE, 2 * BLOCK * PAGE).unwrap();
        child.exit();
        assert_eq!(mm.anon_and_mapped_pages()[1], 0);
        process.exit();
    });
}
