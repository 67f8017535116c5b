//! mremap: what arguments mean, where pages and blocks are afterwards, and that a move is one flush.

use paging::{Event, PTES_PER_TABLE, VirtAddr};

use super::*;
use crate::errno::{Errno, Result};
use crate::mm::mremap::{RemapFlags, RemapRequest};
use crate::mm::testing::{machine, sized};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Prot};

const MAYMOVE: RemapFlags = RemapFlags::MAYMOVE;
const FIXED: RemapFlags = RemapFlags::MAYMOVE.union(RemapFlags::FIXED);
const KEEP: RemapFlags = FIXED.union(RemapFlags::DONTUNMAP);
/// Far from BASE, and like it aligned to the largest folio.
const AWAY: usize = BASE + (1 << 32);
/// Pages that one last-level table translates.
const TABLE: usize = PTES_PER_TABLE;
/// Whether tests can afford to fill whole tables: with a 64 KiB granule that is 512 MiB each.
const SMALL_TABLES: bool = TABLE <= 512;

/// mremap by pages.
fn remap(
    process: &mut Process<'_>,
    addr: usize,
    (old, new): (usize, usize),
    flags: RemapFlags,
    new_addr: usize,
) -> Result<usize> {
    process.enter();
    let request = RemapRequest { addr, old_len: old * PAGE, new_len: new * PAGE, flags, new_addr };
    process.space.mremap(process.mm, request)
}

fn flushes(mm: &Mm<HostMachine>) -> [u64; 3] {
    [Event::TlbiRange, Event::TlbiAsid, Event::TlbiVa].map(|event| mm.machine.counted(event))
}

#[test]
fn whole_blocks_move_folded_with_one_flush() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        // Not the table's first block, so that PTEs move and not the table.
        process.map_anon(BASE + 2 * CONT_PTES * PAGE, 8 * CONT_PTES);
        let from = BASE + 2 * CONT_PTES * PAGE;
        fill(&mut process, from, 8 * CONT_PTES, 1);
        let before = flushes(&mm);
        assert_eq!(remap(&mut process, from, (8 * CONT_PTES, 8 * CONT_PTES), FIXED, AWAY), Ok(AWAY));
        let after = flushes(&mm);
        assert_eq!(after.iter().sum::<u64>() - before.iter().sum::<u64>(), 1, "{before:?} {after:?}");
        assert_eq!(folded(&process, AWAY, 8 * CONT_PTES), 8 * CONT_PTES);
        assert_eq!((mm.machine.counted(Event::Unfold), mm.machine.counted(Event::Fold)), (0, 0));
        assert_eq!(process.read(from), Err(FaultError::MapErr));
        check(&mut process, AWAY, 8 * CONT_PTES, 1);
        assert_eq!(process.space.usage(&mm).rss_pages, 8 * CONT_PTES);
        process.exit();
    });
}

#[test]
fn a_block_misaligned_by_a_move_is_unfolded_and_stays_whole() {
    // Failure 12: where the address no longer fits the frames, the bit must not survive.
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 3 * CONT_PTES);
        fill(&mut process, BASE, 3 * CONT_PTES, 5);
        let away = AWAY + 3 * PAGE;
        assert_eq!(remap(&mut process, BASE, (3 * CONT_PTES, 3 * CONT_PTES), FIXED, away), Ok(away));
        assert_eq!(folded(&process, away, 3 * CONT_PTES), 0);
        check(&mut process, away, 3 * CONT_PTES, 5);
        let mut child = process.fork().unwrap();
        child.write(away + PAGE, 99).unwrap();
        check(&mut process, away, 3 * CONT_PTES, 5);
        child.exit();
        fill(&mut process, away, 3 * CONT_PTES, 6);
        // Where it fits again it is folded again, without a fold one by one.
        assert_eq!(remap(&mut process, away, (3 * CONT_PTES, 3 * CONT_PTES), FIXED, BASE), Ok(BASE));
        assert!(folded(&process, BASE, 3 * CONT_PTES) >= 2 * CONT_PTES);
        check(&mut process, BASE, 3 * CONT_PTES, 6);
        process.exit();
    });
}

