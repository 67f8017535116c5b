//! Operations on many descriptors at once, which are assembly here: each must leave in memory what `paging` says in plain
//! Rust that it does.

use paging::mmu::{Barrier, Features};
use paging::tlbi::Tlbi;
use paging::{CONT_PTES, DescAddr, Event, Mmu, PAGE_SIZE, PTES_PER_TABLE, Pfn, Pte, Sparse};

use super::harness::{Failure, Test, TestResult, test};
use crate::arch::machine::Cpu;
use crate::errno::Errno;
use crate::mm::frame::Kind;

pub(super) const TESTS: &[Test] = &[
    test("entries.runs_are_written_as_one_by_one", runs_are_written_as_one_by_one),
    test("entries.blocks_are_copied_as_one_by_one", blocks_are_copied_as_one_by_one),
    test("entries.holes_are_found_and_left_alone", holes_are_found_and_left_alone),
    test("entries.any_bit_tells_that_they_are_not_clear", any_bit_tells_that_they_are_not_clear),
];

/// The CPU, with nothing but what it does to a single descriptor.
struct Plain;

impl Mmu for Plain {
    fn load(&self, at: DescAddr) -> u64 {
        Cpu.load(at)
    }

    fn store(&self, at: DescAddr, value: u64) {
        Cpu.store(at, value);
    }

    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        Cpu.swap(at, value)
    }

    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        Cpu.compare_exchange(at, old, new)
    }

    fn barrier(&self, barrier: Barrier) {
        Cpu.barrier(barrier);
    }

    fn tlbi(&self, tlbi: Tlbi) {
        Cpu.tlbi(tlbi);
    }

    fn features(&self) -> Features {
        Cpu.features()
    }

    fn count(&self, event: Event, n: u64) {
        Cpu.count(event, n);
    }
}

/// How many of a table's entries the tests use.
const USED: usize = if PTES_PER_TABLE < 8 * CONT_PTES { PTES_PER_TABLE } else { 8 * CONT_PTES };
/// Bits to flip on either side, and where there are no holes.
const FLIPS: (u64, u64, u64) = (1 << 51 | 1 << 7, 1 << 51 | 1 << 10, 1 << 52);

/// Four frames that are no tables to any CPU: what the assembly does goes to the first two, the rest to the others.
struct Frames([Pfn; 4]);

impl Frames {
    fn new() -> Result<Self, Failure> {
        let mut frames = Frames([Pfn::new(0); 4]);
        for frame in &mut frames.0 {
            *frame = crate::mm().alloc_zeroed_frame(Kind::Kernel).ok_or(Errno::ENOMEM)?;
        }
        Ok(frames)
    }

    fn at(&self, frame: usize, index: usize) -> DescAddr {
        DescAddr::new(self.0[frame].addr().get() + 8 * index as u64)
    }

    /// Writes `entry` of 0 to USED to the sources, and clears the destinations.
    fn fill(&self, entry: impl Fn(usize) -> u64) {
        for index in 0..USED {
            for (source, destination) in [(0, 1), (2, 3)] {
                Cpu.store(self.at(source, index), entry(index));
                Cpu.store(self.at(destination, index), 0);
            }
        }
    }

    /// Whether the same was done to both sides.
    fn agree(&self) -> bool {
        let same = |a: usize, b: usize, index| Cpu.load(self.at(a, index)) == Cpu.load(self.at(b, index));
        (0..PTES_PER_TABLE).all(|index| same(0, 2, index) && same(1, 3, index))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for frame in self.0.iter().filter(|frame| frame.get() > 0) {
            crate::mm().free_frames(*frame);
        }
    }
}

/// A written page's entry: of `index` if the frames lie as the entries do.
fn entry(index: usize) -> u64 {
    Pte::user(Pfn::new(0x4_0000)).mkwrite().mkyoung().mkdirty().advance(index as u64).raw()
}

fn runs_are_written_as_one_by_one() -> TestResult {
    let frames = Frames::new()?;
    for nr in (0..2 * CONT_PTES).step_by(if CONT_PTES > 32 { 3 } else { 1 }) {
        for flip in [0, FLIPS.0] {
            frames.fill(|index| entry(index * 3));
            Cpu.copy_entries(frames.at(0, 1), frames.at(1, 1), nr, flip, FLIPS.1);
            Plain.copy_entries(frames.at(2, 1), frames.at(3, 1), nr, flip, FLIPS.1);
            check!(frames.agree());
        }
        Cpu.store_run(frames.at(0, 2), entry(7), nr);
        Plain.store_run(frames.at(2, 2), entry(7), nr);
        Cpu.clear_run(frames.at(1, 1), nr);
        Plain.clear_run(frames.at(3, 1), nr);
        check!(frames.agree());
    }
    Ok(())
}

