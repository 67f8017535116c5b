//! Each flush helper does flush: an entry is used, so that the TLB holds it, then cleared, then flushed; the next
//! access must fault. Whether the stale entry still worked in between is hardware's choice, and told on the way.

use paging::contpte::clear_full_ptes;
use paging::flush::{Gather, issue_asid, issue_range, local_page};
use paging::tlbi::{Scope, Tlbi};
use paging::{Asid, Barrier, CONT_PTES, Mmu, PAGE_SIZE, VirtAddr};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::arch::machine::Cpu;
use crate::arch::probe;

pub(super) const TESTS: &[Test] = &[
    test("flush.one_page", || cleared_is_gone(1, |asid, va| issue_range(&Cpu, asid, va, 1).sync(&Cpu))),
    test("flush.one_page_on_this_cpu", || cleared_is_gone(1, |asid, va| local_page(&Cpu, asid, va))),
    test("flush.a_block", || {
        cleared_is_gone(CONT_PTES, |asid, va| issue_range(&Cpu, asid, va, CONT_PTES as u64).sync(&Cpu))
    }),
    test("flush.an_odd_range", || cleared_is_gone(67, |asid, va| issue_range(&Cpu, asid, va, 67).sync(&Cpu))),
    test("flush.a_long_range", || {
        cleared_is_gone(600, |asid, va| issue_range(&Cpu, asid, va, 600).sync(&Cpu))
    }),
    test("flush.an_address_space", || cleared_is_gone(64, |asid, _| issue_asid(&Cpu, asid).sync(&Cpu))),
    test("flush.a_gather", || cleared_is_gone(40, gathered)),
    test("flush.everything", || cleared_is_gone(8, |_, _| everything(Scope::Broadcast))),
    test("flush.everything_on_this_cpu", || cleared_is_gone(8, |_, _| everything(Scope::Local))),
];

fn cleared_is_gone(pages: usize, flush: fn(Asid, VirtAddr)) -> TestResult {
    let mut sandbox = Sandbox::filled(pages, 1)?;
    // A neighbour that must survive in any case.
    sandbox.map(BASE + pages * PAGE, 1)?;
    sandbox.write(BASE + pages * PAGE, 99)?;
    check!(sandbox.holds(pages, 1));
    let first = sandbox.at(BASE).ok_or(crate::errno::Errno::EFAULT)?;
    let (asid, mut stale) = (sandbox.space().asid(), 0);
    let mut unmapped = crate::mm::gather::Unmapped::new(crate::mm(), Asid::NONE);
    let mut done = 0;
    while done < pages {
        let at = match sandbox.at(BASE + done * PAGE) {
            Some(at) => at,
            None => break,
        };
        let nr = at.left_in_table().min(pages - done);
        for page in 0..nr {
            let folio = crate::mm().frames.folio(sandbox.pte(BASE + (done + page) * PAGE).pfn());
            unmapped.folio(folio.head, 1);
        }
        clear_full_ptes(&Cpu, asid, at, nr);
        done += nr;
    }
    for page in 0..pages {
        stale += usize::from(probe::load_user(BASE + page * PAGE).is_ok());
    }
    flush(asid, first.va());
    let gone = (0..pages).all(|page| probe::load_user(BASE + page * PAGE).is_err());
    unmapped.finish();
    log::debug!("{stale} of {pages} stale entries still worked before the flush");
    check!(gone);
    check!(sandbox.read(BASE + pages * PAGE) == Ok(99));
    Ok(())
}

fn gathered(asid: Asid, va: VirtAddr) {
    let mut gather = Gather::new();
    gather.add(va.add(39 * PAGE_SIZE), va.add(40 * PAGE_SIZE));
    gather.add(va, va.add(PAGE_SIZE));
    gather.flush(&Cpu, asid);
}

fn everything(scope: Scope) {
    Cpu.barrier(Barrier::DsbIshst);
    Cpu.tlbi(Tlbi::All(scope));
    Cpu.barrier(Barrier::DsbIsh);
    Cpu.barrier(Barrier::Isb);
}
