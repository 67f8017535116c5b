//! What `/proc/<pid>` tells of a process.

use alloc::vec::Vec;
use core::fmt::Write;

use linux_raw_sys::general as raw;
use paging::PAGE_SIZE;

use super::kib;
use crate::errno::{Errno, Result};
use crate::fs::generated::ProcessFile;
use crate::fs::generated::proc_pid::{self, Limit, Stat};
use crate::fs::generated::procfs::{self, Mapping, Status};
use crate::fs::generated::smaps::{self, Area};
use crate::fs::generated::text::{Text, written};
use crate::fs::tree::constants::{MOUNTINFO, MOUNTS};
use crate::fs::tree::node::Node;
use crate::mm::badness::old_adj;
use crate::mm::smaps::Mapped;
use crate::mm::{AddressSpace, Backing, Object, Prot, Vma, VmaFlags};
use crate::proc::Process;
use crate::proc::cpu_time::Used;
use crate::tty;
use crate::util::Ref;

/// How large an address space is, in pages.
#[derive(Clone, Copy, Default)]
struct Sizes {
    mapped: u64,
    peak: u64,
    rss: u64,
    peak_rss: u64,
    /// What is there, if asked for.
    there: Mapped,
    code: u64,
    libraries: u64,
    data: u64,
    stack: u64,
    tables: u64,
    locked: u64,
}

impl Sizes {
    /// What `file` tells of. `stat` tells of nothing for which tables have to be read, and is what is read most.
    fn of(space: &AddressSpace, file: ProcessFile) -> Self {
        let mut sizes = Sizes {
            rss: space.rss_pages() as u64,
            peak_rss: space.peak_rss_pages() as u64,
            mapped: space.size_pages() as u64,
            peak: space.peak_pages() as u64,
            ..Sizes::default()
        };
        if !matches!(file, ProcessFile::Stat) {
            sizes.there = space.mapped_everywhere(crate::mm());
        }
        if matches!(file, ProcessFile::Status) {
            sizes.tables = space.usage(crate::mm()).table_pages as u64;
        }
        sizes.locked = space.locked_bytes() / PAGE_SIZE;
        let mut program = None;
        for vma in space.vmas() {
            let pages = vma.start.pages_to(vma.end) as u64;
            if vma.flags.contains(VmaFlags::SHARED) {
                continue;
            }
            if vma.flags.contains(VmaFlags::STACK) {
                sizes.stack += pages;
            } else if vma.prot.contains(Prot::WRITE) {
                sizes.data += pages;
            } else if vma.prot.contains(Prot::EXEC) {
                // The program is mapped first; what else has code is a library.
                let object =
                    vma.object_page(vma.start).map(|(object, _)| core::ptr::from_ref::<Object>(object));
                let own = *program.get_or_insert(object) == object;
                *if own { &mut sizes.code } else { &mut sizes.libraries } += pages;
            }
        }
        sizes
    }
}

fn numbers(out: &mut Text, process: &Process, file: ProcessFile, sizes: &Sizes) -> Result<()> {
    let (mut name, pid, parent) = ([0; 16], process.pid(), process.parent_pid());
    let len = process.name(&mut name);
    let (name, state, threads) = (&name[..len], process.state_letter(), process.threads());
    match file {
        ProcessFile::Statm => {
            let (rss, shared) = (sizes.there.rss, sizes.there.rss - sizes.there.anonymous);
            proc_pid::statm(out, (sizes.mapped, rss, shared, sizes.code, sizes.data + sizes.stack))
        }
        ProcessFile::Stat => {
            let (group, session) = process.group_and_session();
            let (bytes, rss) = (sizes.mapped * PAGE_SIZE, sizes.rss);
            let foreground = tty::foreground_of(session);
            let [own, children] = process.used();
            let stat = Stat {
                pid,
                name,
                state,
                parent,
                group,
                session,
                foreground,
                faults: [
                    own.counts.minor(),
                    children.counts.minor(),
                    own.counts.major,
                    children.counts.major,
                ],
                times: [own.user, own.system, children.user, children.system],
                threads,
                started: process.started_ns(),
                bytes,
                rss,
            };
            proc_pid::stat(out, &stat)
        }
        _ => {
            let [Used { counts: switches, .. }, _] = process.used();
            let status = Status {
                name,
                state,
                pid,
                parent,
                threads,
                umask: process.files().lock().umask(),
                size_kib: kib(sizes.mapped),
                peak_kib: kib(sizes.peak),
                peak_rss_kib: kib(sizes.peak_rss),
                locked_kib: kib(sizes.locked),
                rss_kib: kib(sizes.there.rss),
                anon_kib: kib(sizes.there.anonymous),
                data_kib: kib(sizes.data),
                stack_kib: kib(sizes.stack),
                code_kib: kib(sizes.code),
                libraries_kib: kib(sizes.libraries),
                swap_kib: kib(sizes.there.swap),
                tables_kib: kib(sizes.tables),
                large_folios: !process.mm.lock().as_ref().is_some_and(|space| space.large_folios_disabled()),
                switches: [switches.voluntary, switches.involuntary],
            };
            procfs::status(out, &status)
        }
    }
}

