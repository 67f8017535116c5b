//! Which changes need break-before-make.

use super::rig::*;
use crate::Change::*;
use crate::Config;
use crate::Rule::*;

const A: u64 = 0x4000_0000;
const B: u64 = 0x4000_1000;

#[test]
fn another_output_address_needs_a_break_if_writable_or_different() {
    Rig::new().pte(0, rw(A)).fine().pte(0, rw(B)).breaks(BreakBeforeMake(OutputAddress));
    Rig::new().pte(0, ro(A)).pte(0, ro(B)).breaks(BreakBeforeMake(OutputAddress));
    Rig::new().pte(0, rw(A)).pte(0, 0).flush(0).pte(0, rw(B)).fine();
    // Read-only on both sides, and the same contents.
    Rig::new().pte(0, ro(0x7000_0000)).pte(0, ro(0x7000_1000)).fine();
    Rig::new().pte(0, ro(0x7000_0000)).pte(0, rw(0x7000_1000)).breaks(BreakBeforeMake(OutputAddress));
}

#[test]
fn permissions_need_no_break() {
    Rig::new().pte(0, rw(A)).pte(0, ro(A)).flush(0).pte(0, rw(A)).flush(0).user().fine();
}

#[test]
fn memory_type_and_shareability_need_a_break() {
    Rig::new().pte(0, rw(A)).pte(0, rw(A) | ATTR).breaks(BreakBeforeMake(MemoryType));
    Rig::new().pte(0, rw(A)).pte(0, rw(A) & !(1 << 8)).breaks(BreakBeforeMake(Shareability));
    Rig::new().pte(0, rw(A)).pte(0, 0).flush(0).pte(0, rw(A) | ATTR).fine();
    Rig::new().pte(0, rw(A)).pte(0, 0).flush(0).pte(0, rw(A) & !(1 << 8)).fine();
}

#[test]
fn an_entry_without_access_flag_was_never_cached() {
    Rig::new().pte(0, rw(A) & !AF).pte(0, rw(B)).fine();
    Rig::new().pte(0, rw(A) & !AF).pte(0, rw(A)).pte(0, rw(B)).breaks(BreakBeforeMake(OutputAddress));
}

#[test]
fn an_entry_whose_access_flag_was_cleared_may_still_be_cached() {
    let old = || Rig::new().pte(0, rw(A)).pte(0, rw(A) & !AF);
    old().pte(0, rw(B)).breaks_by(MadeUnclean(OutputAddress), crate::Cause::NoBarrier);
    old().flush(0).pte(0, rw(B)).fine();
}

#[test]
fn hardware_may_set_the_flag_unseen() {
    let config = |sees_hw_updates| Config { hw_af: true, sees_hw_updates, ..Config::default() };
    let change = |config| Rig::with(config).pte(0, rw(A) & !AF).pte(0, rw(B));
    change(config(true)).fine();
    change(config(false)).breaks(BreakBeforeMake(OutputAddress));
}

#[test]
fn a_walkers_update_makes_an_entry_live() {
    let update = crate::Action::HwUpdate { pa: L3, old: rw(A) & !AF, new: rw(A) };
    let rig = || Rig::with(Config { hw_af: true, ..Config::default() }).pte(0, rw(A) & !AF);
    rig().on(1, update).quietly(L3, rw(A)).pte(0, rw(B)).breaks(BreakBeforeMake(OutputAddress));
}