fn blocks_are_copied_as_one_by_one() -> TestResult {
    let frames = Frames::new()?;
    for blocks in 0..USED / CONT_PTES {
        for flip in [0, FLIPS.0] {
            frames.fill(|index| entry(index ^ (5 * CONT_PTES)));
            Cpu.copy_blocks(frames.at(0, CONT_PTES), frames.at(1, CONT_PTES), blocks, flip, FLIPS.1);
            Plain.copy_blocks(frames.at(2, CONT_PTES), frames.at(3, CONT_PTES), blocks, flip, FLIPS.1);
            check!(frames.agree());
        }
    }
    Ok(())
}

/// Surveys and copies `places` on both sides; returns how many were found if all agrees.
fn survey(frames: &Frames, places: usize, flip: u64) -> Option<usize> {
    let mut found = [[Sparse::EMPTY; USED / CONT_PTES]; 2];
    let attributes = entry(0) & Pte::ATTRIBUTES;
    let by_cpu = Cpu.survey(frames.at(0, 0), attributes, &mut found[0][..places]);
    let plain = Plain.survey(frames.at(2, 0), attributes, &mut found[1][..places]);
    let seen = [&found[0][..by_cpu], &found[1][..plain]];
    Cpu.copy_sparse(frames.at(0, 0), frames.at(1, 0), seen[0], flip, FLIPS.1, FLIPS.2);
    Plain.copy_sparse(frames.at(2, 0), frames.at(3, 0), seen[1], flip, FLIPS.1, FLIPS.2);
    (seen[0] == seen[1] && frames.agree()).then_some(by_cpu)
}

fn holes_are_found_and_left_alone() -> TestResult {
    let frames = Frames::new()?;
    let all = USED / CONT_PTES;
    for hole in (0..CONT_PTES).step_by(if CONT_PTES > 32 { 9 } else { 1 }) {
        // One hole a place, more and more of them, all but one entry, every third, and all of a place.
        let kinds: [&dyn Fn(usize) -> bool; 5] = [
            &|index| index % CONT_PTES == hole,
            &|index| index % CONT_PTES <= hole,
            &|index| index % CONT_PTES != hole,
            &|index| (index + hole).is_multiple_of(3),
            &|index| index / CONT_PTES == hole % all,
        ];
        for (is_hole, flip) in kinds.iter().flat_map(|kind| [(kind, 0), (kind, FLIPS.0)]) {
            frames.fill(|index| if is_hole(index) { 0 } else { entry(index) });
            check!(survey(&frames, all - hole % 2, flip) == Some(all - hole % 2));
        }
        // And something else, in each place in turn.
        let (other, place) = (entry(0) ^ 1 << (hole % 64), hole % all);
        let odd = place * CONT_PTES + hole;
        frames.fill(|index| if index == odd { other + (odd as u64 + 1) * PAGE_SIZE } else { entry(index) });
        check!(survey(&frames, all, FLIPS.0) == Some(place));
        frames.fill(|index| entry(if index / CONT_PTES < place { index } else { index + 1 + hole }));
        let aligned = (hole + 1).is_multiple_of(CONT_PTES);
        check!(survey(&frames, all, 0) == Some(if aligned { all } else { place }));
    }
    Ok(())
}

fn any_bit_tells_that_they_are_not_clear() -> TestResult {
    let frames = Frames::new()?;
    for nr in (1..2 * CONT_PTES).step_by(if CONT_PTES > 32 { 3 } else { 1 }) {
        // One behind does not count.
        Cpu.store(frames.at(0, nr), 1);
        check!(Cpu.are_clear(frames.at(0, 0), nr) && Cpu.empty_run(frames.at(0, 0), nr) == nr);
        Cpu.store(frames.at(0, nr), 0);
        for index in 0..nr {
            Cpu.store(frames.at(0, index), 1 << (index % 64));
            check!(!Cpu.are_clear(frames.at(0, 0), nr) && Cpu.empty_run(frames.at(0, 0), nr) == index);
            Cpu.store(frames.at(0, index), 0);
        }
    }
    Ok(())
}