#[test]
fn a_folio_across_two_tables_is_copied_reused_and_freed_whole() {
    // Failure 5: after a move a folio may straddle a PMD boundary, where batches must end.
    for order in [BLOCK_ORDER, MAX_ORDER] {
        let mm = machine();
        only_order(&mm, order);
        let pages = 1usize << order;
        leaks_nothing(&mm, || {
            let mut process = Process::new(&mm);
            process.map_anon(BASE, pages);
            fill(&mut process, BASE, pages, 1);
            let away = AWAY + (TABLE - pages / 2) * PAGE;
            assert_eq!(remap(&mut process, BASE, (pages, pages), FIXED, away), Ok(away));
            check(&mut process, away, pages, 1);
            let mut child = process.fork().unwrap();
            fill(&mut process, away, pages, 2);
            check(&mut child, away, pages, 1);
            fill(&mut child, away, pages, 3);
            check(&mut process, away, pages, 2);
            child.exit();
            process.space.mprotect(&mm, away, pages * PAGE, Prot::READ).unwrap();
            check(&mut process, away, pages, 2);
            process.space.munmap(&mm, away, pages * PAGE).unwrap();
            assert_eq!(process.space.usage(&mm).rss_pages, 0);
            process.exit();
        });
    }
}

#[test]
fn whole_tables_move_by_their_link() {
    if !SMALL_TABLES {
        return;
    }
    let mm = sized(8192);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        let pages = 2 * TABLE + CONT_PTES;
        process.map_anon(BASE, pages);
        fill(&mut process, BASE, pages, 7);
        let mut child = process.fork().unwrap();
        let count = |event| mm.machine.counted(event);
        let (stores, before) = (count(Event::PteStores), flushes(&mm));
        assert_eq!(remap(&mut process, BASE, (pages, pages), FIXED, AWAY), Ok(AWAY));
        let after = flushes(&mm);
        assert_eq!((count(Event::TablesMoved), after[1] - before[1]), (2, 1), "one flush of the ASID");
        assert_eq!((after[0], after[2]), (before[0], before[2]));
        let stores = count(Event::PteStores) - stores;
        assert!(stores < 4 * CONT_PTES as u64, "{stores} stores for {pages} pages");
        assert_eq!(folded(&process, AWAY, pages), pages);
        check(&mut process, AWAY, pages, 7);
        fill(&mut process, AWAY, pages, 8);
        check(&mut child, BASE, pages, 7);
        assert_eq!(process.read(BASE), Err(FaultError::MapErr));
        // Something new in the old place must not show what was there.
        process.map_anon(BASE, pages);
        assert_eq!(process.read(BASE + 5 * PAGE), Ok(0));
        child.exit();
        process.exit();
    });
}

#[test]
fn blocks_by_descriptor_move_whole_or_are_split_where_they_no_longer_fit() {
    let Some(order) = crate::mm::pmd::PMD_ORDER else { return };
    let mm = sized(8192);
    only_order(&mm, order);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * TABLE);
        fill(&mut process, BASE, 2 * TABLE, 1);
        let count = |event| mm.machine.counted(event);
        let before = (count(Event::SplitPmd), flushes(&mm));
        remap(&mut process, BASE, (2 * TABLE, 2 * TABLE), FIXED, AWAY).unwrap();
        assert_eq!(count(Event::SplitPmd), before.0);
        assert_eq!(flushes(&mm).iter().sum::<u64>() - before.1.iter().sum::<u64>(), 1);
        assert!(process.space.block_at(&mm, VirtAddr::new(AWAY as u64)).is_some());
        check(&mut process, AWAY, 2 * TABLE, 1);
        // Half of the first and half of the second, to where they fit, and to where they do not.
        remap(&mut process, AWAY + TABLE / 2 * PAGE, (TABLE, TABLE), FIXED, BASE + TABLE / 2 * PAGE).unwrap();
        check(&mut process, BASE + TABLE / 2 * PAGE, TABLE, 1u8.wrapping_add((TABLE / 2) as u8));
        check(&mut process, AWAY, TABLE / 2, 1);
        process.map_anon(BASE, 2 * TABLE);
        fill(&mut process, BASE, 2 * TABLE, 3);
        assert!(process.space.block_at(&mm, VirtAddr::new(BASE as u64)).is_some());
        let odd = AWAY + 5 * PAGE;
        remap(&mut process, BASE, (2 * TABLE, 2 * TABLE), FIXED, odd).unwrap();
        check(&mut process, odd, 2 * TABLE, 3);
        let mut child = process.fork().unwrap();
        child.write(odd, 77).unwrap();
        check(&mut process, odd, 2 * TABLE, 3);
        child.exit();
        process.exit();
    });
}