#[test]
fn a_block_and_a_table_replace_each_other_by_break_or_bbm_level_2() {
    let with = |bbm_level| Rig::with(Config { bbm_level, ..Config::default() });
    let hinted = |rig: Rig, hint: u64| {
        // The third entry of L2 was never used; its block becomes a table.
        rig.store(L2 + 16, block(rw(0x4020_0000)) | hint).store(L2 + 16, 0x10_5000 | TABLE)
    };
    hinted(with(0), 0).breaks(BreakBeforeMake(Size));
    hinted(with(1), 0).breaks(BreakBeforeMake(Size));
    hinted(with(1), 1 << 16).fine();
    hinted(with(2), 0).fine();
    with(0).store(L2, block(rw(0x4020_0000))).breaks(BreakBeforeMake(Size));
    let split = |rig: Rig| rig.store(L2 + 16, block(rw(0x4020_0000))).store(L2 + 16, 0);
    let table = |rig: Rig| rig.store(L2 + 16, 0x10_5000 | TABLE);
    table(split(with(0)).flush(0x600)).breaks_by(MadeUnclean(Size), crate::Cause::NoTlbi);
    table(split(with(0)).flush(0x5ff)).fine();
    split(with(0)).flush_asid().store(L2 + 16, 0x10_5000 | TABLE).fine();
}

#[test]
fn pages_must_be_gone_before_a_block_takes_their_place() {
    let pages = || Rig::new().pte(7, rw(A)).pte(7, 0);
    let vae1 =
        |rig: Rig| rig.store(L2, 0).ishst().tlbi(crate::event::TlbiOp::Vae1, u64::from(ASID) << 48).ish();
    vae1(pages()).store(L2, block(rw(0x4020_0000))).breaks_by(MadeUnclean(Size), crate::Cause::NoTlbi);
    vae1(pages().flush(7)).store(L2, block(rw(0x4020_0000))).fine();
}

#[test]
fn a_table_entry_cannot_be_pointed_elsewhere_in_one_step() {
    Rig::new().store(L2, 0x10_5000 | TABLE).breaks(BreakBeforeMake(Table));
    Rig::new().store(L2, 0).flush_asid().store(L2, 0x10_5000 | TABLE).fine();
}

#[test]
fn the_contiguous_bit_needs_a_break_below_bbm_level_2() {
    let with = |bbm_level| Rig::with(Config { bbm_level, ..Config::default() });
    with(0).pte(0, rw(A)).pte(0, rw(A) | CONT).breaks(BreakBeforeMake(Contiguous));
    with(1).pte(0, rw(A)).pte(0, rw(A) | CONT).breaks(BreakBeforeMake(Contiguous));
    with(2).ptes(rw(A)).ptes(rw(A) | CONT).flush_group().user().fine();
    // Even then not for long.
    with(2).ptes(rw(A)).pte(0, rw(A) | CONT).flush_group().breaks(ContMixed);
    with(0).ptes(rw(A)).ptes(0).flush_group().ptes(rw(A) | CONT).user().fine();
}

#[test]
fn at_level_2_the_other_form_of_a_block_may_stay_until_it_says_something_else() {
    let with = |bbm_level| Rig::with(Config { bbm_level, ..Config::default() });
    let folded = |rig: Rig| rig.ptes(rw(A) | CONT).user();
    let unfolded = |rig: Rig| folded(rig).ptes(rw(A)).ishst().user();
    unfolded(with(2)).fine();
    folded(with(2)).ptes(0).ptes(rw(A)).ishst().user().fine();
    folded(with(0)).ptes(0).ptes(rw(A)).ishst().found_first(MadeUnclean(Contiguous));
    // A page changes what it permits or where it leads: both forms have to go, by one TLBI.
    let protected = |rig: Rig| unfolded(rig).pte(3, ro(A + 0x3000));
    protected(with(2)).flush(3).user().fine();
    protected(with(2)).ishst().user().breaks_by(StaleAtReturn, crate::Cause::NoTlbi);
    let gone = |rig: Rig| unfolded(rig).pte(3, 0);
    gone(with(2)).flush(3).pte(3, rw(B)).user().fine();
    gone(with(2)).flush(4).pte(3, rw(B)).found_first(MadeUnclean(OutputAddress));
}

#[test]
fn what_was_taken_away_and_made_again_was_not_taken_away() {
    let again = |now: u64| Rig::new().pte(0, rw(A)).user().pte(0, 0).pte(0, now).ishst().user();
    again(rw(A)).fine();
    again(ro(A)).breaks_by(StaleAtReturn, crate::Cause::NoTlbi);
}
