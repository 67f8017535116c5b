//! Random sequences of operations against the naive implementation. A failing one is shrunk to the shortest that
//! still fails and printed as a list of operations.
//!
//! `PLEAT_SEQUENCES` sets how many are tried; `make test` tries many more than plain `cargo test`.

use core::cell::RefCell;

use model::machine::{Adversary, MachineConfig};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use paging::CONT_PTES;

use super::areas::{Area, AreaOp};
use super::naive::PAGES;
use super::world::{Op, PROCESSES, Stretch, run};
use crate::mm::Mm;
use crate::mm::frame::MAX_ORDER;
use crate::mm::testing::{HostMachine, with};

fn process() -> impl Strategy<Value = usize> {
    0..PROCESSES
}

/// Any stretch, but often whole blocks: that is where folding happens.
fn stretch() -> impl Strategy<Value = Stretch> {
    prop_oneof![
        2 => (0..PAGES, 1..PAGES).prop_map(|(first, pages)| Stretch(first, pages)),
        2 => (0..4usize, 1..5usize).prop_map(|(first, blocks)| Stretch(first * CONT_PTES, blocks * CONT_PTES)),
        1 => (0..PAGES).prop_map(|page| Stretch(page, 1)),
    ]
}

fn area() -> impl Strategy<Value = Area> {
    prop_oneof![4 => Just(Area::Shared), 4 => Just(Area::File), 1 => Just(Area::Device)]
}

/// Any stretch, but often whole blocks.
fn area_op() -> impl Strategy<Value = AreaOp> {
    const BLOCK: usize = paging::CONT_PTES;
    let stretch = || {
        prop_oneof![
            (0..3 * BLOCK, 1..2 * BLOCK),
            (0..3usize, 1..3usize).prop_map(|(first, blocks)| (first * BLOCK, blocks * BLOCK)),
        ]
    };
    prop_oneof![
        2 => (0..3 * BLOCK).prop_map(AreaOp::Read),
        3 => (0..3 * BLOCK).prop_map(AreaOp::Write),
        1 => stretch().prop_map(|(first, pages)| AreaOp::Fill(first, pages)),
        2 => stretch().prop_map(|(first, pages)| AreaOp::Discard(first, pages)),
        2 => (stretch(), 0..3u8).prop_map(|((first, pages), prot)| AreaOp::Protect(first, pages, prot)),
        1 => stretch().prop_map(|(first, pages)| AreaOp::Remap(first, pages)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..=MAX_ORDER).prop_map(Op::FolioOrder),
        1 => Just(Op::FolioOrder(MAX_ORDER)),
        1 => (0..2usize).prop_map(Op::OnCpu),
        1 => (0..=MAX_ORDER, any::<bool>(), any::<bool>()).prop_map(|(o, r, f)| Op::CowPolicy(o, r, f)),
        3 => (process(), stretch()).prop_map(|(p, s)| Op::Map(p, s)),
        2 => (process(), stretch()).prop_map(|(p, s)| Op::Unmap(p, s)),
        3 => (process(), stretch(), 0..3u8).prop_map(|(p, s, prot)| Op::Protect(p, s, prot)),
        2 => (process(), stretch()).prop_map(|(p, s)| Op::Discard(p, s)),
        3 => (process(), stretch(), 0..4u8).prop_map(|(p, s, advice)| Op::Advise(p, s, advice)),
        3 => (process(), stretch(), 0..PAGES, 0..4u8).prop_map(|(p, s, to, how)| Op::Move(p, s, to, how)),
        2 => (process(), stretch(), 0..4usize).prop_map(|(p, s, block)| Op::Move(p, s, block * CONT_PTES, 0)),
        1 => (process(), stretch(), 1..24usize).prop_map(|(p, s, more)| Op::Grow(p, s, more)),
        1 => (process(), stretch()).prop_map(|(p, s)| Op::Shrink(p, s)),
        1 => (process(), stretch()).prop_map(|(p, s)| Op::Collapse(p, s)),
        2 => (process(), stretch()).prop_map(|(p, s)| Op::PageOut(p, s)),
        2 => (process(), stretch(), any::<bool>()).prop_map(|(p, s, on)| Op::WriteProtect(p, s, on)),
        1 => process().prop_map(Op::ClearSoftDirty),
        2 => (process(), 0..PAGES).prop_map(|(p, page)| Op::Read(p, page)),
        4 => (process(), 0..PAGES).prop_map(|(p, page)| Op::Write(p, page)),
        4 => (process(), stretch()).prop_map(|(p, s)| Op::Fill(p, s)),
        5 => (process(), area(), area_op()).prop_map(|(p, area, op)| Op::In(p, area, op)),
        2 => (process(), stretch(), any::<bool>()).prop_map(|(p, s, write)| Op::Pin(p, s, write)),
        2 => (0..2 * PAGES).prop_map(Op::Unpin),
        4 => process().prop_map(Op::Fork),
        2 => process().prop_map(Op::Exit),
    ]
}

/// Frames of a machine: enough for all processes to have copies of everything.
const FRAMES: usize = 6144;

/// What a machine has: range TLBIs, an access flag kept by hardware, dirty state kept by hardware, a BBM level.
type Kind = (bool, bool, bool, u8);

fn of_kind((tlbi_range, hw_af, hw_dirty, bbm_level): Kind) -> Mm<HostMachine> {
    let config = MachineConfig::default();
    let config = MachineConfig { tlbi_range, ttl: tlbi_range, hw_af, hw_dirty, bbm_level, ..config };
    let mm = with(FRAMES, config);
    // Less than processes may want to page out.
    mm.swap_on(100).unwrap();
    mm
}

/// Tries random sequences on machines of two kinds, a third of `PLEAT_SEQUENCES` altogether.
fn try_on(kinds: [Kind; 2]) {
    let cases = std::env::var("PLEAT_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000) / 3;
    // Machines serve many sequences; one that failed is broken, and shrinking needs a new one.
    let kept = [const { RefCell::new(None) }; 2];
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let input = (0..2usize, any::<u64>(), prop::collection::vec(op(), 1..24));
    let outcome = TestRunner::new(config).run(&input, |(number, seed, ops)| {
        let mm = kept[number].take().unwrap_or_else(|| of_kind(kinds[number]));
        mm.machine.choose_by(Adversary::Random(seed));
        run(&mm, ops);
        kept[number].replace(Some(mm));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn random_sequences_agree_with_the_naive_implementation() {
    try_on([(true, false, false, 0), (false, false, false, 0)]);
}

#[test]
fn random_sequences_agree_where_hardware_keeps_the_flags() {
    try_on([(true, true, true, 0), (false, true, false, 0)]);
}

#[test]
fn random_sequences_agree_where_folding_needs_no_flush() {
    try_on([(true, true, true, 2), (true, false, false, 2)]);
}
