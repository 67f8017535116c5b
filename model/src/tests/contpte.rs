//! `paging` over the machine: two CPUs, every kind of hardware, and a judge on each side.

use std::cell::Cell;
use std::vec::Vec;

use paging::batch::FolioSpan;
use paging::contpte::*;
use paging::flush::{Gather, issue_range};
use paging::walk::{lookup, lookup_alloc, unlink_tables};
use paging::{Asid, CONT_PTES, DescAddr, Level, Mmu, PAGE_SIZE, Pfn, PhysAddr, Pte, PteRef, VirtAddr};

use crate::machine::{Adversary, Fault, Machine, MachineConfig, Script};
use crate::{Cause, Change, Rule};

pub(super) const ASID: Asid = Asid::new(7);
pub(super) const VA: u64 = 0x40_0000;
const DATA: u64 = 0x4020_0000;
/// Pages of a block.
const N: u64 = CONT_PTES as u64;

/// A process on a machine: tables from the bottom of memory up, data from [`DATA`].
pub(super) struct Process {
    pub machine: Machine,
    root: PhysAddr,
    next: Cell<u64>,
}

impl Process {
    fn new(config: MachineConfig) -> Process {
        let machine = Machine::new(MachineConfig { ram_bytes: 16 << 20, ..config });
        let root = machine.ram_base();
        for cpu in [1, 0] {
            machine.run_on(cpu);
            machine.set_user_table(root, ASID);
        }
        Process { machine, root, next: Cell::new(root.get() + PAGE_SIZE) }
    }

    pub fn at(&self, page: u64) -> PteRef {
        let mut table = || {
            let page = PhysAddr::new(self.next.replace(self.next.get() + PAGE_SIZE));
            self.machine.zero(page, PAGE_SIZE as usize);
            Some(page)
        };
        lookup_alloc(&self.machine, self.root, VirtAddr::new(VA + page * PAGE_SIZE), &mut table).unwrap()
    }

    /// Page `page` of the data, young and writable.
    fn data(page: u64) -> Pte {
        Pte::user(Pfn::new(DATA / PAGE_SIZE + page)).mkyoung().mkwrite().mkdirty()
    }

    pub fn map(&self, page: u64, nr: usize) {
        set_ptes(&self.machine, self.at(page), Self::data(page), nr);
    }

    pub fn pte(&self, page: u64) -> Pte {
        ptep_get_raw(&self.machine, self.at(page))
    }

    pub fn flush(&self, page: u64, nr: u64) {
        issue_range(&self.machine, ASID, VirtAddr::new(VA + page * PAGE_SIZE), nr).sync(&self.machine);
    }

    /// Lets `cpu` write to a page, with what its fault handler does: adds the flags, or refreshes the TLB.
    pub fn write(&self, cpu: usize, page: u64, value: u8) -> Result<(), Fault> {
        let mut result = Ok(());
        for _ in 0..8 {
            result = self.machine.store_user(cpu, VA + page * PAGE_SIZE, value);
            let pte = self.pte(page);
            if result.is_ok() || !pte.is_valid() || !pte.is_writable() {
                return result;
            }
            self.machine.run_on(cpu);
            if !set_access_flags(&self.machine, ASID, self.at(page), pte.mkyoung().mkdirty()) {
                paging::flush::local_page(&self.machine, ASID, self.at(page).va());
            }
        }
        result
    }

    /// Lets `cpu` read a page; a fault on an entry that is valid meanwhile is repeated, as the walker may be
    /// behind.
    pub fn read(&self, cpu: usize, page: u64) -> Result<u8, Fault> {
        for _ in 0..4 {
            let result = self.machine.load_user(cpu, VA + page * PAGE_SIZE);
            let valid = lookup(&self.machine, self.root, VirtAddr::new(VA + page * PAGE_SIZE))
                .is_some_and(|at| ptep_get_raw(&self.machine, at).is_valid());
            if result.is_ok() || !valid {
                return result;
            }
        }
        panic!("an endless fault loop at page {page}");
    }
}

/// All kinds of hardware, each with all kinds of adversary.
pub(super) fn everywhere(test: impl Fn(&Process)) {
    // Miri is slow, and no kind of hardware has code of its own that is unsafe.
    let kinds = if cfg!(miri) { 7..8 } else { 0..16 };
    for bits in kinds {
        let bit = |n: u32| bits >> n & 1 == 1;
        let all = [Adversary::Random(1), Adversary::Newest, Adversary::Oldest, Adversary::Random(99)];
        for adversary in all.into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            let config = MachineConfig {
                tlbi_range: bit(0),
                ttl: bit(0),
                hw_af: bit(1),
                hw_dirty: bit(1) && bit(2),
                bbm_level: if bit(3) { 2 } else { 0 },
                adversary,
                ..MachineConfig::default()
            };
            test(&Process::new(config));
        }
    }
}

