//! What files need from the rest of the kernel, as traits, so that all of `fs` runs in host tests too.
//!
//! The kernel's own implementation is `fs::kernel::Kernel`. No method of [`Environment`] may be called with a lock held:
//! reading the console blocks, and generating contents takes a process's memory lock.

use core::ops::Range;

use super::file::OpenFile;
use super::generated::{Generated, ProcessLink};
use crate::errno::Result;
use crate::fs::generated::text::Text;
use crate::fs::notify::signals::RECORD_BYTES;
use crate::fs::tree::node::Node;
use crate::mm::Object;
use crate::mm::block_policy::BlockSetting;
use crate::mm::policy::{Memory, Setting};
use crate::util::Ref;

/// Which processes there are, and what of the tree they use. Called with the tree locked, so that the nodes are good.
pub trait Processes: Sync {
    /// The number of the calling process; 0 for a kernel thread.
    fn current_pid(&self) -> u32;

    /// The number of the calling thread; 0 for a kernel thread.
    fn current_thread(&self) -> u32;

    /// The smallest process number not below `from` that is in use, zombies included.
    fn next_pid(&self, from: u32) -> Option<u32>;

    /// The smallest number not below `from` of a thread of process `pid`.
    fn next_thread(&self, pid: u32, from: u32) -> Option<u32>;

    /// The smallest number not below `from` of a descriptor of process `pid` that is in use.
    fn next_fd(&self, pid: u32, from: u32) -> Option<u32>;

    /// Which node a descriptor of a process was opened at: `Some(None)` for one that has none, such as a pipe's.
    fn descriptor(&self, pid: u32, fd: u32) -> Option<Option<Node>>;

    /// Writes what a descriptor without a node is, as `/proc/<pid>/fd` tells it.
    ///
    /// # Errors
    /// `ENOENT`: it is closed; `ENOMEM`.
    fn describe(&self, pid: u32, fd: u32, out: &mut Text) -> Result<()>;

    /// Where a link of a process's directory leads.
    fn link(&self, pid: u32, link: ProcessLink) -> Option<Node>;
}

/// Everything else behind `/proc`, `/sys` and `/dev`.
pub trait Environment: Processes {
    /// Writes the current contents of a file.
    ///
    /// # Errors
    /// `ENOMEM`; `ESRCH` when the process is gone.
    fn generate(&self, what: Generated, out: &mut Text) -> Result<()>;

    /// Sets the folio policy of `memory`, of one order or (`None`) the global one.
    ///
    /// # Errors
    /// `EINVAL`: it cannot be that while the others are what they are.
    fn set_folio_policy(&self, memory: Memory, order: Option<u8>, setting: Setting) -> Result<()>;

    /// Sets what keeps contpte blocks whole to what `text` says.
    ///
    /// # Errors
    /// `EINVAL`: it is no value of that setting.
    fn set_block_policy(&self, setting: BlockSetting, text: &[u8]) -> Result<()>;

    /// Sets what another file says, from `text`, which is without its newline.
    ///
    /// # Errors
    /// `EINVAL`: `text` is nothing that can be set. `EBUSY`: not now. `ENOMEM`. `ESRCH`: the process is gone. `EBADF`:
    /// no such file is written.
    fn set(&self, what: Generated, text: &[u8]) -> Result<()>;

    /// Fills `out` with the words of a file of words from number `first` (0-based) on; returns how many there are, fewer
    /// only at the end: of the address space, or of memory.
    ///
    /// # Errors
    /// `ESRCH`: the process is gone.
    fn words(&self, what: Generated, first: u64, out: &mut [u64]) -> Result<usize>;

    /// The time, in nanoseconds since the epoch.
    fn now(&self) -> u64;

    /// What a process has open; none if it is closed or the process gone.
    fn open_file(&self, pid: u32, fd: u32) -> Option<Ref<OpenFile>>;

    /// Unmaps these pages of an object, which it has no more, wherever they are mapped.
    fn unmap(&self, object: &Ref<Object>, pages: Range<u64>);

    /// Whether a process has an object mapped so that it can be written.
    fn may_be_written(&self, object: &Ref<Object>) -> bool;

    /// Writes to the console, all of it.
    fn console_write(&self, bytes: &[u8]);

    /// Reads from the console up to a newline or until `to` is full. Blocks until there is a line unless
    /// `nonblocking`.
    ///
    /// # Errors
    /// `EAGAIN` if it would block and may not; `EINTR` if the process is being killed.
    fn console_read(&self, to: &mut [u8], nonblocking: bool) -> Result<usize>;

    /// Fills a buffer with random bytes.
    fn random(&self, to: &mut [u8]);

    /// Lets others run in the middle of a long transfer.
    ///
    /// # Errors
    /// `EINTR` if the process is being killed: the transfer ends here.
    fn breathe(&self) -> Result<()>;

    /// Sleeps until `wake_at`, in nanoseconds.
    ///
    /// # Errors
    /// `EINTR`: there is a signal to deal with.
    fn sleep_until(&self, wake_at: u64) -> Result<()>;

    /// Takes a signal in `set` that waits for the calling thread or its process, as a record of signalfd; waits for one
    /// unless `nonblocking`.
    ///
    /// # Errors
    /// `EAGAIN`: none waits and `nonblocking`; `EINTR`: another one is to be dealt with.
    fn take_signal(&self, set: u64, nonblocking: bool) -> Result<[u8; RECORD_BYTES]>;

    /// Sends SIGPIPE to the calling process.
    fn raise_sigpipe(&self);
}
