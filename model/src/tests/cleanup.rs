//! The steps of a clean-up: all of them, in order, by the right CPU, naming the right thing.

use super::rig::*;
use crate::Cause::*;
use crate::Change::*;
use crate::Rule::*;
use crate::event::TlbiOp::*;
use crate::event::{Access, Action, Domain, Tlbi};
use crate::{Cause, Config};

const A: u64 = 0x4000_0000;
const B: u64 = 0x4000_1000;
const BY_ASID: u64 = (ASID as u64) << 48;

fn broken() -> Rig {
    Rig::new().pte(0, rw(A)).pte(0, 0)
}

/// The clean-up `f` ends the old translation, or not for the reason given.
#[track_caller]
fn judge(f: impl Fn(Rig) -> Rig, cause: Option<Cause>) {
    let rig = f(broken()).pte(0, rw(B));
    match cause {
        None => rig.fine(),
        Some(cause) => rig.breaks_by(MadeUnclean(OutputAddress), cause),
    };
}

#[test]
fn store_dsb_tlbi_dsb_is_the_sequence() {
    judge(|rig| rig, Some(NoBarrier));
    judge(|rig| rig.page(0).ish(), Some(TlbiTooEarly));
    judge(|rig| rig.page(0).ishst(), Some(TlbiTooEarly));
    judge(|rig| rig.ishst(), Some(NoTlbi));
    judge(|rig| rig.ishst().page(0), Some(NotComplete));
    judge(|rig| rig.ishst().page(0).ish(), None);
    judge(|rig| rig.page(0).ish().page(0).ish(), None);
}

#[test]
fn only_a_dsb_for_loads_and_stores_of_all_cpus_completes_a_broadcast_tlbi() {
    judge(|rig| rig.ishst().page(0).ishst(), Some(NotComplete));
    judge(|rig| rig.ishst().page(0).dsb(Access::Loads, Domain::Ish), Some(NotComplete));
    judge(|rig| rig.ishst().page(0).dsb(Access::Full, Domain::Sy), None);
    let two = || Rig::new().load(1, ROOT, ASID).pte(0, rw(A)).pte(0, 0).ishst().page(0);
    two().dsb(Access::Full, Domain::Nsh).pte(0, rw(B)).breaks_by(MadeUnclean(OutputAddress), NotComplete);
    two().ish().pte(0, rw(B)).fine();
}

#[test]
fn a_dsb_completes_the_tlbis_of_its_own_cpu_only() {
    let remote = Action::Dsb { access: Access::Full, domain: Domain::Ish };
    judge(|rig| rig.ishst().page(0).on(1, remote), Some(NotComplete));
    // Nor does it publish another CPU's stores.
    judge(|rig| rig.on(1, remote).page(0).ish(), Some(TlbiTooEarly));
}

#[test]
fn the_tlbi_names_address_and_asid() {
    judge(|rig| rig.ishst().page(1).ish(), Some(NoTlbi));
    judge(|rig| rig.ishst().tlbi(Vale1, (ASID as u64 + 1) << 48).ish(), Some(NoTlbi));
    judge(|rig| rig.ishst().tlbi(Vae1, BY_ASID).ish(), None);
    judge(|rig| rig.ishst().tlbi(Vaae1, 0).ish(), None);
    judge(|rig| rig.ishst().tlbi(Vaale1, 0).ish(), None);
    judge(|rig| rig.ishst().tlbi(Aside1, BY_ASID).ish(), None);
    judge(|rig| rig.ishst().tlbi(Aside1, BY_ASID + (1 << 48)).ish(), Some(NoTlbi));
    judge(|rig| rig.ishst().tlbi(Vmalle1, 0).ish(), None);
}

#[test]
fn ranges_cover_so_many_pages_and_no_more() {
    let range = |op, base: u64, num: u64| {
        move |rig: Rig| rig.ishst().tlbi(op, BY_ASID | 1 << 46 | num << 39 | base).ish()
    };
    judge(range(Rvale1, 0, 0), None);
    judge(range(Rvae1, 0, 0), None);
    judge(range(Rvaae1, 0, 0), None);
    judge(range(Rvaale1, 0, 0), None);
    judge(range(Rvale1, 1, 31), Some(NoTlbi));
    // One pair short of the last page of a group.
    let last = |num: u64| {
        let rig =
            Rig::new().pte(15, rw(A)).pte(15, 0).ishst().tlbi(Rvale1, BY_ASID | 1 << 46 | num << 39).ish();
        rig.pte(15, rw(B))
    };
    last(6).breaks_by(MadeUnclean(OutputAddress), NoTlbi);
    last(7).fine();
}