#[test]
fn whole_blocks_are_mapped_folded_used_and_unmapped() {
    everywhere(|process| {
        process.map(0, 3 * CONT_PTES);
        assert!(process.pte(0).is_cont() && process.pte(3 * N - 1).is_cont());
        for (cpu, page) in [(0, 0), (1, 0), (0, N - 1), (1, N), (0, 3 * N - 1)] {
            assert_eq!(process.write(cpu, page, page as u8), Ok(()));
        }
        clear_full_ptes(&process.machine, ASID, process.at(0), 3 * CONT_PTES);
        process.flush(0, 3 * N);
        for (cpu, page) in [(0, 0), (1, N)] {
            assert_eq!(process.read(cpu, page), Err(Fault::Translation(3)));
        }
        process.map(0, 3 * CONT_PTES);
        assert_eq!(process.read(1, N), Ok(N as u8));
    });
}

#[test]
fn a_part_is_protected_by_unfolding_a_whole_in_place() {
    everywhere(|process| {
        process.map(0, 2 * CONT_PTES);
        process.write(0, 3, 3).unwrap();
        wrprotect_ptes(&process.machine, ASID, process.at(4), CONT_PTES + 4);
        process.flush(4, N + 4);
        assert!(!process.pte(3).is_cont() && !process.pte(2 * N - 1).is_cont());
        for cpu in [0, 1] {
            assert_eq!(process.write(cpu, 4, 1), Err(Fault::Permission));
            assert_eq!(process.write(cpu, N + 7, 1), Err(Fault::Permission));
            assert_eq!(process.write(cpu, 3, 1), Ok(()));
            assert_eq!(process.write(cpu, N + 8, 1), Ok(()));
        }
        let mut gather = Gather::new();
        wrprotect_ptes(&process.machine, ASID, process.at(0), 2 * CONT_PTES);
        gather.add_all();
        gather.flush(&process.machine, ASID);
        assert_eq!(process.write(1, 0, 1), Err(Fault::Permission));
        make_writable_ptes(&process.machine, ASID, process.at(0), 2 * CONT_PTES);
        assert_eq!(process.write(1, 0, 9), Ok(()));
        assert_eq!(process.read(0, 0), Ok(9));
    });
}

#[test]
fn a_block_filled_page_by_page_folds_and_one_lost_unfolds() {
    everywhere(|process| {
        let folio = FolioSpan { first: Process::data(0).pfn(), pages: N };
        for page in 0..N {
            set_pte_at(&process.machine, ASID, process.at(page), Process::data(page), Some(folio));
            process.write(page as usize % 2, page, 1).unwrap();
        }
        assert!(process.pte(0).is_cont() && process.pte(N - 1).is_cont());
        process.write(1, 7, 77).unwrap();
        // A copy-on-write fault takes one page elsewhere.
        let old = ptep_clear_flush(&process.machine, ASID, process.at(7));
        assert!(old.is_dirty() && old.is_young());
        set_pte_at(&process.machine, ASID, process.at(7), Process::data(3 * N + 4), None);
        process.write(0, 7, 5).unwrap();
        assert_eq!([process.read(0, 7), process.read(1, 7), process.read(1, 8)], [Ok(5), Ok(5), Ok(1)]);
        assert!(!process.pte(8).is_cont());
        assert!((0..N).all(|page| process.pte(page).is_dirty()));
    });
}

#[test]
fn flags_reach_all_of_a_block_and_dirty_state_is_never_lost() {
    everywhere(|process| {
        let clean = Pte::user(Process::data(0).pfn()).mkwrite();
        set_ptes(&process.machine, process.at(0), clean, CONT_PTES);
        assert!(process.pte(0).is_cont());
        process.write(1, 5, 1).unwrap();
        assert!(ptep_get(&process.machine, process.at(0)).is_dirty());
        process.write(0, 11, 1).unwrap();
        unfold(&process.machine, ASID, process.at(2));
        assert!((0..N).all(|page| process.pte(page).is_dirty() && process.pte(page).is_young()));
        assert_eq!(process.write(0, 2, 1), Ok(()));
    });
}

#[test]
fn tables_go_after_a_flush_of_the_walk_caches() {
    everywhere(|process| {
        process.map(0, CONT_PTES);
        process.write(0, 0, 1).unwrap();
        clear_full_ptes(&process.machine, ASID, process.at(0), CONT_PTES);
        let mut tables = Vec::new();
        let end = VirtAddr::new(Level::TOP.entry_size());
        unlink_tables(
            &process.machine,
            process.root,
            (VirtAddr::new(VA), VirtAddr::new(VA + PAGE_SIZE)),
            (VirtAddr::new(0), end),
            &mut |table, _, _| tables.push(table),
        );
        let mut gather = Gather::new();
        gather.add_all();
        gather.flush(&process.machine, ASID);
        assert_eq!(tables.len() as u8, Level::PTE.number() - Level::TOP.number());
        for table in tables {
            process.machine.emit(0, crate::Action::TableFreed { pa: table.get() });
            process.machine.zero(table, PAGE_SIZE as usize);
        }
        assert_eq!(process.read(1, 0), Err(Fault::Translation(Level::TOP.number())));
        process.map(0, CONT_PTES);
        assert_eq!(process.read(1, 0), Ok(1));
    });
}

