//! The code that handlers return to where the C library has none of its own (glibc): a call of rt_sigreturn, on a page
//! at a fixed address above the stack. Linux has it in the vDSO.
//!
//! The page is mapped when a process installs its first handler without SA_RESTORER, so nobody else pays for it. It is
//! readable, since debuggers and unwinders know the frame of a handler by these instructions.

use spin::Mutex;

use super::layout::{PAGE, STACK_TOP};
use crate::errno::{Errno, Result};
use crate::mm::{Backing, MapFlags, MapRequest, Object, Prot};
use crate::util::Ref;

/// `nop; nop; mov x8, #139; svc #0`: unwinders look up the instruction before a return address.
static CODE: [u8; 16] =
    [0x1f, 0x20, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5, 0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// Where a handler returns to: the third instruction.
pub(super) const ADDRESS: usize = STACK_TOP + 8;

/// The page's contents, made once and kept.
static CONTENTS: Mutex<Option<Ref<Object>>> = Mutex::new(None);

/// Maps the page in the current process, unless something is there.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn map() -> Result<()> {
    let object = {
        let mut contents = CONTENTS.lock();
        match &*contents {
            Some(object) => object.clone(),
            None => contents.insert(Object::file(&CODE)?).clone(),
        }
    };
    let request = MapRequest {
        addr: STACK_TOP,
        len: PAGE,
        prot: Prot::READ | Prot::EXEC,
        flags: MapFlags::FIXED | MapFlags::NOREPLACE,
        backing: Backing::Object { object, page: 0 },
    };
    match super::with_current_mm(|space| space.mmap(crate::mm(), request)) {
        Some(Ok(_) | Err(Errno::EEXIST)) => Ok(()),
        Some(Err(error)) => Err(error),
        None => Err(Errno::ENOMEM),
    }
}
