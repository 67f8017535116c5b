//! madvise by the batch: FREE, COLD and POPULATE; and what mprotect costs over many blocks.

use linux_raw_sys::general::{MADV_COLD, MADV_DONTNEED, MADV_FREE, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
use model::machine::MachineConfig;
use paging::Event;

use super::*;
use crate::errno::Errno;
use crate::mm::mremap::{RemapFlags, RemapRequest};
use crate::mm::testing::{machine, sized, with};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Prot};

const RW: Prot = Prot::READ.union(Prot::WRITE);

fn tlbis(mm: &Mm<HostMachine>) -> u64 {
    [Event::TlbiRange, Event::TlbiAsid, Event::TlbiVa].map(|event| mm.machine.counted(event)).iter().sum()
}

/// madvise by pages.
fn advise(process: &mut Process<'_>, addr: usize, pages: usize, advice: u32) -> crate::errno::Result<()> {
    process.enter();
    process.space.madvise(process.mm, addr, pages * PAGE, advice)
}

#[test]
fn lazily_freed_pages_stay_readable_folded_and_cost_one_flush() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 8 * BLOCK);
        fill(&mut process, BASE, 8 * BLOCK, 1);
        let before = tlbis(&mm);
        advise(&mut process, BASE, 8 * BLOCK, MADV_FREE).unwrap();
        assert_eq!((tlbis(&mm) - before, mm.machine.counted(Event::Unfold)), (1, 0));
        assert_eq!(folded(&process, BASE, 8 * BLOCK), 8 * BLOCK);
        assert!(!process.pte(BASE).is_dirty());
        check(&mut process, BASE, 8 * BLOCK, 1);
        process.write(BASE, 77).unwrap();
        assert!(process.pte(BASE).is_dirty(), "the write was noticed");
        process.exit();
    });
}

#[test]
fn memory_that_is_short_is_taken_from_what_was_freed_lazily_and_not_written_since() {
    let mm = sized(64 * BLOCK);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 8 * BLOCK);
        process.map_anon(BASE + 64 * BLOCK * PAGE, 8 * BLOCK);
        fill(&mut process, BASE, 8 * BLOCK, 1);
        process.write(BASE + 64 * BLOCK * PAGE, 1).unwrap();
        advise(&mut process, BASE, 4 * BLOCK, MADV_FREE).unwrap();
        // The second block is wanted after all.
        process.write(BASE + (BLOCK + 3) * PAGE, 99).unwrap();
        let held = mm.hold_all();
        // As many blocks as were freed and not written can be had, and no more.
        for block in 1..=3 {
            assert_eq!(process.write(BASE + (64 + block) * BLOCK * PAGE, 5), Ok(()), "block {block}");
        }
        let mut out = Ok(());
        for page in 0..4 * BLOCK {
            out = process.write(BASE + (68 * BLOCK + page) * PAGE, 5);
            if out.is_err() {
                break;
            }
        }
        assert_eq!(out, Err(FaultError::Oom));
        assert_eq!(process.read(BASE + (BLOCK + 3) * PAGE), Ok(99), "written since: kept");
        check(&mut process, BASE + BLOCK * PAGE, 3, 1u8.wrapping_add(BLOCK as u8));
        check(&mut process, BASE + 4 * BLOCK * PAGE, 4 * BLOCK, 1u8.wrapping_add((4 * BLOCK) as u8));
        drop(held);
        for block in [0, 2, 3] {
            assert_eq!(process.read(BASE + block * BLOCK * PAGE), Ok(0), "block {block} was discarded");
        }
        process.exit();
    });
}

#[test]
fn a_child_keeps_what_its_parent_freed_lazily_before_the_fork() {
    let mm = sized(64 * BLOCK);
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 2 * BLOCK);
        fill(&mut parent, BASE, 2 * BLOCK, 1);
        advise(&mut parent, BASE, 2 * BLOCK, MADV_FREE).unwrap();
        let mut child = parent.fork().unwrap();
        let held = mm.hold_all();
        // Nothing to discard: the child's frames they are too.
        assert_eq!(parent.write(BASE, 9), Err(FaultError::Oom));
        drop(held);
        check(&mut child, BASE, 2 * BLOCK, 1);
        check(&mut parent, BASE, 2 * BLOCK, 1);
        parent.exit();
        check(&mut child, BASE, 2 * BLOCK, 1);
        child.exit();
    });
}