/// Like [`everywhere`] for one kind of hardware, collecting violations.
pub(super) fn lenient(adversary: Adversary) -> Process {
    let config = MachineConfig { panic_on_violation: false, adversary, ..MachineConfig::default() };
    Process::new(config)
}

#[test]
fn a_missing_flush_is_wrong_data_and_a_violation() {
    let process = lenient(Adversary::Oldest);
    process.map(0, 1);
    process.write(1, 0, 1).unwrap();
    process.machine.store(process.at(0).desc(), 0);
    process.machine.barrier(paging::Barrier::DsbIsh);
    process.machine.store(process.at(0).desc(), Process::data(50).raw());
    process.machine.barrier(paging::Barrier::DsbIsh);
    // CPU 1 writes to the old page still.
    process.write(1, 0, 42).unwrap();
    let byte = |page: u64| {
        // SAFETY: the address is RAM, and no reference to it is held.
        unsafe { process.machine.ptr(PhysAddr::new(DATA + page * PAGE_SIZE)).read() }
    };
    assert_eq!((byte(0), byte(50)), (42, 0));
    let found = process.machine.take_violations();
    assert_eq!(found[0].rule, Rule::MadeUnclean(Change::OutputAddress));
    assert_eq!(found[0].cause, Some(Cause::NoTlbi));
    // A flush ends it.
    process.flush(0, 1);
    process.write(1, 0, 43).unwrap();
    assert_eq!((byte(0), byte(50)), (42, 43));
}

#[test]
fn a_block_changed_in_part_translates_by_any_member() {
    let process = lenient(Adversary::Oldest);
    process.map(0, CONT_PTES);
    process.read(0, 3).unwrap();
    let at = process.at(3).desc();
    process.machine.store(at, process.pte(3).wrprotect().raw());
    process.flush(0, N);
    assert_eq!(process.write(1, 3, 1), Ok(()), "by a sibling's entry");
    let found = process.machine.take_violations();
    assert_eq!(found[0].rule, Rule::ContAttributes);
}

#[test]
fn a_tlbi_before_its_barrier_and_one_without_completion_do_nothing() {
    // Failure 18: no DSB ISHST before the TLBI.
    let attempt = |before: &[paging::Barrier], after: &[paging::Barrier]| {
        let process = lenient(Adversary::Oldest);
        process.map(0, 1);
        process.write(1, 0, 1).unwrap();
        let at: DescAddr = process.at(0).desc();
        process.machine.store(at, process.pte(0).wrprotect().raw());
        before.iter().for_each(|barrier| process.machine.barrier(*barrier));
        let operand = paging::tlbi::VaOperand::new(
            paging::granule::GRANULE,
            VirtAddr::new(VA),
            ASID,
            Some(paging::Level::PTE),
            true,
        );
        process.machine.tlbi(paging::tlbi::Tlbi::Page(operand, paging::tlbi::Scope::Broadcast));
        after.iter().for_each(|barrier| process.machine.barrier(*barrier));
        process.machine.store_user(1, VA, 2)
    };
    use paging::Barrier::{DsbIsh, DsbIshst};
    assert_eq!(attempt(&[DsbIshst], &[DsbIsh]), Err(Fault::Permission));
    assert_eq!(attempt(&[], &[DsbIsh]), Ok(()));
    assert_eq!(attempt(&[DsbIshst], &[]), Ok(()));
    assert_eq!(attempt(&[DsbIshst], &[DsbIshst]), Ok(()));
}

#[test]
fn scripts_try_every_translation_that_is_permitted() {
    let mut outcomes = Vec::new();
    let mut script = Some(Script::new());
    while let Some(now) = script {
        let process = lenient(Adversary::Newest);
        process.map(0, 1);
        process.write(1, 0, 1).unwrap();
        process.machine.barrier(paging::Barrier::DsbIshst);
        process.machine.store(process.at(0).desc(), Pte::NONE.raw());
        process.machine.set_adversary(Adversary::Script(now));
        outcomes.push(process.read(1, 0));
        let Adversary::Script(used) = process.machine.set_adversary(Adversary::Newest) else { panic!() };
        script = used.advance();
    }
    assert_eq!(outcomes, [Err(Fault::Translation(3)), Ok(1)]);
}

#[test]
fn lookups_agree_with_walks() {
    let process = lenient(Adversary::Newest);
    process.map(5, 1);
    let at = lookup(&process.machine, process.root, VirtAddr::new(VA + 5 * PAGE_SIZE)).unwrap();
    assert_eq!(process.machine.load(at.desc()), Process::data(5).raw());
    let pa = process.machine.translate(0, VA + 5 * PAGE_SIZE + 9, crate::machine::Attempt::Read);
    assert_eq!(pa, Ok(DATA + 5 * PAGE_SIZE + 9));
}
