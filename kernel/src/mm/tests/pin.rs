//! Pinned pages: they stay the process's through fork, copy-on-write and unmapping, and cost nobody else anything.

use linux_raw_sys::general::{MADV_COLLAPSE, MADV_DONTFORK, MADV_DONTNEED};
use paging::{CONT_PTES, Event, Pfn, VirtAddr};

use super::*;
use crate::mm::counts::Counts;
use crate::mm::testing::machine;
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Object, Prot};

const RW: Prot = Prot::READ.union(Prot::WRITE);

/// Pins one page and checks that its frame is the one that is mapped.
fn pin(process: &mut Process<'_>, addr: usize, write: bool) -> Result<Pfn, FaultError> {
    let mut frames = [Pfn::new(0)];
    process.enter();
    assert_eq!(process.space.pin_pages(process.mm, addr, write, &mut frames)?, 1);
    assert_eq!(process.pte(addr).pfn(), frames[0]);
    Ok(frames[0])
}

/// The first byte of a frame.
fn byte(mm: &Mm<HostMachine>, frame: Pfn) -> u8 {
    let mut byte = [0];
    mm.read_pinned(frame, 0, &mut byte);
    byte[0]
}

#[test]
fn a_pinned_page_in_a_block_is_copied_for_the_child_and_stays_where_it_is() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 3 * CONT_PTES);
        fill(&mut parent, BASE, 3 * CONT_PTES, 1);
        let page = CONT_PTES + CONT_PTES / 2;
        let frame = pin(&mut parent, BASE + page * PAGE, false).unwrap();
        let (batches, faults) =
            (mm.machine.counted(Event::ForkBatches), mm.machine.counted(Event::PageFaults));
        let mut child = parent.fork().unwrap();
        assert_eq!(mm.machine.counted(Event::ForkBatches) - batches, 3, "each folio is one batch still");
        assert_eq!(mm.machine.counted(Event::ForkPinnedCopies), CONT_PTES as u64);
        assert_eq!(folded(&parent, BASE, 3 * CONT_PTES), 3 * CONT_PTES);
        assert_eq!(folded(&child, BASE, 3 * CONT_PTES), 2 * CONT_PTES, "the neighbours are shared, folded");
        assert!(parent.pte(BASE + page * PAGE).is_writable() && !parent.pte(BASE).is_writable());
        let entry = child.pte(BASE + page * PAGE);
        assert!(entry.is_writable() && entry.is_dirty());
        // The sharp test: who pinned it sees the parent's next write, which takes no fault, and the child does not.
        parent.write(BASE + page * PAGE, 99).unwrap();
        assert_eq!(mm.machine.counted(Event::PageFaults), faults);
        assert_eq!(byte(&mm, frame), 99);
        check(&mut child, BASE, 3 * CONT_PTES, 1);
        child.write(BASE + page * PAGE, 55).unwrap();
        assert_eq!((parent.read(BASE + page * PAGE), byte(&mm, frame)), (Ok(99), 99));
        mm.unpin(frame);
        let second = parent.fork().unwrap();
        assert_eq!(folded(&second, BASE, 3 * CONT_PTES), 3 * CONT_PTES, "unpinned, it is shared");
        [second, child, parent].into_iter().for_each(Process::exit);
    });
}

#[test]
fn any_page_of_a_larger_folio_pins_all_of_it() {
    let mm = machine();
    only_order(&mm, LARGE_ORDER);
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 2 * LARGE);
        fill(&mut parent, BASE, 2 * LARGE, 3);
        let page = LARGE / 2 + 1;
        let frame = pin(&mut parent, BASE + page * PAGE, true).unwrap();
        let updates = mm.machine.counted(Event::FolioRefUpdates);
        let mut child = parent.fork().unwrap();
        assert_eq!(mm.machine.counted(Event::FolioRefUpdates) - updates, 3, "two batches and what is undone");
        assert_eq!(mm.machine.counted(Event::ForkPinnedCopies), LARGE as u64);
        let head = mm.frames.folio(frame).head;
        assert_eq!(mm.frames.counts(head), Counts { pins: 1, others: 0, maps: LARGE as u32 });
        fill(&mut parent, BASE, 2 * LARGE, 40);
        assert_eq!(byte(&mm, frame), 40 + page as u8);
        check(&mut child, BASE, 2 * LARGE, 3);
        child.exit();
        parent.exit();
        // Nobody maps it any more, and its frames are still there.
        assert_eq!(byte(&mm, frame), 40 + page as u8);
        mm.unpin(frame);
    });
}

