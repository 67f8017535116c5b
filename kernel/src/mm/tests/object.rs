//! Files and shared memory as processes map them: whole folios at once, and what is around a fault.

use linux_raw_sys::general::MADV_DONTNEED;
use model::machine::MachineConfig;
use paging::{CONT_PTES, CONT_SIZE, Event};

use super::*;
use crate::mm::testing::{FRAMES, machine, sized, with};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Object, Prot};
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
            mm.object_page(&object, page, crate::mm::VmaFlags::empty()).unwrap();
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
            mm.object_page(&object, page, crate::mm::VmaFlags::empty()).unwrap();
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
        // As a registration for write notification, or a fork, would leave it.
        let at = paging::walk::lookup(&mm.machine, process.space.root(), paging::VirtAddr::new(BASE as u64))
            .unwrap();
        paging::contpte::wrprotect_ptes(&mm.machine, process.space.asid(), at, 2 * BLOCK);
        paging::flush::issue_range(&mm.machine, process.space.asid(), at.va(), 2 * BLOCK as u64)
            .sync(&mm.machine);
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
fn discarding_part_of_a_shared_block_keeps_its_contents() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, 2 * BLOCK);
        fill(&mut process, BASE, 2 * BLOCK, 1);
        process.space.madvise(&mm, BASE + 3 * PAGE, BLOCK * PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(process.space.usage(&mm).rss_pages, BLOCK);
        check(&mut process, BASE, 2 * BLOCK, 1);
        assert_eq!(process.space.usage(&mm).rss_pages, 2 * BLOCK);
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
