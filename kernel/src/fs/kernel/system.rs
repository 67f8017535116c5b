//! What `/proc` tells of the system as a whole.

use paging::Event;

use super::kib;
use crate::errno::Result;
use crate::fs::generated::proc_system::{self, Memory};
use crate::fs::generated::text::Text;
use crate::{arch, proc};

/// `/proc/meminfo`.
pub(super) fn meminfo(out: &mut Text) -> Result<()> {
    let (mm, swap) = (crate::mm(), crate::mm().swap.usage());
    let folios = (0..).zip(mm.anon_folios());
    let anon: u64 = folios.map(|(order, count): (u32, u64)| count << order).sum();
    let heap = crate::heap::usage();
    let (mut pmd, mut locked) = ([0; 2], 0);
    super::for_each_space(|space| {
        let pages = space.pmd_mapped_pages(mm);
        pmd = [pmd[0] + pages[0], pmd[1] + pages[1]];
        locked += space.mlocked_bytes(mm);
    });
    let memory = Memory {
        total: kib(mm.total_pages()),
        free: kib(mm.free_pages()),
        cached: kib(mm.object_pages()),
        tables: kib(mm.table_pages()),
        anon: kib(anon),
        mapped: kib(mm.mapped_object_pages()),
        pmd: pmd.map(kib),
        locked: locked / 1024,
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
