//! The descriptor that clone gives of a child (CLONE_PIDFD).
//!
//! It is made before the child exists, since that may fail, and told who the child is when nothing can fail any more. The
//! child does not have it, unless it shares the descriptors.

use super::current_files;
use super::inspect::has_ended;
use crate::arch::uaccess;
use crate::errno::Result;
use crate::fs::file::{OpenFile, Target};
use crate::fs::notify::pidfd::{Identity, Pidfd};
use crate::util::Ref;
use linux_raw_sys::general::O_RDWR;

/// A descriptor of a child that is not there yet.
pub(super) struct Announced {
    file: Ref<OpenFile>,
    fd: usize,
}

/// Makes the descriptor and writes its number to the user address `at`.
///
/// # Errors
/// `ENOMEM`, `EMFILE`; `EFAULT`: a bad address. There is no descriptor then.
pub(super) fn announce(at: usize) -> Result<Announced> {
    let file = Ref::try_new(OpenFile::new(Target::Pidfd(Pidfd::of_nobody(has_ended)), O_RDWR))?;
    let fd = current_files().lock().insert(file.clone(), true, 0)?;
    let announced = Announced { file, fd };
    match uaccess::copy_to_user(at, &(fd as u32).to_ne_bytes()) {
        Ok(()) => Ok(announced),
        Err(error) => {
            announced.take_back();
            Err(error)
        }
    }
}

impl Announced {
    /// The child is this one.
    pub fn is(&self, child: Identity) {
        if let Target::Pidfd(pidfd) = self.file.target() {
            pidfd.becomes(child);
        }
    }

    /// There will be no child.
    #[cold]
    pub fn take_back(self) {
        let closed = {
            let mut files = current_files().lock();
            // Another thread may have put something else in its place while memory was written.
            let is_there = files.get(self.fd).is_ok_and(|file| Ref::ptr_eq(&file, &self.file));
            is_there.then(|| files.close(self.fd))
        };
        drop(closed); // not under the lock
    }
}
