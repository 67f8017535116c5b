//! fork of folios with holes: what it costs, and that every page but those that were given back is on both sides.

use linux_raw_sys::general::MADV_DONTNEED;
use model::machine::MachineConfig;
use paging::{CONT_PTES, Event};

use super::*;
use crate::mm::mremap::{RemapFlags, RemapRequest};
use crate::mm::testing::{FRAMES, machine, with};

/// Which pages of a region are given back.
const PATTERNS: [fn(usize) -> bool; 6] = [
    |page| page % CONT_PTES == 5,
    |page| page % CONT_PTES == 0,
    |page| page % CONT_PTES == CONT_PTES - 1,
    |page| page % 3 == 1,
    // Blocks with one page, none, all, and all but one.
    |page| match page / CONT_PTES % 4 {
        0 => page % CONT_PTES != 9,
        1 => true,
        2 => false,
        _ => page % CONT_PTES == 2,
    },
    |page| page == HUGE / 2 + 1,
];

/// A page that the parent writes to after a fork; a block may be all there is.
const WRITTEN: usize = (CONT_PTES + 3) % HUGE;

fn punch(process: &mut Process<'_>, pages: usize, is_hole: fn(usize) -> bool) {
    for page in (0..pages).filter(|page| is_hole(*page)) {
        process.space.madvise(process.mm, BASE + page * PAGE, PAGE, MADV_DONTNEED).unwrap();
    }
}

/// Forks; also returns how many stores to tables, exchanges of entries, updates of counts and flushes that took.
fn fork<'a>(parent: &mut Process<'a>) -> (Process<'a>, [u64; 4]) {
    let events = [Event::PteStores, Event::PteAtomics, Event::FolioRefUpdates, Event::TlbiAsid];
    let count = |event| parent.mm.machine.counted(event);
    let before = events.map(count);
    let child = parent.fork().unwrap();
    let count = |event| parent.mm.machine.counted(event);
    (child, [0, 1, 2, 3].map(|n| count(events[n]) - before[n]))
}

/// Moves `pages` pages.
fn remap(process: &mut Process<'_>, addr: usize, pages: usize, new_addr: usize) {
    process.enter();
    let (len, flags) = (pages * PAGE, RemapFlags::MAYMOVE | RemapFlags::FIXED);
    let request = RemapRequest { addr, old_len: len, new_len: len, flags, new_addr };
    process.space.mremap(process.mm, request).unwrap();
}

/// Checks that pages hold their number, and holes nothing.
fn holds(process: &mut Process<'_>, addr: usize, pages: usize, is_hole: fn(usize) -> bool) {
    for page in (0..pages).step_by(STEP) {
        let expected = if is_hole(page) { 0 } else { page as u8 };
        assert_eq!(process.read(addr + page * PAGE), Ok(expected), "page {page}");
    }
}

#[test]
fn a_page_costs_two_stores_a_folio_one_update_and_a_hole_nothing() {
    for (number, hardware) in (0..PATTERNS.len()).flat_map(|number| [(number, false), (number, true)]) {
        let is_hole = PATTERNS[number];
        for order in [BLOCK_ORDER, LARGE_ORDER, MAX_ORDER] {
            let config = MachineConfig { hw_af: hardware, hw_dirty: hardware, ..MachineConfig::default() };
            let mm = with(FRAMES, config);
            only_order(&mm, order);
            leaks_nothing(&mm, || {
                let mut parent = Process::new(&mm);
                parent.map_anon(BASE, HUGE);
                fill(&mut parent, BASE, HUGE, 0);
                punch(&mut parent, HUGE, is_hole);
                let left = (0..HUGE).filter(|page| !is_hole(*page)).count() as u64;
                let (mut child, [stores, atomics, counts, flushes]) = fork(&mut parent);
                // And those that link the child's tables.
                assert!(
                    (2 * left..2 * left + 8).contains(&stores),
                    "{stores} stores for {left}, order {order}, pattern {number}"
                );
                assert_eq!((atomics, flushes), (0, 1));
                assert!(
                    counts <= (HUGE >> order) as u64,
                    "{counts} updates, order {order}, pattern {number}"
                );
                assert_eq!(child.space.usage(&mm).rss_pages as u64, left);
                // What is protected stays so at the next fork.
                let (mut second, [stores, atomics, counts, flushes]) = fork(&mut parent);
                assert!(
                    (left..left + 8).contains(&stores),
                    "{stores} stores for {left}, order {order}, pattern {number}"
                );
                assert_eq!((atomics, flushes), (0, 0));
                assert!(counts <= (HUGE >> order) as u64);
                parent.write(BASE + WRITTEN * PAGE, 99).unwrap();
                child.write(BASE + (HUGE - 3) * PAGE, 98).unwrap();
                holds(&mut second, BASE, HUGE, is_hole);
                second.exit();
                let seen = child.read(BASE + WRITTEN * PAGE);
                assert_eq!(seen, Ok(if is_hole(WRITTEN) { 0 } else { WRITTEN as u8 }));
                child.exit();
                parent.exit();
            });
        }
    }
}