#[test]
fn a_table_moves_on_another_cpu_than_it_was_used_on() {
    if !SMALL_TABLES {
        return;
    }
    let mm = sized(8192);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, TABLE);
        fill(&mut process, BASE, TABLE, 1);
        mm.drain_caches();
        mm.machine.run_on(1);
        remap(&mut process, BASE, (TABLE, TABLE), FIXED, AWAY).unwrap();
        check(&mut process, AWAY, TABLE, 1);
        mm.drain_caches();
        mm.machine.run_on(0);
        remap(&mut process, AWAY, (TABLE, TABLE), FIXED, BASE).unwrap();
        check(&mut process, BASE, TABLE, 1);
        assert_eq!(process.read(AWAY), Err(FaultError::MapErr));
        process.exit();
    });
}

#[test]
fn growing_in_place_shrinking_and_moving_when_something_is_in_the_way() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        fill(&mut process, BASE, CONT_PTES, 1);
        assert_eq!(remap(&mut process, BASE, (CONT_PTES, 2 * CONT_PTES), RemapFlags::empty(), 0), Ok(BASE));
        assert_eq!(process.space.vmas().count(), 1, "still one mapping");
        assert_eq!(process.read(BASE + CONT_PTES * PAGE), Ok(0));
        process.map_anon(BASE + 4 * CONT_PTES * PAGE, 1);
        let grow = (2 * CONT_PTES, 5 * CONT_PTES);
        assert_eq!(remap(&mut process, BASE, grow, RemapFlags::empty(), 0), Err(Errno::ENOMEM));
        // Part of a mapping cannot grow in place.
        assert_eq!(remap(&mut process, BASE, (1, 2), RemapFlags::empty(), 0), Err(Errno::ENOMEM));
        let at = remap(&mut process, BASE, grow, MAYMOVE, 0).unwrap();
        assert!(at != BASE && (at / PAGE).is_multiple_of(CONT_PTES), "so that blocks stay folded: {at:#x}");
        assert_eq!(folded(&process, at, CONT_PTES), CONT_PTES);
        check(&mut process, at, CONT_PTES, 1);
        assert_eq!(process.read(at + 5 * CONT_PTES * PAGE - 1), Ok(0));
        assert_eq!(process.read(BASE), Err(FaultError::MapErr));
        assert_eq!(remap(&mut process, at, (5 * CONT_PTES, 3), RemapFlags::empty(), 0), Ok(at));
        check(&mut process, at, 3, 1);
        assert_eq!(process.read(at + 3 * PAGE), Err(FaultError::MapErr));
        assert_eq!(remap(&mut process, at, (3, 3), RemapFlags::empty(), 0), Ok(at), "as long as it is");
        process.exit();
    });
}

#[test]
fn what_is_left_behind_with_dontunmap_is_empty_and_usable() {
    if !SMALL_TABLES {
        return;
    }
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * TABLE);
        fill(&mut process, BASE + TABLE * PAGE, TABLE, 1);
        process.write(BASE, 77).unwrap();
        assert_eq!(remap(&mut process, BASE, (2 * TABLE, 2 * TABLE), KEEP, AWAY), Ok(AWAY));
        assert_eq!(process.read(AWAY), Ok(77));
        check(&mut process, AWAY + TABLE * PAGE, TABLE, 1);
        assert_eq!((process.read(BASE), process.read(BASE + TABLE * PAGE)), (Ok(0), Ok(0)));
        process.write(BASE + PAGE, 5).unwrap();
        assert_eq!(process.read(BASE + PAGE), Ok(5));
        // Without a demand the address is a wish, or any.
        let any = RemapFlags::MAYMOVE | RemapFlags::DONTUNMAP;
        let at = remap(&mut process, BASE, (2, 2), any, AWAY + 4 * TABLE * PAGE);
        assert_eq!(at, Ok(AWAY + 4 * TABLE * PAGE));
        let at = remap(&mut process, BASE, (2, 2), any, 0).unwrap();
        assert!(process.read(at).is_ok() && at != BASE);
        process.exit();
    });
}

