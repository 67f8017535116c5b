//! ASIDs, global entries and the kernel's half.

use super::rig::*;
use crate::Rule::*;
use crate::event::{Access, Action, Domain, Tlbi, TlbiOp};

const A: u64 = 0x4000_0000;
const OTHER: u64 = 0x11_0000;

/// Another tree, with one page, that no CPU has loaded.
fn other(rig: Rig) -> Rig {
    let rig = rig.quietly(OTHER, (OTHER + 0x1000) | TABLE).quietly(OTHER + 0x1000, (OTHER + 0x2000) | TABLE);
    rig.quietly(OTHER + 0x2000, (OTHER + 0x3000) | TABLE).quietly(OTHER + 0x3000, rw(A))
}

fn vmalle1(broadcast: bool) -> Action {
    Action::Tlbi(Tlbi { op: TlbiOp::Vmalle1, broadcast, operand: 0 })
}

const DSB_NSH: Action = Action::Dsb { access: Access::Full, domain: Domain::Nsh };

#[test]
fn an_asid_is_flushed_before_another_tree_gets_it() {
    other(Rig::new().pte(0, rw(A))).load(0, OTHER, ASID).breaks(AsidReused);
    other(Rig::new().pte(0, rw(A))).load(0, OTHER, ASID + 1).fine();
    other(Rig::new().pte(0, rw(A)).load(0, EMPTY, 0).flush_asid()).load(0, OTHER, ASID).fine();
    // On a CPU where it never ran nothing is left.
    other(Rig::new().pte(0, rw(A))).load(1, OTHER, ASID).fine();
}

#[test]
fn after_a_rollover_each_cpu_flushes_before_it_switches() {
    let start = || other(Rig::new().pte(0, rw(A)).load(1, ROOT, ASID).load(0, EMPTY, 0));
    let flush_0 = |rig: Rig| rig.on(0, vmalle1(false)).on(0, DSB_NSH);
    let flush_1 = |rig: Rig| rig.on(1, vmalle1(false)).on(1, DSB_NSH);
    // CPU 0 gives the number to the other tree; CPU 1 has not switched yet.
    flush_0(start()).load(0, OTHER, ASID).fine();
    start().load(0, OTHER, ASID).breaks(AsidReused);
    flush_0(start()).load(0, OTHER, ASID).load(1, OTHER, ASID).breaks(AsidReused);
    flush_1(flush_0(start()).load(0, OTHER, ASID).load(1, EMPTY, 0)).load(1, OTHER, ASID).fine();
}

#[test]
fn a_tree_may_get_another_number_and_leaves_its_old_one_behind() {
    let moved = || other(Rig::new().pte(0, rw(A)).load(0, ROOT, ASID + 1));
    moved().load(0, OTHER, ASID).breaks(AsidReused);
    moved().flush_asid().load(0, OTHER, ASID).fine();
    // Its entries carry the new number now.
    let page = |asid: u16| u64::from(asid) << 48;
    let gone = |asid| moved().pte(0, 0).ishst().tlbi(TlbiOp::Vale1, page(asid)).ish().pte(0, rw(A + 0x1000));
    gone(ASID + 1).fine();
    gone(ASID).breaks_by(MadeUnclean(crate::Change::OutputAddress), crate::Cause::NoTlbi);
}

#[test]
fn pages_of_a_process_are_not_global() {
    Rig::new().pte(0, rw(A) & !NG).breaks(GlobalUserPage);
    Rig::new().pte(0, kernel(A)).fine();
    other(Rig::new()).quietly(OTHER + 0x3000, rw(A) & !NG).load(0, OTHER, 7).breaks(GlobalUserPage);
}

#[test]
fn global_and_non_global_do_not_mix() {
    Rig::new().pte(0, kernel(A)).pte(0, kernel(A) | NG).breaks(BreakBeforeMake(crate::Change::Global));
    let was_global = || Rig::new().pte(0, kernel(A)).pte(0, 0);
    // A flush of the ASID spares global entries.
    was_global().flush_asid().pte(0, rw(A)).breaks_by(GlobalOverlap, crate::Cause::NoTlbi);
    was_global().flush(0).pte(0, rw(A)).fine();
    // Another tree after one with global entries.
    let identity = || other(Rig::new().pte(0, kernel(A)).load(0, EMPTY, 0));
    identity().load(0, OTHER, 9).breaks(GlobalOverlap);
    identity().on(0, vmalle1(false)).on(0, DSB_NSH).load(0, OTHER, 9).fine();
}