#[test]
fn frames_that_are_not_a_block_s_are_shared_as_well() {
    // Moved by one page, no frame is where a block would have it.
    let (mm, away) = (machine(), BASE + (1 << 32) + PAGE);
    only_order(&mm, LARGE_ORDER);
    let is_hole = |page: usize| page % CONT_PTES == 5;
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, LARGE);
        fill(&mut parent, BASE, LARGE, 0);
        punch(&mut parent, LARGE, is_hole);
        remap(&mut parent, BASE, LARGE, away);
        let counts = mm.machine.counted(Event::FolioRefUpdates);
        let mut child = parent.fork().unwrap();
        // The first block's end is looked for before it is known not to be one: of a folio that is no larger, the page
        // behind it stands alone.
        let alone = u64::from(LARGE == CONT_PTES);
        assert_eq!(mm.machine.counted(Event::FolioRefUpdates) - counts, 1 + alone);
        child.write(away + 7 * PAGE, 77).unwrap();
        holds(&mut parent, away, LARGE, is_hole);
        parent.write(away + 8 * PAGE, 88).unwrap();
        assert_eq!((child.read(away + 8 * PAGE), child.read(away + 7 * PAGE)), (Ok(8), Ok(77)));
        child.exit();
        parent.exit();
    });
}

#[test]
fn small_folios_that_lie_as_a_block_would_are_counted_each_for_itself() {
    // To the entries' values a block may be made of pairs of pages whose frames follow one another, behind a real one.
    let (mm, pool, other) = (machine(), BASE + (1 << 32), BASE + (2 << 32));
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        only_order(&mm, BLOCK_ORDER);
        parent.map_anon(BASE, 2 * BLOCK);
        parent.map_anon(other, BLOCK);
        fill(&mut parent, other, BLOCK, 0);
        // Moved as the pairs will be, which are soft-dirty for it: entries that differ end a look.
        remap(&mut parent, other, BLOCK, BASE);
        punch(&mut parent, BLOCK, |page| page == 5);
        only_order(&mm, 1);
        parent.map_anon(pool, 4 * BLOCK);
        fill(&mut parent, pool, 4 * BLOCK, 0);
        let addrs = (0..2 * BLOCK).map(|pair| pool + 2 * pair * PAGE);
        let mut pairs: std::vec::Vec<_> = addrs.map(|addr| (parent.pte(addr).pfn().get(), addr)).collect();
        pairs.sort();
        let as_a_block = pairs.windows(BLOCK / 2).find(|pairs| {
            let first = pairs[0].0;
            first % BLOCK as u64 == 0 && (0..).zip(*pairs).all(|(n, pair)| pair.0 == first + 2 * n)
        });
        let as_a_block = as_a_block.expect("a fresh machine has frames that follow one another").to_vec();
        for (place, (_, addr)) in as_a_block.into_iter().enumerate() {
            remap(&mut parent, addr, 2, BASE + (BLOCK + 2 * place) * PAGE);
        }
        let counts = mm.machine.counted(Event::FolioRefUpdates);
        let mut child = parent.fork().unwrap();
        // The block with the hole, each pair there, and each that was left.
        assert_eq!(mm.machine.counted(Event::FolioRefUpdates) - counts, 1 + 2 * BLOCK as u64);
        let seen = [BASE + PAGE, BASE + BLOCK * PAGE].map(|addr| child.read(addr));
        assert_eq!(seen, [BASE + PAGE, BASE + BLOCK * PAGE].map(|addr| parent.read(addr)));
        parent.exit();
        assert_eq!([BASE + PAGE, BASE + BLOCK * PAGE].map(|addr| child.read(addr)), seen);
        child.exit();
    });
}