#[test]
fn shared_memory_is_moved_grown_and_duplicated() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        let request = MapRequest {
            addr: BASE,
            len: 4 * PAGE,
            prot: Prot::READ | Prot::WRITE,
            flags: MapFlags::SHARED | MapFlags::FIXED,
            backing: Backing::Anon,
        };
        process.space.mmap(&mm, request).unwrap();
        fill(&mut process, BASE, 4, 1);
        let twin = remap(&mut process, BASE + PAGE, (0, 2), MAYMOVE, 0).unwrap();
        check(&mut process, twin, 2, 2);
        process.write(twin, 50).unwrap();
        assert_eq!(process.read(BASE + PAGE), Ok(50));
        assert_eq!(remap(&mut process, BASE, (0, 2), RemapFlags::empty(), 0), Err(Errno::ENOMEM));
        assert_eq!(remap(&mut process, BASE + PAGE, (2, 2), FIXED, AWAY), Ok(AWAY));
        assert_eq!((process.read(AWAY), process.read(AWAY + PAGE)), (Ok(50), Ok(3)));
        assert_eq!(process.read(BASE + PAGE), Err(FaultError::MapErr));
        assert_eq!((process.read(BASE), process.read(BASE + 3 * PAGE)), (Ok(1), Ok(4)));
        // It is as large as it was made: what lies behind has no pages.
        assert_eq!(remap(&mut process, BASE + 3 * PAGE, (1, 2), RemapFlags::empty(), 0), Ok(BASE + 3 * PAGE));
        assert_eq!(process.read(BASE + 4 * PAGE), Err(FaultError::Bus));
        process.exit();
    });
}

#[test]
fn errors_are_linux_s_and_change_nothing() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 8);
    fill(&mut process, BASE, 8, 1);
    process.space.mprotect(&mm, BASE + 4 * PAGE, 4 * PAGE, Prot::READ).unwrap();
    process.map_anon(AWAY, 4);
    fill(&mut process, AWAY, 4, 9);
    let dontunmap = RemapFlags::DONTUNMAP;
    for (addr, lens, flags, new_addr, error) in [
        (BASE + 1, (1, 2), MAYMOVE, 0, Errno::EINVAL),
        (BASE, (1, 0), MAYMOVE, 0, Errno::EINVAL),
        (BASE, (1, 1), RemapFlags::FIXED, AWAY, Errno::EINVAL),
        (BASE, (1, 1), dontunmap, AWAY, Errno::EINVAL),
        (BASE, (1, 2), MAYMOVE | dontunmap, AWAY, Errno::EINVAL),
        (BASE, (0, 1), MAYMOVE, 0, Errno::EINVAL),
        (BASE, (1, 1), FIXED, AWAY + 1, Errno::EINVAL),
        (BASE, (1, 1), FIXED, 1 << 48, Errno::EINVAL),
        (BASE, (1, 1), FIXED, usize::MAX & !(PAGE - 1), Errno::EINVAL),
        (BASE, (2, 2), FIXED, BASE + PAGE, Errno::EINVAL),
        (BASE + PAGE, (1, 2), FIXED, BASE, Errno::EINVAL),
        (BASE, (1, 1), FIXED, 0, Errno::EPERM),
        (BASE + 8 * PAGE, (1, 2), MAYMOVE, 0, Errno::EFAULT),
        (BASE + 8 * PAGE, (1, 1), MAYMOVE, 0, Errno::EFAULT),
        (BASE, (8, 9), MAYMOVE, 0, Errno::EFAULT),
        (BASE, (5, 5), FIXED, AWAY, Errno::EFAULT),
        (BASE, (1 << 40, 1), RemapFlags::empty(), 0, Errno::EINVAL),
        (BASE, (1, 1 << 36), MAYMOVE, 0, Errno::ENOMEM),
    ] {
        let got = remap(&mut process, addr, lens, flags, new_addr);
        assert_eq!(got, Err(error), "{addr:#x} {lens:?} {flags:?} {new_addr:#x}");
        check(&mut process, BASE, 8, 1);
        check(&mut process, AWAY, 4, 9);
    }
    process.exit();
}