#[test]
fn a_block_that_the_advice_covers_in_part_keeps_its_pages() {
    let mm = sized(64 * BLOCK);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 4 * BLOCK);
        fill(&mut process, BASE, 3 * BLOCK, 1);
        advise(&mut process, BASE + PAGE, 2 * BLOCK, MADV_FREE).unwrap();
        assert_eq!(folded(&process, BASE, 3 * BLOCK), 3 * BLOCK);
        assert!(process.pte(BASE).is_dirty() && !process.pte(BASE + BLOCK * PAGE).is_dirty());
        let held = mm.hold_all();
        assert_eq!(process.write(BASE + 3 * BLOCK * PAGE, 1), Ok(()));
        drop(held);
        check(&mut process, BASE, BLOCK, 1);
        check(&mut process, BASE + 2 * BLOCK * PAGE, BLOCK, 1u8.wrapping_add((2 * BLOCK) as u8));
        assert_eq!(process.read(BASE + BLOCK * PAGE), Ok(0));
        process.exit();
    });
}

#[test]
fn lazily_freed_pages_are_found_where_mremap_put_them() {
    let mm = sized(64 * BLOCK);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * BLOCK);
        process.map_anon(BASE + 64 * BLOCK * PAGE, 1);
        fill(&mut process, BASE, 2 * BLOCK, 1);
        advise(&mut process, BASE, 2 * BLOCK, MADV_FREE).unwrap();
        let request = RemapRequest {
            addr: BASE,
            old_len: 2 * BLOCK * PAGE,
            new_len: 2 * BLOCK * PAGE,
            flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
            new_addr: BASE + 16 * BLOCK * PAGE,
        };
        process.space.mremap(&mm, request).unwrap();
        // The table for it is there already; a frame is what is missing.
        process.read(BASE + 64 * BLOCK * PAGE).unwrap();
        let held = mm.hold_all();
        assert_eq!(process.write(BASE + 64 * BLOCK * PAGE, 1), Ok(()));
        drop(held);
        process.exit();
    });
}

#[test]
fn a_block_by_descriptor_is_freed_lazily_as_one() {
    let Some(order) = crate::mm::pmd::PMD_ORDER else { return };
    let mm = sized(4 << order);
    only_order(&mm, order);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 3 * HUGE);
        process.write(BASE, 1).unwrap();
        process.write(BASE + HUGE * PAGE, 2).unwrap();
        advise(&mut process, BASE, 2 * HUGE, MADV_FREE).unwrap();
        assert_eq!((process.read(BASE), process.read(BASE + HUGE * PAGE)), (Ok(1), Ok(2)));
        process.write(BASE + HUGE * PAGE, 3).unwrap();
        let held = mm.hold_all();
        assert_eq!(process.write(BASE + 2 * HUGE * PAGE, 4), Ok(()));
        drop(held);
        assert_eq!((process.read(BASE), process.read(BASE + HUGE * PAGE)), (Ok(0), Ok(3)));
        process.exit();
    });
}

#[test]
fn cold_pages_are_old_and_nothing_is_flushed_or_unfolded() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4 * BLOCK);
    fill(&mut process, BASE, 4 * BLOCK, 1);
    let before = tlbis(&mm);
    advise(&mut process, BASE + PAGE, 3 * BLOCK, MADV_COLD).unwrap();
    assert_eq!((tlbis(&mm), mm.machine.counted(Event::Unfold)), (before, 0));
    assert!((0..4 * BLOCK).all(|page| {
        let pte = process.pte(BASE + page * PAGE);
        !pte.is_young() && pte.is_dirty() && pte.is_cont()
    }));
    check(&mut process, BASE, 4 * BLOCK, 1);
    process.exit();
}

