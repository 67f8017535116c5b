//! Which clones there are.
//!
//! A child is a thread, which shares everything with its parent; or a process of its own, which shares what it is told to:
//! memory, for good or while the parent waits (vfork), what signals do if memory is shared, descriptors, the working
//! directory. Threads that do not share everything are refused, and so are namespaces and a parent that is another's.

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::fs::file::fd::Common;
use crate::proc::request::Request;
use crate::proc::signal::MAX;

/// `struct clone_args` as far as it is looked at: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
pub type Clone3 = [u64; 8];

/// What a thread shares. Linux asks for less, but nobody asks Linux for less.
const THREAD: u32 = raw::CLONE_VM | raw::CLONE_FS | raw::CLONE_FILES | raw::CLONE_SIGHAND | raw::CLONE_THREAD;
/// Flags that ask for what is always so: no undo lists of semaphores, no I/O contexts, no tracing, and an obsolete one.
const VAIN: u32 =
    raw::CLONE_SYSVSEM | raw::CLONE_IO | raw::CLONE_DETACHED | raw::CLONE_UNTRACED | raw::CLONE_PTRACE;
/// What a process may share with its parent.
const PROCESS: u32 = raw::CLONE_VM | raw::CLONE_VFORK | raw::CLONE_FS | raw::CLONE_FILES | raw::CLONE_SIGHAND;
const OPTIONS: u32 = raw::CLONE_SETTLS
    | raw::CLONE_PARENT_SETTID
    | raw::CLONE_CHILD_SETTID
    | raw::CLONE_CHILD_CLEARTID
    | raw::CLONE_PIDFD;

/// Checks the arguments of clone(flags, stack, parent_tid, tls, child_tid), and says in `request`, which is the default,
/// what they ask for. It is written there because a fork, which all are compared with, should not have to move it.
///
/// # Errors
/// `EINVAL`: a combination that does not exist, or not here.
#[inline(always)] // one caller
pub fn check(args: &[u64; 6], request: &mut Request) -> Result<()> {
    let [flags, stack, parent_tid, tls, child_tid, _] = *args;
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    request.exit_signal = flags & raw::CSIGNAL;
    request.stack = (stack != 0).then_some(stack);
    if request.exit_signal > MAX {
        return Err(Errno::EINVAL);
    }
    let flags = flags & !raw::CSIGNAL;
    if flags == 0 {
        return Ok(());
    }
    // The descriptor's number takes the place of the child's.
    let both = raw::CLONE_PIDFD | raw::CLONE_PARENT_SETTID;
    if flags & both == both
        || flags & (raw::CLONE_PIDFD | raw::CLONE_DETACHED) == raw::CLONE_PIDFD | raw::CLONE_DETACHED
    {
        return Err(Errno::EINVAL);
    }
    with_flags(request, flags, tls, [parent_tid, child_tid, parent_tid])
}

/// Checks the arguments of clone3.
///
/// # Errors
/// `EINVAL`, as above.
pub fn check3(args: &Clone3) -> Result<Request> {
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_bytes, tls] = *args;
    let forget_handlers = flags & raw::CLONE_CLEAR_SIGHAND != 0;
    let flags = u32::try_from(flags & !raw::CLONE_CLEAR_SIGHAND).map_err(|_| Errno::EINVAL)?;
    let exit_signal = u32::try_from(exit_signal).map_err(|_| Errno::EINVAL)?;
    let detached = flags & (raw::CSIGNAL | raw::CLONE_DETACHED) != 0;
    if detached || exit_signal > MAX || (stack == 0) != (stack_bytes == 0) {
        return Err(Errno::EINVAL);
    }
    let top = stack.checked_add(stack_bytes).ok_or(Errno::EINVAL)?;
    // Linux: kernel/fork.c, kernel_clone.
    let both = raw::CLONE_PIDFD | raw::CLONE_PARENT_SETTID;
    if flags & both == both && pidfd == parent_tid {
        return Err(Errno::EINVAL);
    }
    let stack = (top != 0).then_some(top);
    let mut request = Request { exit_signal, stack, forget_handlers, ..Request::default() };
    with_flags(&mut request, flags, tls, [parent_tid, child_tid, pidfd])?;
    if (request.thread || request.handlers) && forget_handlers {
        return Err(Errno::EINVAL);
    }
    Ok(request)
}

