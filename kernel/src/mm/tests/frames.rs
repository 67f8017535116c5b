//! Mappings of frames that are not counted: device registers.

use linux_raw_sys::general::{MADV_DONTNEED, MADV_FREE};
use paging::{Event, PTES_PER_TABLE, Pfn};

use super::*;
use crate::errno::Errno;
use crate::mm::frame::Kind;
use crate::mm::testing::{machine, sized};
use crate::mm::{Backing, FaultError, Machine, MapFlags, MapRequest, Prot};

/// Frames where no RAM is.
const NO_RAM: Pfn = Pfn::new(0x900_0000 / paging::PAGE_SIZE);

fn map(
    process: &mut Process<'_>,
    pages: usize,
    first: Pfn,
    prot: Prot,
    flags: MapFlags,
) -> Result<usize, Errno> {
    process.enter();
    let backing = Backing::Frames { first };
    let request = MapRequest { addr: BASE, len: pages * PAGE, prot, flags: flags | MapFlags::FIXED, backing };
    process.space.mmap(process.mm, request)
}

#[test]
fn frames_are_mapped_uncounted_and_copied_as_they_are() {
    let mm = machine();
    leaks_nothing(&mm, || {
        // Even RAM mapped so is not counted: nobody who maps it owns it.
        let first = mm.alloc_frames(BLOCK_ORDER, Kind::Kernel, 0).unwrap();
        let counts = mm.frames.counts(first);
        for page in 0..BLOCK {
            // SAFETY: the frame is this test's own.
            unsafe { mm.machine.ptr(first.add(page as u64).addr()).write((page as u8).wrapping_add(1)) };
        }
        for flags in [MapFlags::empty(), MapFlags::SHARED] {
            let mut parent = Process::new(&mm);
            map(&mut parent, BLOCK, first, Prot::READ, flags).unwrap();
            let pte = parent.pte(BASE);
            assert!(pte.is_special() && !pte.is_writable() && pte.pfn() == first, "there before any fault");
            let pinned = parent.space.pin_pages(&mm, BASE, false, &mut [Pfn::new(0)]);
            assert_eq!(pinned, Err(FaultError::AccErr), "not memory that a pin could keep");
            let mut child = parent.fork().unwrap();
            assert_eq!(child.pte(BASE + PAGE).pfn(), first.add(1), "{flags:?}: nobody could fault it in");
            for process in [&mut parent, &mut child] {
                check(process, BASE, BLOCK, 1);
                assert_eq!(process.write(BASE, 1), Err(FaultError::AccErr));
                assert_eq!((folded(process, BASE, BLOCK), process.space.usage(&mm).rss_pages), (0, 0));
            }
            assert_eq!(mm.frames.counts(first), counts);
            parent.space.munmap(&mm, BASE + 2 * PAGE, PAGE).unwrap();
            assert_eq!(parent.read(BASE + 2 * PAGE), Err(FaultError::MapErr));
            assert_eq!((parent.read(BASE + 3 * PAGE), child.read(BASE + 2 * PAGE)), (Ok(4), Ok(3)));
            parent.exit();
            child.exit();
            assert_eq!(mm.frames.counts(first), counts);
        }
        mm.folio_put(first);
    });
}

#[test]
fn frames_without_an_entry_in_the_frame_table_are_never_looked_up() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        map(&mut parent, PTES_PER_TABLE + 2, NO_RAM, Prot::READ, MapFlags::SHARED).unwrap();
        let last = BASE + (PTES_PER_TABLE + 1) * PAGE;
        let child = parent.fork().unwrap();
        assert_eq!(child.pte(last).pfn(), NO_RAM.add(PTES_PER_TABLE as u64 + 1));
        parent.space.mprotect(&mm, BASE + PAGE, PAGE, Prot::empty()).unwrap();
        assert_eq!(parent.read(BASE + PAGE), Err(FaultError::AccErr));
        let again = parent.fork().unwrap();
        assert!(again.pte(BASE + PAGE).is_protnone());
        parent.space.mprotect(&mm, BASE, PTES_PER_TABLE * PAGE, Prot::READ).unwrap();
        assert_eq!(parent.pte(BASE + PAGE), parent.pte(BASE).advance(1));
        assert_eq!(mm.machine.counted(Event::Fold), 0);
        parent.space.munmap(&mm, BASE, PTES_PER_TABLE * PAGE).unwrap();
        for process in [again, child, parent] {
            process.exit();
        }
    });
}

#[test]
fn frames_can_be_looked_at_and_nothing_else() {
    let mm = machine();
    let mut process = Process::new(&mm);
    for prot in [Prot::WRITE, Prot::READ | Prot::WRITE, Prot::READ | Prot::EXEC] {
        assert_eq!(map(&mut process, 2, NO_RAM, prot, MapFlags::SHARED), Err(Errno::EACCES));
    }
    map(&mut process, 2, NO_RAM, Prot::READ, MapFlags::empty()).unwrap();
    process.map_anon(BASE + 2 * PAGE, 1);
    for prot in [Prot::READ | Prot::WRITE, Prot::EXEC] {
        assert_eq!(process.space.mprotect(&mm, BASE + PAGE, 2 * PAGE, prot), Err(Errno::EACCES));
    }
    for advice in [MADV_DONTNEED, MADV_FREE] {
        assert_eq!(process.space.madvise(&mm, BASE, PAGE, advice), Err(Errno::EINVAL));
    }
    assert!(process.pte(BASE).is_present() && process.write(BASE + 2 * PAGE, 1).is_ok(), "nothing changed");
    process.exit();
}

#[test]
fn a_mapping_of_frames_without_memory_for_its_tables_is_not_made() {
    let mm = sized(1024);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        let mut held = mm.hold_all();
        let mut failed = 0;
        // Two last-level tables and what leads to them.
        while let Err(error) = map(&mut process, 2 * PTES_PER_TABLE, NO_RAM, Prot::READ, MapFlags::SHARED) {
            assert_eq!((error, process.space.vmas().count()), (Errno::ENOMEM, 0));
            assert_eq!(mm.free_pages(), failed, "leaked or lost");
            failed += 1;
            assert!(held.release(1));
        }
        assert!(failed >= 3, "failed {failed} times");
        drop(held);
        process.exit();
    });
}