#[test]
fn populating_costs_a_fault_a_folio_and_a_look_a_block() {
    let mm = machine();
    // Faults are counted, so no CPU may be behind what was stored.
    mm.machine.choose_by(model::machine::Adversary::Newest);
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 8 * BLOCK);
    let count = |event| mm.machine.counted(event);
    let faults = count(Event::PageFaults);
    advise(&mut process, BASE, 8 * BLOCK, MADV_POPULATE_WRITE).unwrap();
    assert_eq!(count(Event::PageFaults) - faults, 8);
    let (faults, stores) = (count(Event::PageFaults), count(Event::PteStores));
    advise(&mut process, BASE, 8 * BLOCK, MADV_POPULATE_WRITE).unwrap();
    fill(&mut process, BASE, 8 * BLOCK, 1);
    assert_eq!((count(Event::PageFaults), count(Event::PteStores)), (faults, stores), "all was there");
    // After a fork each block is copied, once.
    let mut child = process.fork().unwrap();
    let faults = count(Event::PageFaults);
    advise(&mut child, BASE, 8 * BLOCK, MADV_POPULATE_WRITE).unwrap();
    assert!(count(Event::PageFaults) - faults <= 16);
    check(&mut child, BASE, 8 * BLOCK, 1);
    check(&mut process, BASE, 8 * BLOCK, 1);
    child.exit();
    // Untouched memory that is read: the zero page everywhere, for one fault that makes the table.
    advise(&mut process, BASE, 8 * BLOCK, MADV_DONTNEED).unwrap();
    let faults = count(Event::PageFaults);
    advise(&mut process, BASE, 8 * BLOCK, MADV_POPULATE_READ).unwrap();
    assert!(count(Event::PageFaults) - faults <= 1);
    assert!((0..8 * BLOCK).all(|page| process.pte(BASE + page * PAGE).is_special()));
    process.exit();
}

#[test]
fn errors_of_advice_are_linux_s_and_the_rest_is_done() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, BLOCK);
    process.map_anon(BASE + 2 * BLOCK * PAGE, BLOCK);
    fill(&mut process, BASE, BLOCK, 1);
    fill(&mut process, BASE + 2 * BLOCK * PAGE, BLOCK, 1);
    let all = 3 * BLOCK;
    for advice in [MADV_FREE, MADV_COLD] {
        assert_eq!(advise(&mut process, BASE, all, advice), Err(Errno::ENOMEM));
    }
    for block in [0, 2] {
        assert!(!process.pte(BASE + block * BLOCK * PAGE).is_dirty(), "the holes did not stop it");
    }
    assert_eq!(advise(&mut process, BASE, all, MADV_POPULATE_WRITE), Err(Errno::ENOMEM));
    assert!(process.pte(BASE).is_dirty(), "up to the hole");
    process.space.mprotect(&mm, BASE, BLOCK * PAGE, Prot::READ).unwrap();
    assert_eq!(advise(&mut process, BASE, BLOCK, MADV_POPULATE_WRITE), Err(Errno::EINVAL));
    let shared = MapRequest {
        addr: BASE + 8 * BLOCK * PAGE,
        len: PAGE,
        prot: RW,
        flags: MapFlags::SHARED | MapFlags::FIXED,
        backing: Backing::Anon,
    };
    process.space.mmap(&mm, shared).unwrap();
    assert_eq!(advise(&mut process, BASE + 8 * BLOCK * PAGE, 1, MADV_FREE), Err(Errno::EINVAL));
    process.exit();
}

#[test]
fn mprotect_of_a_thousand_blocks_unfolds_none_and_flushes_once() {
    // The figure: Linux needs 2,049 TLBIs.
    if BLOCK > 16 {
        return;
    }
    for tlbi_range in [true, false] {
        let config = MachineConfig { tlbi_range, ttl: tlbi_range, ..MachineConfig::default() };
        let mm = with(1100 * BLOCK, config);
        let pages = 1024 * BLOCK;
        let mut process = Process::new(&mm);
        process.map_anon(BASE, pages);
        fill(&mut process, BASE, pages, 1);
        let spent = |process: &mut Process<'_>, prot| {
            let count = |event| mm.machine.counted(event);
            let events =
                || [Event::TlbiRange, Event::TlbiAsid, Event::TlbiVa, Event::Unfold, Event::Fold].map(count);
            let before = events();
            process.enter();
            process.space.mprotect(&mm, BASE, pages * PAGE, prot).unwrap();
            let after = events();
            assert_eq!(folded(process, BASE, pages), if prot.is_empty() { 0 } else { pages });
            core::array::from_fn::<u64, 5, _>(|index| after[index] - before[index])
        };
        let once = if tlbi_range { [1, 0, 0, 0, 0] } else { [0, 1, 0, 0, 0] };
        assert_eq!(spent(&mut process, Prot::READ), once);
        // Private pages become writable by a fault each block, so nothing changes yet.
        assert_eq!(spent(&mut process, RW), [0; 5]);
        assert_eq!(spent(&mut process, Prot::empty()), once);
        // What had no access is in no TLB.
        assert_eq!(spent(&mut process, RW), [0; 5]);
        check(&mut process, BASE, pages, 1);
        process.exit();
    }
}
