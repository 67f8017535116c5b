//! What the log says of memory that is exhausted, word for word as Linux (mm/oom_kill.c), which programs and people look
//! for.

use core::fmt;

use super::comm::Comm;

/// Who asked for memory: `... invoked oom-killer`. It is always a fault on behalf of a program, for one page.
pub(super) struct Invoked {
    /// Its program.
    pub comm: Comm,
    /// What is added to its badness.
    pub adj: i16,
}

impl fmt::Display for Invoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FAULT: &str = "0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)";
        write!(f, "{} invoked oom-killer: gfp_mask={FAULT}, order=0, oom_score_adj={}", self.comm, self.adj)
    }
}

/// Who is killed for it. Sizes are in KiB. All files are of tmpfs, so what is mapped of them is shared memory.
#[derive(Clone, Copy)]
pub(super) struct Killed {
    /// Its number.
    pub pid: u32,
    /// Its program.
    pub comm: Comm,
    /// Address space that is mapped.
    pub total: u64,
    /// Anonymous memory that is there.
    pub anon: u64,
    /// Shared memory that is there.
    pub shmem: u64,
    /// Translation tables.
    pub tables: u64,
    /// What is added to its badness.
    pub adj: i16,
}

impl Killed {
    /// The line that says why it was this one.
    pub fn choice(&self) -> impl fmt::Display {
        let Killed { pid, comm, .. } = *self;
        fmt::from_fn(move |f| {
            write!(f, "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,")?;
            write!(f, "global_oom,task_memcg=/,task={comm},pid={pid},uid=0")
        })
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Killed { pid, comm, total, anon, shmem, tables, adj } = *self;
        write!(f, "Out of memory: Killed process {pid} ({comm}) total-vm:{total}kB, anon-rss:{anon}kB, ")?;
        write!(f, "file-rss:0kB, shmem-rss:{shmem}kB, UID:0 pgtables:{tables}kB oom_score_adj:{adj}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_linux_s() {
        let comm = Comm::named(b"fuzz");
        let invoked = Invoked { comm, adj: -5 }.to_string();
        let mask = "gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)";
        assert_eq!(invoked, format!("fuzz invoked oom-killer: {mask}, order=0, oom_score_adj=-5"));
        let killed = Killed { pid: 7, comm, total: 800, anon: 300, shmem: 20, tables: 16, adj: 100 };
        assert_eq!(
            killed.to_string(),
            "Out of memory: Killed process 7 (fuzz) total-vm:800kB, anon-rss:300kB, file-rss:0kB, shmem-rss:20kB, \
             UID:0 pgtables:16kB oom_score_adj:100"
        );
        assert!(killed.choice().to_string().ends_with(",global_oom,task_memcg=/,task=fuzz,pid=7,uid=0"));
    }
}