/// What a process may not exceed, as the file shows it.
fn limits(process: &Process) -> impl Iterator<Item = Limit> {
    let (cpu, own) = (process.cpu_limit(), *process.files().lock().limits());
    [
        ("Max cpu time", raw::RLIMIT_CPU, "seconds"),
        ("Max file size", raw::RLIMIT_FSIZE, "bytes"),
        ("Max data size", raw::RLIMIT_DATA, "bytes"),
        ("Max stack size", raw::RLIMIT_STACK, "bytes"),
        ("Max core file size", raw::RLIMIT_CORE, "bytes"),
        ("Max resident set", raw::RLIMIT_RSS, "bytes"),
        ("Max processes", raw::RLIMIT_NPROC, "processes"),
        ("Max open files", raw::RLIMIT_NOFILE, "files"),
        ("Max locked memory", raw::RLIMIT_MEMLOCK, "bytes"),
        ("Max address space", raw::RLIMIT_AS, "bytes"),
        ("Max file locks", raw::RLIMIT_LOCKS, "locks"),
        ("Max pending signals", raw::RLIMIT_SIGPENDING, "signals"),
        ("Max msgqueue size", raw::RLIMIT_MSGQUEUE, "bytes"),
        ("Max nice priority", raw::RLIMIT_NICE, ""),
        ("Max realtime priority", raw::RLIMIT_RTPRIO, ""),
        ("Max realtime timeout", raw::RLIMIT_RTTIME, "us"),
    ]
    .into_iter()
    .map(move |(name, resource, unit)| match resource {
        raw::RLIMIT_CPU => (name, cpu[0], cpu[1], unit),
        _ => {
            let limit = own.of(resource);
            (name, limit.soft, limit.hard, unit)
        }
    })
}

/// Writes what a process's file tells.
pub(super) fn text(out: &mut Text, process: &Process, file: ProcessFile) -> Result<()> {
    match file {
        ProcessFile::Mounts => return out.push(MOUNTS.as_bytes()),
        ProcessFile::Mountinfo => return out.push(MOUNTINFO.as_bytes()),
        ProcessFile::OomAdj => return written(writeln!(out, "{}", old_adj(process.oom_score_adj()))),
        ProcessFile::OomScore => return written(writeln!(out, "{}", process.oom_score())),
        ProcessFile::OomScoreAdj => return written(writeln!(out, "{}", process.oom_score_adj())),
        ProcessFile::Limits => return proc_pid::limits(out, limits(process)),
        ProcessFile::Comm => {
            let mut name = [0; 16];
            let len = process.name(&mut name);
            out.push(&name[..len])?;
            return out.push(b"\n");
        }
        ProcessFile::Cmdline => {
            let program = process.files().lock().program().cloned();
            return program.map_or(Ok(()), |program| out.push(&program.arguments));
        }
        ProcessFile::Stat | ProcessFile::Statm | ProcessFile::Status => {
            let sizes = process.mm.lock().as_ref().map(|space| Sizes::of(space, file)).unwrap_or_default();
            return numbers(out, process, file, &sizes);
        }
        _ => {}
    }
    // A zombie has no memory any more.
    let memory = process.mm.lock();
    match file {
        // One is only written, the other is no text.
        ProcessFile::ClearRefs | ProcessFile::Pagemap => Err(Errno::EINVAL),
        ProcessFile::Maps => {
            let vmas = memory.iter().flat_map(|space| space.vmas());
            for vma in vmas {
                mapping(out, vma)?;
            }
            Ok(())
        }
        ProcessFile::Smaps => {
            let Some(space) = memory.as_ref() else { return Ok(()) };
            for vma in space.vmas() {
                mapping(out, vma)?;
                let area = Area {
                    kib: (vma.end.get() - vma.start.get()) / 1024,
                    large_folios: crate::mm().gives_large_folios(vma),
                    prot: vma.prot,
                    flags: vma.flags,
                    frames: matches!(vma.backing, Backing::Frames { .. }),
                    promised: vma.committed() > 0,
                };
                smaps::area(out, &area, &space.mapped(crate::mm(), vma))?;
            }
            Ok(())
        }
        ProcessFile::SmapsRollup => {
            let Some(space) = memory.as_ref() else { return Ok(()) };
            let sum = space.mapped_everywhere(crate::mm());
            let (start, end) = (space.vmas().next(), space.vmas().last());
            let range = (start.map_or(0, |vma| vma.start.get()), end.map_or(0, |vma| vma.end.get()));
            let tables = space.usage(crate::mm()).table_pages;
            smaps::rollup(out, range, &sum, kib(tables as u64))
        }
        _ => Ok(()), // written above
    }
}

fn mapping(out: &mut Text, vma: &Vma) -> Result<()> {
    let mut line = Mapping {
        start: vma.start.get() as usize,
        end: vma.end.get() as usize,
        read: vma.prot.contains(Prot::READ),
        write: vma.prot.contains(Prot::WRITE),
        exec: vma.prot.contains(Prot::EXEC),
        shared: vma.flags.contains(VmaFlags::SHARED),
        offset: 0,
        ino: 0,
        name: b"",
    };
    let path;
    if let Backing::Object { object, page } = &vma.backing {
        line.offset = page * PAGE_SIZE;
        (line.ino, path) = name_of(object)?;
        line.name = &path;
    }
    if let Some(first) = vma.frame(vma.start) {
        line.offset = first.addr().get();
        line.name = b"/dev/mem";
    }
    for (flag, name) in [(VmaFlags::HEAP, b"[heap]".as_slice()), (VmaFlags::STACK, b"[stack]")] {
        if vma.flags.contains(flag) {
            line.name = name;
        }
    }
    procfs::mapping(out, &line)
}

/// The number and the path of the file whose bytes `object` has; shared anonymous memory is none.
fn name_of(object: &Ref<Object>) -> Result<(u64, Vec<u8>)> {
    let tree = crate::fs::root()?.lock();
    let Some((id, inode)) = tree.inodes().find(|(_, inode)| inode.is_of(object)) else {
        return Ok((0, Vec::new()));
    };
    let mut path = Text::new();
    tree.path_of(Node::Inode(id), &mut path)?;
    Ok((inode.ino, path.into_bytes()))
}
