//! What files need from the rest of the kernel, as traits, so that all of `fs` runs in host tests too.
//!
//! The kernel's own implementation is `fs::kernel::Kernel`. No method may be called with a lock held: reading the
//! console blocks, and generating contents takes a process's memory lock.

use super::generated::Generated;
use super::text::Text;
use crate::errno::Result;
use crate::mm::block_policy::BlockSetting;
use crate::mm::policy::{Memory, Setting};

/// Which processes there are.
pub trait Processes: Sync {
    /// The number of the calling process; 0 for a kernel thread.
    fn current_pid(&self) -> u32;

    /// The smallest process number not below `from` that is in use, zombies included.
    fn next_pid(&self, from: u32) -> Option<u32>;
}

/// Everything else behind `/proc`, `/sys` and `/dev`.
pub trait Environment: Processes {
    /// Writes the current contents of a file.
    ///
    /// # Errors
    /// `ENOMEM`; `ESRCH` when the process is gone.
    fn generate(&self, what: Generated, out: &mut Text) -> Result<()>;

    /// Sets the folio policy of `memory`, of one order or (`None`) the global one.
    fn set_folio_policy(&self, memory: Memory, order: Option<u8>, setting: Setting);

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

    /// Fills `out` with the words of the process `pid`'s `pagemap` from number `first` (0-based) on; returns how many
    /// there are, fewer only at the end of the address space.
    ///
    /// # Errors
    /// `ESRCH`: the process is gone.
    fn pagemap(&self, pid: u32, first: u64, out: &mut [u64]) -> Result<usize>;

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

    /// Sends SIGPIPE to the calling process.
    fn raise_sigpipe(&self);
}