#[test]
fn a_page_shared_since_a_fork_is_unshared_before_it_is_pinned() {
    for write in [false, true] {
        let mm = machine();
        leaks_nothing(&mm, || {
            let mut parent = Process::new(&mm);
            parent.map_anon(BASE, CONT_PTES);
            fill(&mut parent, BASE, CONT_PTES, 7);
            let mut child = parent.fork().unwrap();
            let frame = pin(&mut parent, BASE + PAGE, write).unwrap();
            assert_ne!(frame, child.pte(BASE + PAGE).pfn());
            parent.write(BASE + PAGE, 100).unwrap();
            assert_eq!((byte(&mm, frame), child.read(BASE + PAGE)), (100, Ok(8)));
            // The child is on its own with the rest of the folio, and with what the parent left of it.
            child.write(BASE + PAGE, 101).unwrap();
            assert_eq!((byte(&mm, frame), parent.read(BASE + PAGE)), (100, Ok(100)));
            check(&mut child, BASE + 2 * PAGE, CONT_PTES - 2, 9);
            mm.unpin(frame);
            child.exit();
            parent.exit();
        });
    }
}

#[test]
fn a_folio_that_is_only_partly_shared_is_not_pinned_either() {
    // One half was kept back from the child and so is still writable; but pins are counted by the folio.
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, CONT_PTES);
        fill(&mut parent, BASE, CONT_PTES, 1);
        let half = CONT_PTES / 2 * PAGE;
        parent.space.madvise(&mm, BASE, half, MADV_DONTFORK).unwrap();
        let mut child = parent.fork().unwrap();
        assert!(parent.pte(BASE).is_writable());
        let frame = pin(&mut parent, BASE, false).unwrap();
        parent.write(BASE + half, 90).unwrap();
        child.write(BASE + half + PAGE, 91).unwrap();
        check(&mut child, BASE + half, 1, 1 + (CONT_PTES / 2) as u8);
        check(&mut parent, BASE + half + PAGE, 1, 2 + (CONT_PTES / 2) as u8);
        parent.write(BASE, 92).unwrap();
        assert_eq!(byte(&mm, frame), 92);
        mm.unpin(frame);
        child.exit();
        parent.exit();
    });
}

#[test]
fn pinned_twice_takes_two_unpins_and_unmapping_leaves_the_frame() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, CONT_PTES);
        fill(&mut parent, BASE, CONT_PTES, 1);
        let frame = pin(&mut parent, BASE + 5 * PAGE, false).unwrap();
        assert_eq!(pin(&mut parent, BASE + 5 * PAGE, true), Ok(frame));
        mm.unpin(frame);
        let child = parent.fork().unwrap();
        assert_ne!(child.pte(BASE + 5 * PAGE).pfn(), frame, "still pinned once");
        child.exit();
        parent.space.munmap(&mm, BASE + 5 * PAGE, PAGE).unwrap();
        parent.space.madvise(&mm, BASE, PAGE, MADV_DONTNEED).unwrap();
        let mut child = parent.fork().unwrap();
        assert_eq!(child.read(BASE + 5 * PAGE), Err(FaultError::MapErr));
        check(&mut child, BASE + 6 * PAGE, CONT_PTES - 6, 7);
        parent.space.munmap(&mm, BASE, CONT_PTES * PAGE).unwrap();
        assert_eq!(byte(&mm, frame), 6);
        assert_eq!(mm.frames.counts(mm.frames.folio(frame).head), Counts::pins(1));
        mm.unpin(frame);
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_write_fault_never_takes_the_pinned_frame_away() {
    // Read-only and back: the write permission comes back by faults, in VMAs that each show a part of the folio only.
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        fill(&mut process, BASE, CONT_PTES, 1);
        let frame = pin(&mut process, BASE + 3 * PAGE, false).unwrap();
        process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ).unwrap();
        process.space.mprotect(&mm, BASE + 3 * PAGE, PAGE, RW).unwrap();
        process.write(BASE + 3 * PAGE, 77).unwrap();
        assert_eq!((byte(&mm, frame), mm.machine.counted(Event::CowCopy)), (77, 0));
        assert_eq!(process.write(BASE + 4 * PAGE, 1), Err(FaultError::AccErr));
        assert!(!process.pte(BASE + 4 * PAGE).is_writable());
        mm.unpin(frame);
        process.exit();
    });
}