/// Says in what a child differs from a fork's.
#[inline(never)]
fn with_flags(
    request: &mut Request,
    flags: u32,
    tls: u64,
    [parent_tid, child_tid, pidfd]: [u64; 3],
) -> Result<()> {
    let set = |flag| flags & flag != 0;
    let shared = flags & !OPTIONS & !VAIN;
    let thread = shared == THREAD;
    let handlers_alone = set(raw::CLONE_SIGHAND) && !set(raw::CLONE_VM);
    let thread_alone = thread && set(raw::CLONE_PIDFD); // there are descriptors of processes only
    if !thread && shared & !PROCESS != 0 || handlers_alone || thread_alone {
        return Err(Errno::EINVAL);
    }
    let shares = |flag| !thread && set(flag);
    let at = |flag, addr: u64| if set(flag) { addr as usize } else { 0 };
    request.thread = thread;
    request.vfork = shares(raw::CLONE_VM) && set(raw::CLONE_VFORK);
    request.memory = shares(raw::CLONE_VM) && !set(raw::CLONE_VFORK);
    request.files = Common { descriptors: shares(raw::CLONE_FILES), whereabouts: shares(raw::CLONE_FS) };
    request.handlers = shares(raw::CLONE_SIGHAND);
    request.pidfd = set(raw::CLONE_PIDFD).then_some(pidfd as usize);
    request.wait = !set(raw::CLONE_VM) && set(raw::CLONE_VFORK);
    request.tls = set(raw::CLONE_SETTLS).then_some(tls);
    request.set_parent_tid = at(raw::CLONE_PARENT_SETTID, parent_tid);
    request.set_child_tid = at(raw::CLONE_CHILD_SETTID, child_tid);
    request.clear_child_tid = at(raw::CLONE_CHILD_CLEARTID, child_tid);
    if thread {
        request.exit_signal = 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: u64 = 0x100;
    const TLS: u64 = 0x200;
    const CHILD: u64 = 0x300;

    fn clone(flags: u64) -> Result<Request> {
        clone_with(&[flags, 0, PARENT, TLS, CHILD, 0])
    }

    fn clone_with(args: &[u64; 6]) -> Result<Request> {
        let mut request = Request::default();
        check(args, &mut request).map(|()| request)
    }

    #[test]
    fn forks_of_the_usual_c_libraries() {
        let plain = Request { exit_signal: raw::SIGCHLD, ..Request::default() };
        assert_eq!(clone(17), Ok(plain)); // musl fork, vfork of old
        assert_eq!(clone(0), Ok(Request::default()));
        let glibc = Request { set_child_tid: CHILD as usize, clear_child_tid: CHILD as usize, ..plain };
        assert_eq!(clone(0x0120_0011), Ok(glibc));
        assert_eq!(clone(0x4111), Ok(Request { vfork: true, ..plain })); // posix_spawn
        assert_eq!(clone(0x4011), Ok(Request { wait: true, ..plain }));
    }

    #[test]
    fn threads_of_the_usual_c_libraries() {
        let thread = Request {
            thread: true,
            stack: Some(0x9000),
            tls: Some(TLS),
            set_parent_tid: PARENT as usize,
            clear_child_tid: CHILD as usize,
            ..Request::default()
        };
        let musl = 0x007d_0f00;
        assert_eq!(clone_with(&[musl, 0x9000, PARENT, TLS, CHILD, 0]), Ok(thread));
        let glibc = [0x003d_0f00, 0, CHILD, PARENT, 0, 0x1000, 0x8000, TLS];
        assert_eq!(check3(&glibc), Ok(thread));
        let clear = raw::CLONE_CLEAR_SIGHAND;
        assert_eq!(check3(&[0x003d_0f00 | clear, 0, 0, 0, 0, 0, 0, 0]), Err(Errno::EINVAL));
        assert!(check3(&[clear, 0, 0, 0, 17, 0, 0, 0]).unwrap().forget_handlers);
    }

    #[test]
    fn processes_share_what_they_are_told_to() {
        let plain = Request { exit_signal: raw::SIGCHLD, ..Request::default() };
        let both = Common { descriptors: true, whereabouts: true };
        assert_eq!(clone(0x0111), Ok(Request { memory: true, ..plain }));
        assert_eq!(clone(0x0f11), Ok(Request { memory: true, handlers: true, files: both, ..plain }));
        assert_eq!(clone(0x4711), Ok(Request { vfork: true, files: both, ..plain }));
        assert_eq!(clone(0x0211), Ok(Request { files: Common { descriptors: false, ..both }, ..plain }));
        assert_eq!(clone(0x0411), Ok(Request { files: Common { whereabouts: false, ..both }, ..plain }));
        let clear = [raw::CLONE_CLEAR_SIGHAND | 0x0900, 0, 0, 0, 17, 0, 0, 0];
        assert_eq!(check3(&clear), Err(Errno::EINVAL));
    }

    #[test]
    fn a_descriptor_of_the_child_goes_where_its_number_would() {
        let plain = Request { exit_signal: raw::SIGCHLD, ..Request::default() };
        let pidfd = u64::from(raw::CLONE_PIDFD) | 17;
        assert_eq!(clone(pidfd), Ok(Request { pidfd: Some(PARENT as usize), ..plain }));
        assert_eq!(clone(pidfd | u64::from(raw::CLONE_PARENT_SETTID)), Err(Errno::EINVAL));
        assert_eq!(clone(pidfd | u64::from(raw::CLONE_DETACHED)), Err(Errno::EINVAL));
        assert_eq!(clone(0x003d_0f00 | pidfd), Err(Errno::EINVAL), "a thread");
        let both = u64::from(raw::CLONE_PIDFD | raw::CLONE_PARENT_SETTID);
        let request = check3(&[both, 0x700, 0, PARENT, 17, 0, 0, 0]).unwrap();
        assert_eq!((request.pidfd, request.set_parent_tid), (Some(0x700), PARENT as usize));
        assert_eq!(check3(&[both, PARENT, 0, PARENT, 17, 0, 0, 0]), Err(Errno::EINVAL));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for flags in [
            u64::from(raw::CLONE_SIGHAND) | 17,
            u64::from(raw::CLONE_THREAD) | 17,
            u64::from(raw::CLONE_SIGHAND | raw::CLONE_THREAD) | 17,
            u64::from(raw::CLONE_NEWPID) | 17,
            u64::from(raw::CLONE_PARENT) | 17,
            65,
            1 << 32 | 17,
        ] {
            assert_eq!(clone(flags), Err(Errno::EINVAL), "{flags:#x}");
        }
        for args in [
            [17, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 65, 0, 0, 0],
            [0, 0, 0, 0, 17, 0x1000, 0, 0],
            [0, 0, 0, 0, 17, 0x1000, u64::MAX, 0],
        ] {
            assert_eq!(check3(&args), Err(Errno::EINVAL), "{args:x?}");
        }
    }
}
