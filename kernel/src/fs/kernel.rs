//! What files see of the kernel: the one implementation of [`Environment`] outside of tests, and the only place where
//! `fs` calls processes, memory management and the console.
//!
//! Locks: a process's memory lock while its VMAs or tables are read, and the tree's inside it for their files' names. They
//! are not held while a call blocks.

use core::ops::Range;

use paging::{PAGE_SIZE, Pfn};

use super::environment::{Environment, Processes};
use super::file::OpenFile;
use super::generated::{Generated, ProcessFile, ProcessLink};
use crate::errno::{Errno, Result};
use crate::fs::channel::pinned::Pins;
use crate::fs::generated::procfs;
use crate::fs::generated::sysfs;
use crate::fs::generated::text::{Text, parse_size, written};
use crate::fs::notify::signals::RECORD_BYTES;
use crate::fs::tree::node::Node;
use crate::mm::badness::{parse_adj, parse_old_adj};
use crate::mm::block_policy::BlockSetting;
use crate::mm::defrag::Defrag;
use crate::mm::policy::{Memory, Policy, Setting};
use crate::mm::space::USER_END;
use crate::mm::{AddressSpace, Object, Vma};
use crate::proc::signal::info::Info;
use crate::proc::{self, sigcalls};
use crate::util::Ref;
use crate::{arch, tty};

mod process;
mod system;

/// The running kernel.
pub struct Kernel;

/// CPUs that run processes.
const ONLINE_CPUS: usize = 1;

impl Kernel {
    /// Pages of memory that nothing uses.
    pub fn free_pages(&self) -> u64 {
        crate::mm().free_pages()
    }
}

impl Processes for Kernel {
    fn current_pid(&self) -> u32 {
        proc::current_pid()
    }

    fn current_thread(&self) -> u32 {
        proc::current_thread()
    }

    fn next_pid(&self, from: u32) -> Option<u32> {
        proc::next_pid(from)
    }

    fn next_thread(&self, pid: u32, from: u32) -> Option<u32> {
        proc::next_thread(pid, from)
    }

    fn next_fd(&self, pid: u32, from: u32) -> Option<u32> {
        let next = proc::find(pid)?.files().lock().next(from as usize)?;
        u32::try_from(next).ok()
    }

    fn descriptor(&self, pid: u32, fd: u32) -> Option<Option<Node>> {
        let process = proc::find(pid)?;
        let files = process.files().lock();
        files.peek(fd as usize, OpenFile::node)
    }

    fn describe(&self, pid: u32, fd: u32, out: &mut Text) -> Result<()> {
        let process = proc::find(pid).ok_or(Errno::ENOENT)?;
        let files = process.files().lock();
        files.peek(fd as usize, |file| file.describe(out)).ok_or(Errno::ENOENT)?
    }

    fn link(&self, pid: u32, link: ProcessLink) -> Option<Node> {
        let process = proc::find(pid)?;
        let files = process.files().lock();
        match link {
            ProcessLink::Cwd => Some(files.cwd().map_or(Node::ROOT, |place| place.node())),
            ProcessLink::Exe => files.program().map(|program| program.file.node()),
            ProcessLink::Root => Some(Node::ROOT),
        }
    }
}