#[test]
fn what_a_child_inherits_of_pinned_pages_keeps_the_vma_s_permissions() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 3);
        fill(&mut parent, BASE, 3, 1);
        let frames = [0, 1, 2].map(|page| pin(&mut parent, BASE + page * PAGE, false).unwrap());
        parent.space.mprotect(&mm, BASE, PAGE, Prot::empty()).unwrap();
        parent.space.mprotect(&mm, BASE + PAGE, PAGE, Prot::READ).unwrap();
        let mut child = parent.fork().unwrap();
        assert_eq!(child.read(BASE), Err(FaultError::AccErr));
        assert_eq!((child.write(BASE + PAGE, 9), child.read(BASE + PAGE)), (Err(FaultError::AccErr), Ok(2)));
        child.write(BASE + 2 * PAGE, 9).unwrap();
        for process in [&mut child, &mut parent] {
            process.enter();
            process.space.mprotect(&mm, BASE, 2 * PAGE, RW).unwrap();
            check(process, BASE, 2, 1);
            fill(process, BASE, 2, 60);
        }
        assert_eq!(frames.map(|frame| byte(&mm, frame)), [60, 61, 3]);
        frames.into_iter().for_each(|frame| mm.unpin(frame));
        child.exit();
        parent.exit();
    });
}

#[test]
fn zeroes_and_private_file_pages_are_unshared_and_shared_ones_are_not() {
    static FILE: [u8; 100] = [9; 100];
    let mm = machine();
    leaks_nothing(&mm, || {
        let file = Object::file(&FILE).unwrap();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2);
        assert_eq!(process.read(BASE), Ok(0));
        let mut map = |flags, backing| {
            process.space.mmap(&mm, MapRequest { addr: 0, len: PAGE, prot: RW, flags, backing }).unwrap()
        };
        let private = map(MapFlags::empty(), Backing::Object { object: file.clone(), page: 0 });
        let shared = map(MapFlags::SHARED, Backing::Anon);
        let places = [BASE, BASE + PAGE, private, shared];
        let frames = places.map(|addr| pin(&mut process, addr, false).unwrap());
        assert!(!frames.contains(&mm.zero_page()));
        assert_eq!(frames.map(|frame| byte(&mm, frame)), [0, 0, 9, 0]);
        let mut child = process.fork().unwrap();
        for (addr, value) in places.into_iter().zip(1..) {
            process.write(addr, value).unwrap();
        }
        assert_eq!(frames.map(|frame| byte(&mm, frame)), [1, 2, 3, 4]);
        assert_eq!(places.map(|addr| child.read(addr).unwrap()), [0, 0, 9, 4]);
        assert_eq!(FILE[0], 9);
        frames.into_iter().for_each(|frame| mm.unpin(frame));
        child.exit();
        process.exit();
        mm.object_put(file);
    });
}

#[test]
fn a_range_is_pinned_folio_by_folio_up_to_the_first_page_that_cannot_be() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 3 * CONT_PTES);
        fill(&mut process, BASE, 3 * CONT_PTES, 1);
        process.space.munmap(&mm, BASE + 2 * CONT_PTES * PAGE, PAGE).unwrap();
        let mut frames = std::vec![Pfn::new(0); 3 * CONT_PTES];
        let updates = mm.machine.counted(Event::FolioRefUpdates);
        assert_eq!(process.space.pin_pages(&mm, BASE + 7, true, &mut frames), Ok(2 * CONT_PTES));
        assert_eq!(mm.machine.counted(Event::FolioRefUpdates) - updates, 2, "one update a folio");
        for (page, frame) in frames[..2 * CONT_PTES].iter().enumerate() {
            assert_eq!(process.pte(BASE + page * PAGE).pfn(), *frame);
            mm.unpin(*frame);
        }
        let mut refused = |addr, write| process.space.pin_pages(&mm, addr, write, &mut frames[..1]);
        assert_eq!(refused(BASE + 2 * CONT_PTES * PAGE, false), Err(FaultError::MapErr));
        assert_eq!(refused(usize::MAX, false), Err(FaultError::MapErr));
        process.space.mprotect(&mm, BASE, PAGE, Prot::READ).unwrap();
        assert_eq!(pin(&mut process, BASE, true), Err(FaultError::AccErr));
        let acquired = mm.machine.counted(Event::PinsAcquired);
        assert_eq!((acquired, mm.machine.counted(Event::PinsReleased)), (2 * CONT_PTES as u64, acquired));
        process.exit();
    });
}

