//! Pages that change their use too early.

use super::rig::*;
use crate::Cause::*;
use crate::Rule::*;
use crate::event::{Action, TlbiOp};

const A: u64 = 0x4000_0000;

fn unlinked() -> Rig {
    Rig::new().store(L2, 0)
}

#[test]
fn an_unlinked_table_stays_until_walk_caches_are_flushed() {
    let freed = Action::TableFreed { pa: L3 };
    unlinked().on(0, freed).breaks_by(TableReused, NoBarrier);
    unlinked().flush(0).on(0, freed).breaks_by(TableReused, LeafOnly);
    unlinked().flush_asid().on(0, freed).fine();
    // Without the allocator's help: it is written to, or linked elsewhere.
    unlinked().store(L3, 0x1234_5678).breaks_by(TableReused, NoBarrier);
    unlinked().flush_asid().store(L3, 0x1234_5678).fine();
    let elsewhere = |rig: Rig| rig.store(L2 + 16, L3 | TABLE);
    elsewhere(unlinked()).breaks_by(TableReused, NoBarrier);
    elsewhere(unlinked().flush_asid()).fine();
    // Zeroed by means that are no stores of words.
    unlinked().on(0, Action::FramesReused { pa: L3, bytes: 0x1000 }).breaks_by(TableReused, NoBarrier);
}

#[test]
fn a_linked_table_is_not_freed() {
    Rig::new().on(0, Action::TableFreed { pa: L3 }).breaks(TableReused);
    Rig::new().on(0, Action::FramesReused { pa: L1, bytes: 0x1000 }).breaks(TableReused);
}

#[test]
fn what_hung_below_an_unlinked_table_is_stale_too() {
    let deep = || Rig::new().pte(0, rw(A)).store(L1, 0);
    deep().user().breaks_by(StaleAtReturn, NoBarrier);
    deep().flush_asid().user().fine();
    let freed = Action::TableFreed { pa: L3 };
    let vae1 = |rig: Rig, page: u64| rig.ishst().tlbi(TlbiOp::Vae1, u64::from(ASID) << 48 | page).ish();
    // The level 2 table's other entry leads to L3B; only L3's walk is flushed.
    vae1(deep(), 0).on(0, freed).fine();
    vae1(deep(), 0).on(0, Action::TableFreed { pa: L3B }).breaks_by(TableReused, NoTlbi);
}

#[test]
fn a_tree_that_nobody_runs_or_caches_may_be_taken_apart_anyhow() {
    let used = || Rig::new().pte(0, rw(A)).load(0, EMPTY, 0);
    let free = |rig: Rig| {
        rig.on(0, Action::TableFreed { pa: L3 }).on(0, Action::FramesFreed { pa: A, bytes: 0x1000 })
    };
    free(used().flush_asid()).fine();
    free(used()).breaks(TableReused);
    // Flushed too soon: it was loaded, or could still be walked.
    free(Rig::new().pte(0, rw(A)).flush_asid().load(0, EMPTY, 0)).breaks(TableReused);
    let no_isb = Rig::new().pte(0, rw(A)).on(0, Action::WriteTtbr0(EMPTY)).flush_asid();
    free(no_isb.on(0, Action::Isb)).breaks(TableReused);
}

#[test]
fn a_frame_stays_until_translations_to_it_are_gone() {
    let unmapped = || Rig::new().pte(0, rw(A)).pte(0, 0);
    let freed = Action::FramesFreed { pa: A, bytes: 0x1000 };
    let reused = Action::FramesReused { pa: A - 0x1000, bytes: 0x2000 };
    unmapped().on(0, freed).breaks_by(FrameReused, NoBarrier);
    unmapped().ishst().page(0).on(0, reused).breaks_by(FrameReused, NotComplete);
    unmapped().flush(0).on(0, freed).on(0, reused).fine();
    unmapped().on(0, Action::FramesReused { pa: A + 0x1000, bytes: 0x1000 }).fine();
    // Write protection: new contents are nobody's business, but freeing it is.
    let protected = || Rig::new().pte(0, rw(A)).pte(0, ro(A));
    protected().on(0, reused).fine();
    protected().on(0, freed).breaks_by(FrameReused, NoBarrier);
}

#[test]
fn a_frame_with_stale_translations_becomes_no_table() {
    let unmapped = || Rig::new().pte(0, rw(0x10_5000)).pte(0, 0);
    unmapped().store(L2 + 16, 0x10_5000 | TABLE).breaks_by(FrameReused, NoBarrier);
    unmapped().flush(0).store(L2 + 16, 0x10_5000 | TABLE).fine();
}

#[test]
fn a_table_written_without_a_descriptor_store_shows_at_the_next_one() {
    let rig = Rig::new().pte(0, rw(A)).quietly(L3, 0xdead_beef).pte(0, 0);
    rig.breaks(TableReused);
}