impl Environment for Kernel {
    fn generate(&self, what: Generated, out: &mut Text) -> Result<()> {
        use core::fmt::Write;
        let mm = crate::mm();
        match what {
            Generated::Vmstat => system::vmstat(out),
            Generated::Meminfo => system::meminfo(out),
            Generated::Stat => system::stat(out),
            Generated::Loadavg => system::loadavg(out),
            Generated::Constant(text) => out.push(text.as_bytes()),
            Generated::FolioStat(stat, order) => written(writeln!(out, "{}", mm.folio_stat(stat, order))),
            Generated::Kpagecount | Generated::Kpageflags => Err(Errno::EINVAL), // no text
            Generated::Cmdline => written(writeln!(out, "{}", crate::command_line())),
            Generated::Version => written(writeln!(
                out,
                "Linux version 6.12.0-pleat (Pleat {}) aarch64",
                env!("CARGO_PKG_VERSION")
            )),
            Generated::Uptime => procfs::uptime(out, arch::time::now_ns(), proc::cpu_time::idle_ns()),
            Generated::Cpuinfo => procfs::cpuinfo(out, ONLINE_CPUS),
            Generated::OvercommitMemory => written(writeln!(out, "{}", mm.overcommit.mode() as u8)),
            Generated::OvercommitKbytes => written(writeln!(out, "{}", mm.overcommit.kbytes())),
            Generated::Swaps => system::swaps(out),
            Generated::DropCaches => Err(Errno::EINVAL), // only written
            Generated::OvercommitRatio => written(writeln!(out, "{}", mm.overcommit.ratio())),
            Generated::SwapSize => written(writeln!(out, "{}", mm.swap.usage().total as u64 * PAGE_SIZE)),
            Generated::Process(pid, file) => process::text(out, &*proc::find(pid).ok_or(Errno::ESRCH)?, file),
            Generated::FolioPolicy(memory) => sysfs::show(out, memory, policy(memory).global(), false),
            Generated::FolioSizePolicy(memory, order) => {
                sysfs::show(out, memory, policy(memory).get(order).unwrap_or(Setting::Never), true)
            }
            Generated::BlockPolicy(setting) => written(mm.blocks.show(setting, out)),
            Generated::Defrag => sysfs::words(out, &Defrag::WORDS, mm.defrag.get()),
            Generated::UseZeroPage => out.push(b"0\n"),
            Generated::Khugepaged(file) => written(writeln!(out, "{}", mm.khugepaged.get(file))),
        }
    }

