//! Contiguous blocks.

use super::rig::*;
use crate::Rule::*;
use crate::event::{Access, Action, Domain};
use crate::{Cause, Change, Config};

const A: u64 = 0x4001_0000;

#[test]
fn a_block_sits_in_its_frames_as_in_its_addresses() {
    Rig::new().ptes(rw(A) | CONT).user().fine();
    Rig::new().pte(0, rw(A + 0x1000) | CONT).breaks(ContMisaligned);
    Rig::new().pte(1, rw(A) | CONT).breaks(ContMisaligned);
    // Aligned, but another block's frame.
    Rig::new().pte(0, rw(A) | CONT).pte(1, rw(A + 0x1_1000) | CONT).breaks(ContMisaligned);
}

#[test]
fn valid_members_have_the_bit_all_or_none() {
    Rig::new().pte(0, rw(A) | CONT).pte(1, rw(A + 0x1000)).breaks(ContMixed);
    Rig::new().pte(0, rw(A)).pte(1, rw(A + 0x1000) | CONT).breaks(ContMixed);
    Rig::new().ptes(rw(A)).user().fine();
    // The next group is another block.
    Rig::new().ptes(rw(A) | CONT).pte(16, rw(A + 0x1_0000)).user().fine();
}

#[test]
fn a_whole_block_changes_its_permissions_in_place() {
    let folded = || Rig::new().ptes(rw(A) | CONT);
    folded().ptes(ro(A) | CONT).flush_group().user().fine();
    let half = |rig: Rig| (0..8).fold(rig, |rig, i| rig.pte(i, ro(A + (i << 12)) | CONT));
    half(folded()).flush_group().breaks(ContAttributes);
    half(folded()).fine();
}

#[test]
fn a_partial_change_is_settled_at_the_return_too() {
    // From read-only to writable no flush is due, but the block stays ambiguous.
    let rig = Rig::new().ptes(ro(A) | CONT).pte(3, rw(A + 0x3000) | CONT);
    rig.fine().user().breaks(ContAttributes);
    Rig::new().ptes(ro(A) | CONT).ptes(rw(A) | CONT).user().fine();
}

#[test]
fn a_whole_block_is_cleared_in_place_a_part_is_not() {
    let folded = || Rig::new().ptes(rw(A) | CONT);
    folded().ptes(0).flush_group().user().fine();
    folded().pte(3, 0).fine().flush_group().breaks(ContIncomplete);
    // With the block taken apart first it is fine.
    folded().ptes(0).flush_group().ptes(rw(A)).pte(3, 0).flush(3).user().fine();
}

#[test]
fn every_member_of_a_block_is_invalidated() {
    let short = |pages: u64| {
        let range = u64::from(ASID) << 48 | 1 << 46 | (pages / 2 - 1) << 39 | 3 << 37;
        let rig =
            Rig::new().ptes(rw(A) | CONT).ptes(0).ishst().tlbi(crate::event::TlbiOp::Rvale1, range).ish();
        rig.ptes(rw(A))
    };
    let mut rig = short(14);
    let found = rig.model.take_violations();
    assert!(
        found.iter().all(|v| v.rule == MadeUnclean(Change::Contiguous) && v.cause == Some(Cause::NoTlbi))
    );
    let vas: std::vec::Vec<_> = found.iter().map(|v| v.place.unwrap().va).collect();
    assert_eq!(vas, [0xe000, 0xf000]);
    short(16).fine();
}

#[test]
fn hardware_notes_in_single_members() {
    let clean = rw(A) | CONT | READ_ONLY;
    let config = |hw_dirty| Config { hw_af: true, hw_dirty, ..Config::default() };
    let dirty = |rig: Rig| {
        let (old, new) = (clean + 0x3000, (clean + 0x3000) & !READ_ONLY);
        rig.ptes(clean).quietly(L3 + 24, new).on(1, Action::HwUpdate { pa: L3 + 24, old, new }).user()
    };
    dirty(Rig::with(config(true))).fine();
    // Where software manages it, one dirty member is a block of two minds.
    Rig::new().ptes(clean).pte(3, (clean + 0x3000) & !READ_ONLY).user().breaks(ContAttributes);
    // The flag of one member stands for all: the block may be cached, whatever entry 0 says.
    let old = |rig: Rig| rig.ptes(rw(A) & !AF | CONT).pte(3, (rw(A) | CONT) + 0x3000);
    old(Rig::new()).pte(0, 0x4_0000 | rw(A)).breaks(BreakBeforeMake(Change::OutputAddress));
    Rig::new().ptes(rw(A) & !AF | CONT).ptes(0).pte(0, rw(A + 0x4_0000)).user().fine();
}

#[test]
fn attributes_agree_at_every_moment() {
    Rig::new().pte(0, rw(A) | CONT).pte(1, rw(A + 0x1000) | CONT | ATTR).breaks(ContAttributes);
    Rig::new().pte(0, rw(A) | CONT | ATTR).pte(1, rw(A + 0x1000) | CONT | ATTR).fine();
}

#[test]
fn blocks_of_a_tree_are_checked_when_it_is_loaded() {
    let build = |bad: u64| {
        let rig = Rig::new().quietly(0x11_0000, 0x11_1000 | TABLE).quietly(0x11_1000, 0x11_2000 | TABLE);
        let rig = rig.quietly(0x11_2000, 0x11_3000 | TABLE);
        let rig = (0..16).fold(rig, |rig, i| rig.quietly(0x11_3000 + 8 * i, (rw(A) | CONT) + (i << 12)));
        rig.quietly(0x11_3000 + 8 * 4, bad).load(0, 0x11_0000, 9)
    };
    build((rw(A) | CONT) + 0x4000).fine();
    build((ro(A) | CONT) + 0x4000).breaks(ContAttributes);
    build(0).breaks(ContIncomplete);
}

#[test]
fn kernel_mappings_are_not_folded_or_unfolded() {
    const ROOT1: u64 = 0x12_0000;
    let va = 0xffff_0000_0000_0000u64;
    let tables =
        Rig::new().quietly(ROOT1, (ROOT1 + 0x1000) | TABLE).quietly(ROOT1 + 0x1000, (ROOT1 + 0x2000) | TABLE);
    let tables = tables.quietly(ROOT1 + 0x2000, (ROOT1 + 0x3000) | TABLE);
    let rig = tables.on(0, Action::WriteTtbr1(ROOT1)).on(0, Action::Isb);
    let vaae1 = |rig: Rig| {
        let op = crate::event::Tlbi {
            op: crate::event::TlbiOp::Vaae1,
            broadcast: true,
            operand: (va >> 12) & ((1 << 44) - 1),
        };
        let dsb = Action::Dsb { access: Access::Full, domain: Domain::Ish };
        rig.ishst().on(0, Action::Tlbi(op)).on(0, dsb)
    };
    let at = ROOT1 + 0x3000;
    let rig = vaae1(rig.store(at, kernel(A)).store(at, 0)).store(at, kernel(A)).fine();
    vaae1(rig.store(at, 0)).store(at, kernel(A) | CONT).breaks(KernelContiguous);
}
