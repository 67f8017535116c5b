//! The physical allocator: what it gives out is aligned, nobody else's, and all comes back; and what that costs.
//!
//! The costs are printed for the reader, in nanoseconds of the machine's counter: instructions under QEMU's icount, and
//! nothing to compare without. A *pair* is an allocation and the release of its only reference.

use alloc::vec::Vec;

use paging::{PAGE_SIZE, Pfn};

use super::harness::{Failure, Test, TestResult, test};
use crate::arch::time;
use crate::errno::Errno;
use crate::mm::Machine;
use crate::mm::frame::Kind;

pub(super) const TESTS: &[Test] = &[
    test("allocator.blocks_are_whole_and_nobody_else_s", || each(Blocks::OnlyWhole)),
    test("allocator.and_so_they_are_with_memory_in_pieces", || each(Blocks::InPieces)),
];

/// Pairs one after the other: the per-CPU cache serves all but the first.
const PAIRS: u64 = 256;
/// Log2 of the frames of a block, and how many bytes are allocated before the first is freed: more than a cache holds.
const SIZES: [(u8, u64); 2] = [(0, 4 << 20), (4, 16 << 20)];
/// Of so many bytes of memory in pieces every second page is free.
const PIECES: u64 = 16 << 20;

/// What memory looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocks {
    OnlyWhole,
    InPieces,
}

fn each(state: Blocks) -> TestResult {
    let mut taken = room(PIECES / PAGE_SIZE)?;
    if state == Blocks::InPieces {
        take(0, PIECES / PAGE_SIZE, &mut taken)?;
        let mut index = 0;
        taken.retain(|pfn| {
            index += 1;
            let keep = index % 2 == 0;
            if !keep {
                crate::mm().folio_put(*pfn);
            }
            keep
        });
    }
    let result = SIZES.iter().try_for_each(|(order, bytes)| {
        let many = (bytes / PAGE_SIZE) >> order;
        let (alone, together) = (one_by_one(*order)?, all_at_once(*order, many)?);
        let pieces = if state == Blocks::InPieces { ", memory in pieces" } else { "" };
        crate::println!("# order {order}{pieces}: {alone} ns a pair, {together} if {many} are taken at once");
        Ok(())
    });
    give_back(&mut taken);
    result
}

/// What a pair costs while no other block is taken.
fn one_by_one(order: u8) -> Result<u64, Failure> {
    let mm = crate::mm();
    let start = time::now_ns();
    for _ in 0..PAIRS {
        mm.folio_put(mm.alloc_frames(order, Kind::Kernel, 0).ok_or(Errno::ENOMEM)?);
    }
    Ok((time::now_ns() - start) / PAIRS)
}

/// What a pair costs if `many` blocks are taken before the first goes back. Each is seen to keep what is written to it.
fn all_at_once(order: u8, many: u64) -> Result<u64, Failure> {
    let mm = crate::mm();
    let mut blocks = room(many)?;
    let start = time::now_ns();
    take(order, many, &mut blocks)?;
    let mut cost = time::now_ns() - start;
    let ends = |pfn: &Pfn| [*pfn, pfn.add((1 << order) - 1)];
    for frame in blocks.iter().flat_map(ends) {
        // SAFETY: the frame is this test's, and in the linear map.
        unsafe { mm.machine.ptr(frame.addr()).cast::<u64>().write(frame.get()) };
    }
    let intact = |frame: Pfn| {
        // SAFETY: as above.
        unsafe { mm.machine.ptr(frame.addr()).cast::<u64>().read() == frame.get() }
    };
    let whole =
        blocks.iter().flat_map(ends).all(intact) && blocks.iter().all(|pfn| pfn.get() % (1 << order) == 0);
    let start = time::now_ns();
    give_back(&mut blocks);
    cost += time::now_ns() - start;
    check!(whole);
    Ok(cost / many)
}

/// A list with room for `many` blocks.
fn room(many: u64) -> Result<Vec<Pfn>, Failure> {
    let mut list = Vec::new();
    list.try_reserve_exact(many as usize).map_err(|_| Errno::ENOMEM)?;
    Ok(list)
}

/// Takes `many` blocks, or none; there is room for them in `list`.
fn take(order: u8, many: u64, list: &mut Vec<Pfn>) -> TestResult {
    for _ in 0..many {
        let Some(block) = crate::mm().alloc_frames(order, Kind::Kernel, 0) else {
            give_back(list);
            return Err(Errno::ENOMEM.into());
        };
        list.push(block);
    }
    Ok(())
}

fn give_back(list: &mut Vec<Pfn>) {
    list.drain(..).for_each(|pfn| crate::mm().folio_put(pfn));
}