    fn set_folio_policy(&self, memory: Memory, order: Option<u8>, setting: Setting) -> Result<()> {
        let set = match order {
            None => policy(memory).set_global(setting),
            Some(order) => policy(memory).set(order, setting),
        };
        proc::khugepaged::policy_changed();
        if set { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn set_block_policy(&self, setting: BlockSetting, text: &[u8]) -> Result<()> {
        crate::mm().blocks.set(setting, text).map_err(|_| Errno::EINVAL)
    }

    fn set(&self, what: Generated, text: &[u8]) -> Result<()> {
        match what {
            Generated::SwapSize => match parse_size(text)? {
                0 => crate::mm().swap_off(),
                bytes => crate::mm().swap_on((bytes / PAGE_SIZE) as usize),
            },
            // All that is kept in memory is kept nowhere else, so nothing can be dropped.
            Generated::DropCaches if matches!(text, b"1" | b"2" | b"3" | b"4") => Ok(()),
            Generated::DropCaches => Err(Errno::EINVAL),
            Generated::Defrag => crate::mm().defrag.set(text).ok_or(Errno::EINVAL),
            Generated::UseZeroPage if text == b"0" => Ok(()),
            Generated::UseZeroPage => Err(Errno::EINVAL),
            Generated::Khugepaged(file) => {
                crate::mm().khugepaged.set(file, text).ok_or(Errno::EINVAL)?;
                proc::khugepaged::set(file);
                Ok(())
            }
            Generated::OvercommitKbytes => crate::mm().overcommit.set_kbytes(text),
            Generated::OvercommitMemory => crate::mm().overcommit.set_mode(text),
            Generated::OvercommitRatio => crate::mm().overcommit.set_ratio(text),
            Generated::Process(pid, ProcessFile::ClearRefs) => {
                let process = proc::find(pid).ok_or(Errno::ESRCH)?;
                let mut memory = process.mm.lock();
                match (&mut *memory, text) {
                    (Some(space), b"1") => space.clear_referenced(crate::mm(), |_| true),
                    (Some(space), b"2") => space.clear_referenced(crate::mm(), |vma| !vma.is_mapped_file()),
                    (Some(space), b"3") => space.clear_referenced(crate::mm(), Vma::is_mapped_file),
                    (Some(space), b"4") => space.clear_soft_dirty(crate::mm()),
                    (Some(space), b"5") => space.forget_peak_rss(),
                    (None, b"1" | b"2" | b"3" | b"4" | b"5") => {} // a zombie
                    _ => return Err(Errno::EINVAL),
                }
                Ok(())
            }
            Generated::Process(pid, file @ (ProcessFile::OomScoreAdj | ProcessFile::OomAdj)) => {
                let parse = if file == ProcessFile::OomAdj { parse_old_adj } else { parse_adj };
                let adj = parse(text).ok_or(Errno::EINVAL)?;
                proc::find(pid).ok_or(Errno::ESRCH)?.set_oom_score_adj(adj);
                Ok(())
            }
            _ => Err(Errno::EBADF), // cannot be opened for writing
        }
    }

    fn words(&self, what: Generated, first: u64, out: &mut [u64]) -> Result<usize> {
        let mm = crate::mm();
        let frame: fn(Pfn) -> u64 = match what {
            Generated::Kpagecount => |pfn| crate::mm().frame_mappings(pfn),
            Generated::Kpageflags => |pfn| crate::mm().frame_flags(pfn),
            Generated::Process(pid, _) => {
                let process = proc::find(pid).ok_or(Errno::ESRCH)?;
                let memory = process.mm.lock();
                let Some(space) = &*memory else { return Ok(0) };
                let left = (USER_END.get() / PAGE_SIZE).saturating_sub(first);
                let count = (out.len() as u64).min(left) as usize;
                space.pagemap(mm, first, &mut out[..count]);
                return Ok(count);
            }
            _ => return Ok(0),
        };
        let left = mm.frames.span().1.pfn().get().saturating_sub(first);
        let count = (out.len() as u64).min(left) as usize;
        for (number, word) in (first..).zip(&mut out[..count]) {
            *word = frame(Pfn::new(number));
        }
        Ok(count)
    }

    fn now(&self) -> u64 {
        arch::time::now_ns()
    }

    fn open_file(&self, pid: u32, fd: u32) -> Option<Ref<OpenFile>> {
        proc::find(pid)?.files().lock().get(fd as usize).ok()
    }

    fn unmap(&self, object: &Ref<Object>, pages: Range<u64>) {
        for_each_space(|space| {
            // Without memory to split a block its pages stay mapped, which does no harm: the mapping has references.
            let _ = space.unmap_object(crate::mm(), object, pages.clone());
        });
    }

    fn may_be_written(&self, object: &Ref<Object>) -> bool {
        let mut found = false;
        for_each_space(|space| found |= space.may_write_object(object));
        found
    }

    fn console_write(&self, bytes: &[u8]) {
        // What the background may not write is not written; there is nobody to tell.
        let _ = tty::write(bytes);
    }

    fn console_read(&self, to: &mut [u8], nonblocking: bool) -> Result<usize> {
        tty::read(to, nonblocking)
    }

    fn random(&self, to: &mut [u8]) {
        arch::random::fill(to);
    }

    fn breathe(&self) -> Result<()> {
        if proc::kill_pending() {
            return Err(Errno::EINTR);
        }
        proc::yield_now();
        Ok(())
    }

    fn sleep_until(&self, wake_at: u64) -> Result<()> {
        proc::sleep_until(wake_at)
    }

    fn take_signal(&self, set: u64, nonblocking: bool) -> Result<[u8; RECORD_BYTES]> {
        let taken = match nonblocking {
            true => sigcalls::take(set).ok_or(Errno::EAGAIN),
            false => sigcalls::wait_for(set, u64::MAX),
        };
        taken.map(Info::to_record)
    }

    fn raise_sigpipe(&self) {
        proc::raise_sigpipe();
    }
}

/// Calls `f` with every process's address space, one after another; with one that several processes share once.
fn for_each_space(mut f: impl FnMut(&mut AddressSpace)) {
    let mut process = proc::next_process(0);
    while let Some(this) = process {
        if this.counts_for_its_space()
            && let Some(space) = this.mm.lock().as_mut()
        {
            f(space);
        }
        process = proc::next_process(this.pid());
    }
}

fn policy(memory: Memory) -> &'static Policy {
    match memory {
        Memory::Anon => &crate::mm().policy,
        Memory::Shared => &crate::mm().shmem_policy,
    }
}

impl Pins for Kernel {
    fn read(&self, frame: Pfn, offset: usize, to: &mut [u8]) {
        crate::mm().read_pinned(frame, offset, to);
    }

    fn unpin(&self, frame: Pfn) {
        crate::mm().unpin(frame);
    }
}

fn kib(pages: u64) -> u64 {
    pages * (PAGE_SIZE / 1024)
}
