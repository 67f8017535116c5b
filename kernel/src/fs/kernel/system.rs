//! What `/proc` tells of the system as a whole.

use paging::{Event, PAGE_SIZE};

use super::kib;
use crate::errno::Result;
use crate::fs::generated::proc_system::{self, Memory};
use crate::fs::generated::procfs;
use crate::fs::generated::text::Text;
use crate::mm::folio_stats::{FolioEvent, FolioStat};
use crate::mm::frame::MAX_ORDER;
use crate::mm::pmd::PMD_PAGES;
use crate::mm::smaps::ByBlocks;
use crate::{arch, proc, syscall};

/// How memory is mapped, in pages: found by a look at all address spaces.
#[derive(Default)]
struct InSpaces {
    /// By block descriptors: anonymous memory, and files and shared memory.
    pmd: [u64; 2],
    /// Anonymous memory, by contpte blocks.
    contpte: u64,
    /// Locked, and there.
    locked: u64,
}

impl InSpaces {
    fn count() -> Self {
        let (mm, mut sum) = (crate::mm(), InSpaces::default());
        super::for_each_space(|space| {
            let ByBlocks { contpte, pmd } = space.mapped_by_blocks(mm);
            sum.pmd = [sum.pmd[0] + pmd[0], sum.pmd[1] + pmd[1]];
            sum.contpte += contpte;
            sum.locked += space.mlocked_bytes(mm) / PAGE_SIZE;
        });
        sum
    }
}

/// `/proc/vmstat`: the events that are counted as they happen, then levels and what follows from other counts, under
/// Linux's names where it has one. Files are all of tmpfs, so what they have is shared memory too. It is read beside
/// whatever is measured, so there is nothing here that takes a look at every frame, as `AnonPages` and `Mapped` of
/// `meminfo` do.
pub(super) fn vmstat(out: &mut Text) -> Result<()> {
    let mm = crate::mm();
    let counted = |event: Event| (event.name(), arch::machine::counted(event));
    let of_largest = |event| mm.folio_stat(FolioStat::Happened(event), MAX_ORDER);
    let spaces = InSpaces::count();
    let others = [
        ("nr_free_pages", mm.free_pages()),
        ("nr_file_pages", mm.object_pages()),
        ("nr_shmem", mm.object_pages()),
        ("nr_mlock", spaces.locked),
        ("nr_kernel_stack", arch::stack_bytes() as u64 / 1024),
        ("nr_page_table_pages", mm.table_pages()),
        ("nr_anon_transparent_hugepages", spaces.pmd[0] / PMD_PAGES as u64),
        ("nr_shmem_pmdmapped", spaces.pmd[1] / PMD_PAGES as u64),
        ("nr_anon_contpte", spaces.contpte),
        ("pgmajfault", arch::machine::counted(Event::PswpIn)),
        ("oom_kill", proc::oom_kills()),
        ("thp_fault_fallback", of_largest(FolioEvent::AnonFaultFallback)),
        ("thp_file_alloc", of_largest(FolioEvent::ShmemAlloc)),
        ("thp_swpout", of_largest(FolioEvent::Swpout)),
        ("thp_swpout_fallback", of_largest(FolioEvent::SwpoutFallback)),
        ("syscall_unknown", syscall::unknown_calls()),
    ];
    procfs::vmstat(out, Event::ALL.into_iter().map(counted).chain(others))
}

/// `/proc/meminfo`.
pub(super) fn meminfo(out: &mut Text) -> Result<()> {
    let (mm, swap) = (crate::mm(), crate::mm().swap.usage());
    let heap = crate::heap::usage();
    let [anon, mapped] = mm.anon_and_mapped_pages();
    let InSpaces { pmd, locked, .. } = InSpaces::count();
    let memory = Memory {
        total: kib(mm.total_pages()),
        free: kib(mm.free_pages()),
        cached: kib(mm.object_pages()),
        tables: kib(mm.table_pages()),
        anon: kib(anon),
        mapped: kib(mapped),
        pmd: pmd.map(kib),
        locked: kib(locked),
        swap: (kib(swap.total as u64), kib((swap.total - swap.used) as u64)),
        commit: (kib(mm.overcommit.limit(mm.supply())), kib(proc::committed_pages())),
        heap: (heap.0.div_ceil(1024) as u64, heap.1 as u64 / 1024),
        stacks: arch::stack_bytes() as u64 / 1024,
    };
    proc_system::meminfo(out, &memory)
}

/// `/proc/swaps`.
pub(super) fn swaps(out: &mut Text) -> Result<()> {
    let swap = crate::mm().swap.usage();
    proc_system::swaps(out, (kib(swap.total as u64), kib(swap.used as u64)))
}

/// How many processes there are, how many of them want to run, and the greatest number among them.
fn processes() -> (u64, u64, u32) {
    let (mut count, mut running, mut greatest) = (0, 0, 0);
    let mut next = proc::next_process(0);
    while let Some(process) = next {
        count += 1;
        greatest = process.pid().max(greatest);
        running += u64::from(process.state_letter() == 'R');
        next = proc::next_process(process.pid());
    }
    (count, running, greatest)
}

/// `/proc/stat`.
pub(super) fn stat(out: &mut Text) -> Result<()> {
    let forks = arch::machine::counted(Event::Forks) + 1;
    let (_, running, _) = processes();
    let times = proc::cpu_time::cpus();
    proc_system::stat(out, &times, forks, running)
}

/// `/proc/loadavg`.
pub(super) fn loadavg(out: &mut Text) -> Result<()> {
    let (count, running, last) = processes();
    proc_system::loadavg(out, running, count, last)
}