#[test]
fn hints_must_be_right() {
    let ttl = |hint: u64| move |rig: Rig| rig.ishst().tlbi(Vale1, BY_ASID | hint << 44).ish();
    judge(ttl(0b0111), None);
    judge(ttl(0b0110), Some(WrongLevel));
    judge(ttl(0b1011), Some(WrongGranule));
    let range = |tg: u64, level: u64| {
        move |rig: Rig| rig.ishst().tlbi(Rvale1, BY_ASID | tg << 46 | level << 37).ish()
    };
    judge(range(1, 3), None);
    judge(range(1, 2), Some(WrongLevel));
    judge(range(2, 3), Some(WrongGranule));
    // A CPU without FEAT_TTL ignores the field.
    let config = Config { ttl: false, ..Config::default() };
    let rig = Rig::with(config).pte(0, rw(A)).pte(0, 0).ishst().tlbi(Vale1, BY_ASID | 0b0110 << 44).ish();
    rig.pte(0, rw(B)).fine();
}

#[test]
fn last_level_tlbis_leave_walk_caches() {
    let unlinked = || Rig::new().store(L2, 0).ishst();
    let relink = |rig: Rig| rig.store(L2, 0x10_5000 | TABLE);
    relink(unlinked().page(0).ish()).breaks_by(MadeUnclean(Table), LeafOnly);
    relink(unlinked().tlbi(Vae1, BY_ASID | 0x1ff).ish()).fine();
    relink(unlinked().tlbi(Aside1, BY_ASID).ish()).fine();
}

#[test]
fn a_local_tlbi_does_where_no_other_cpu_ran_the_tree() {
    let local = Action::Tlbi(Tlbi { op: Vale1, broadcast: false, operand: BY_ASID });
    let nsh = |rig: Rig| rig.dsb(Access::Full, Domain::Nsh);
    judge(|rig| nsh(nsh(rig).on(0, local)), None);
    let two = || Rig::new().pte(0, rw(A)).load(1, ROOT, ASID);
    nsh(two().pte(0, 0).ishst().on(0, local)).pte(0, rw(B)).breaks_by(MadeUnclean(OutputAddress), LocalOnly);
    two().pte(0, 0).flush(0).pte(0, rw(B)).fine();
    // CPU 1 left, and was flushed since: nothing of the tree can be there.
    let gone = || two().load(1, EMPTY, 0).flush_asid();
    nsh(gone().pte(0, 0).ishst().on(0, local)).pte(0, rw(B)).fine();
    // It left, but was not flushed.
    let left = || two().load(1, EMPTY, 0);
    nsh(left().pte(0, 0).ishst().on(0, local)).pte(0, rw(B)).breaks_by(MadeUnclean(OutputAddress), LocalOnly);
    // A local TLBI on the other CPU does the rest.
    let there = |rig: Rig| {
        let dsb = Action::Dsb { access: Access::Full, domain: Domain::Nsh };
        rig.on(1, local).on(1, dsb)
    };
    there(nsh(left().pte(0, 0).ishst().on(0, local))).pte(0, rw(B)).fine();
}

#[test]
fn what_a_process_lost_is_flushed_before_it_runs_on() {
    let protect = || Rig::new().pte(0, rw(A)).pte(0, ro(A));
    protect().user().breaks_by(StaleAtReturn, NoBarrier);
    protect().flush(1).user().breaks_by(StaleAtReturn, NoTlbi);
    protect().ishst().page(0).user().breaks_by(StaleAtReturn, NotComplete);
    protect().flush(0).user().fine();
    protect().flush_asid().user().fine();
    broken().user().breaks_by(StaleAtReturn, NoBarrier);
    // What it gained is not urgent.
    Rig::new().pte(0, ro(A)).pte(0, rw(A)).user().fine();
    // Another process is not concerned.
    protect().load(0, EMPTY, 0).user().fine();
}

#[test]
fn a_violation_tells_what_happened() {
    let mut rig = broken().page(0).ish().pte(0, rw(B));
    let found = rig.model.take_violations();
    let text = std::format!("{}", found[0]);
    for part in [
        "TlbiTooEarly",
        "va 0x0, level 3, index 0 (block 0, entry 0), asid 5",
        "va 0x0..0x1000, asid 5, last level",
        "DSB Ish",
    ] {
        let told = text.contains(part) || std::format!("{:?}", found[0]).contains(part);
        assert!(told, "{part}: {text}");
    }
    let stores =
        found[0].steps.iter().filter(|step| matches!(step.event.action, Action::Store { .. })).count();
    assert_eq!(stores, 2, "{text}");
    assert_eq!(found[0].place.unwrap().asid, Some(ASID));
}