#[test]
fn pins_stop_before_their_field_is_full_and_forks_go_on() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, CONT_PTES);
        fill(&mut parent, BASE, CONT_PTES, 1);
        let mut pins = 0;
        let error = loop {
            match pin(&mut parent, BASE, false) {
                Ok(_) => pins += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error, pins), (FaultError::Oom, 1 << 15));
        let mut child = parent.fork().unwrap();
        check(&mut child, BASE, CONT_PTES, 1);
        child.exit();
        let frame = parent.pte(BASE).pfn();
        (0..pins).for_each(|_| mm.unpin(frame));
        fill(&mut parent, BASE, CONT_PTES, 2);
        parent.exit();
    });
}

#[test]
fn a_hole_is_not_filled_with_the_frame_that_is_pinned() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        fill(&mut process, BASE, CONT_PTES, 1);
        let frame = pin(&mut process, BASE + 3 * PAGE, false).unwrap();
        process.space.madvise(&mm, BASE + 3 * PAGE, PAGE, MADV_DONTNEED).unwrap();
        process.write(BASE + 3 * PAGE, 90).unwrap();
        assert_eq!(byte(&mm, frame), 4);
        assert_ne!(process.pte(BASE + 3 * PAGE).pfn(), frame);
        mm.unpin(frame);
        process.exit();
    });
}

#[test]
fn a_pinned_folio_under_a_block_descriptor_is_copied_as_well() {
    let Some(order) = crate::mm::pmd::PMD_ORDER else { return };
    let mm = machine();
    only_order(&mm, order);
    leaks_nothing(&mm, || {
        let (pages, at) = (1 << order, VirtAddr::new(BASE as u64));
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, pages);
        fill(&mut parent, BASE, pages, 1);
        let frame = pin(&mut parent, BASE + 7 * PAGE, false).unwrap();
        // All in its place, so the folio is not moved, but gets its block descriptor back.
        parent.space.madvise(&mm, BASE, pages * PAGE, MADV_COLLAPSE).unwrap();
        assert!(parent.space.block_at(&mm, at).is_some());
        let mut child = parent.fork().unwrap();
        assert_eq!(mm.machine.counted(Event::ForkPinnedCopies), pages as u64);
        assert!(parent.space.block_at(&mm, at).is_some_and(|block| block.is_writable()));
        parent.write(BASE + 7 * PAGE, 99).unwrap();
        assert_eq!(byte(&mm, frame), 99);
        check(&mut child, BASE, pages, 1);
        mm.unpin(frame);
        child.exit();
        parent.exit();
    });
}

#[test]
fn collapsing_leaves_pinned_pages_where_they_are() {
    let mm = machine();
    only_order(&mm, 0);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        fill(&mut process, BASE, CONT_PTES, 1);
        let frame = pin(&mut process, BASE + PAGE, true).unwrap();
        let collapsed = process.space.madvise(&mm, BASE, CONT_PTES * PAGE, MADV_COLLAPSE);
        assert_eq!((collapsed, process.pte(BASE + PAGE).pfn()), (Err(crate::errno::Errno::EAGAIN), frame));
        process.write(BASE + PAGE, 50).unwrap();
        assert_eq!(byte(&mm, frame), 50);
        mm.unpin(frame);
        process.space.madvise(&mm, BASE, CONT_PTES * PAGE, MADV_COLLAPSE).unwrap();
        assert_eq!(folded(&process, BASE, CONT_PTES), CONT_PTES);
        process.exit();
    });
}