#[test]
fn the_kernels_tables_are_replaced_by_way_of_the_empty_table() {
    let ttbr1 = |rig: Rig, root: u64| rig.on(0, Action::WriteTtbr1(root)).on(0, Action::Isb);
    let flush = |rig: Rig| rig.on(0, vmalle1(false)).on(0, DSB_NSH).on(0, Action::Isb);
    let kernel_page = |rig: Rig| rig.quietly(OTHER + 0x3000, kernel(A));
    let first = || {
        let rig = kernel_page(other(Rig::new())).quietly(0x12_0000, (OTHER + 0x1000) | TABLE);
        ttbr1(rig, 0x12_0000)
    };
    let second = |rig: Rig| {
        let rig = rig.quietly(0x13_0000, 0x13_1000 | TABLE).quietly(0x13_1000, block(kernel(A)));
        ttbr1(rig, 0x13_0000)
    };
    second(first()).breaks(KernelTableSwitch);
    second(ttbr1(first(), EMPTY)).breaks(KernelTableSwitch);
    second(flush(first())).breaks(KernelTableSwitch);
    second(flush(ttbr1(first(), EMPTY))).fine();
}

#[test]
fn nothing_is_cached_while_translation_is_off() {
    let off = || Rig::new().on(1, Action::SetMmu(false)).load(1, ROOT, ASID);
    let local = Action::Tlbi(Tlbi { op: TlbiOp::Vale1, broadcast: false, operand: u64::from(ASID) << 48 });
    let change =
        |rig: Rig| rig.pte(0, rw(A)).pte(0, 0).ishst().on(0, local).on(0, DSB_NSH).pte(0, rw(A + 0x1000));
    change(off()).fine();
    let on = off().on(1, Action::SetMmu(true));
    change(on).breaks_by(MadeUnclean(crate::Change::OutputAddress), crate::Cause::LocalOnly);
}

#[test]
fn the_granule_is_learnt_from_the_first_tcr() {
    use crate::{Granule, Model, event::Event};
    struct Nothing;
    impl crate::Memory for Nothing {
        fn word(&self, _: u64) -> u64 {
            0
        }
    }
    // TG0: 0b00 is 4 KiB, 0b01 is 64 KiB, 0b10 is 16 KiB.
    for (tg0, granule) in [(0, Granule::K4), (1, Granule::K64), (2, Granule::K16)] {
        let mut model = Model::new(crate::Config::default());
        model.on(Event::new(0, Action::WriteTcr(16 | tg0 << 14)), &Nothing);
        assert_eq!(model.config().granule, granule);
        model.on(Event::new(0, Action::WriteTtbr0(0x100_0000 | 1 << 48)), &Nothing);
        assert!(model.watches(0x100_0000 + granule.page_size() - 8));
        assert!(!model.watches(0x100_0000 + granule.page_size()));
        // Tables are known now.
        model.on(Event::new(0, Action::WriteTcr(16)), &Nothing);
        assert_eq!(model.config().granule, granule);
    }
}

#[test]
fn other_granules_have_other_shapes() {
    use crate::{Config, Granule, Model, event::Event};
    struct Tables;
    impl crate::Memory for Tables {
        fn word(&self, pa: u64) -> u64 {
            match pa {
                0x10_0000 => 0x20_0000 | TABLE,
                0x20_0000 => 0x30_0000 | TABLE,
                // 32 members of a block of 64 KiB pages.
                0x30_0000..0x30_0100 => rw((pa - 0x30_0000) / 8 * 0x1_0000) | CONT,
                _ => 0,
            }
        }
    }
    let mut model = Model::new(Config { granule: Granule::K64, ..Config::default() });
    assert!(model.on(Event::new(0, Action::WriteTtbr0(0x10_0000 | 1 << 48)), &Tables));
    assert_eq!(model.size().0, 3);
    let store = Action::Store { pa: 0x30_00f8, old: rw(31 << 16) | CONT, new: 0 };
    assert!(model.on(Event::new(0, store), &Tables));
    for action in [
        Action::Dsb { access: Access::Stores, domain: Domain::Ish },
        Action::Tlbi(Tlbi { op: TlbiOp::Vale1, broadcast: true, operand: 1 << 48 | 31 << 4 }),
    ] {
        assert!(model.on(Event::new(0, action), &Tables));
    }
    let settled = Action::Dsb { access: Access::Full, domain: Domain::Ish };
    assert!(!model.on(Event::new(0, settled), &Tables));
    assert_eq!(model.take_violations()[0].rule, ContIncomplete);
}