#[test]
fn part_of_the_heap_is_no_longer_heap_and_the_rest_still_moves() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.space.set_brk_start(BASE);
    assert_eq!(process.space.brk(&mm, BASE + 8 * PAGE), BASE + 8 * PAGE);
    fill(&mut process, BASE, 8, 1);
    assert_eq!(remap(&mut process, BASE + 6 * PAGE, (2, 2), FIXED, AWAY), Ok(AWAY));
    let heap = |process: &Process<'_>| {
        let is_heap = |vma: &&crate::mm::Vma| vma.flags.contains(crate::mm::VmaFlags::HEAP);
        process.space.vmas().filter(is_heap).map(|vma| vma.end).collect::<std::vec::Vec<_>>()
    };
    assert_eq!(heap(&process), [VirtAddr::new((BASE + 6 * PAGE) as u64)]);
    check(&mut process, AWAY, 2, 7);
    // Growing over the break is a mapping like any other in the way of brk.
    assert_eq!(remap(&mut process, BASE, (6, 10), RemapFlags::empty(), 0), Ok(BASE));
    assert_eq!(process.space.brk(&mm, BASE + 9 * PAGE), BASE + 8 * PAGE);
    process.exit();
}

#[test]
fn access_permission_moves_along() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, CONT_PTES);
    fill(&mut process, BASE, CONT_PTES, 1);
    process.read(BASE).unwrap();
    process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::empty()).unwrap();
    remap(&mut process, BASE, (CONT_PTES, CONT_PTES), FIXED, AWAY).unwrap();
    assert_eq!(process.read(AWAY), Err(FaultError::AccErr));
    process.space.mprotect(&mm, AWAY, CONT_PTES * PAGE, Prot::READ).unwrap();
    check(&mut process, AWAY, CONT_PTES, 1);
    assert_eq!(process.write(AWAY, 1), Err(FaultError::AccErr));
    assert_eq!(folded(&process, AWAY, CONT_PTES), CONT_PTES);
    process.exit();
}

#[test]
fn a_move_without_memory_for_tables_changes_nothing() {
    if !SMALL_TABLES {
        return;
    }
    let mm = sized(8192);
    let pages = paging::PTES_PER_TABLE + 2 * paging::CONT_PTES;
    let mut process = Process::new(&mm);
    // From the middle of one table to the middle of the next, to where a PUD boundary is in between.
    let (from, to) = (BASE + 5 * PAGE, (1 << 40) - 3 * PAGE);
    process.map_anon(from, pages);
    fill(&mut process, from, pages, 1);
    let mut held = mm.hold_all();
    let mut failed = 0;
    for left in 0.. {
        let flags = RemapFlags::MAYMOVE | RemapFlags::FIXED;
        let request = |addr, new_addr| RemapRequest {
            addr,
            old_len: pages * PAGE,
            new_len: pages * PAGE,
            flags,
            new_addr,
        };
        let moved = process.space.mremap(&mm, request(from, to));
        if moved.is_ok() {
            check(&mut process, to, pages, 1);
            assert_eq!(process.read(from), Err(crate::mm::FaultError::MapErr));
            break;
        }
        assert_eq!(moved, Err(Errno::ENOMEM));
        failed += 1;
        assert_eq!(mm.free_pages(), left, "leaked or lost with {left} frames left");
        check(&mut process, from, pages, 1);
        assert!(held.release(1));
    }
    drop(held);
    assert!(failed >= 6, "two chains of three tables: failed {failed} times");
    process.exit();
}
