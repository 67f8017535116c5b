//! What a process has signals do.
//!
//! Most processes say something about a few signals only, so just those are stored: a child of one that has said nothing
//! needs no memory for it.

use alloc::vec::Vec;

use linux_raw_sys::general as raw;

use super::{Default, MAX, SIGCHLD, UNSTOPPABLE, bit, default_of};
use crate::errno::{Errno, Result};
use crate::util::Share;

/// `sa_handler`: the default.
pub const SIG_DFL: u64 = 0;
/// `sa_handler`: ignore it.
pub const SIG_IGN: u64 = 1;

/// `sa_flags`: the handler wants a siginfo and a ucontext.
pub const SA_SIGINFO: u64 = raw::SA_SIGINFO as u64;
/// `sa_flags`: on the alternate stack.
pub const SA_ONSTACK: u64 = raw::SA_ONSTACK as u64;
/// `sa_flags`: interrupted calls start again.
pub const SA_RESTART: u64 = raw::SA_RESTART as u64;
/// `sa_flags`: the handler may be interrupted by its own signal.
pub const SA_NODEFER: u64 = raw::SA_NODEFER as u64;
/// `sa_flags`: only once.
pub const SA_RESETHAND: u64 = raw::SA_RESETHAND as u64;
/// `sa_flags`: `sa_restorer` is where the handler returns to.
pub const SA_RESTORER: u64 = 0x0400_0000;
const SA_NOCLDSTOP: u64 = raw::SA_NOCLDSTOP as u64;
const SA_NOCLDWAIT: u64 = raw::SA_NOCLDWAIT as u64;

/// A `struct sigaction` as the system call has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// [`SIG_DFL`], [`SIG_IGN`] or the handler's address.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to, with [`SA_RESTORER`].
    pub restorer: u64,
    /// What is blocked while the handler runs.
    pub mask: u64,
}

impl Action {
    /// Whether there is a handler to run.
    pub fn is_handler(&self) -> bool {
        self.handler != SIG_DFL && self.handler != SIG_IGN
    }

    /// What is blocked while the handler for `signal` runs, besides what is blocked already.
    pub fn blocks(&self, signal: u32) -> u64 {
        let own = if self.flags & SA_NODEFER == 0 { bit(signal) } else { 0 };
        (self.mask | own) & !UNSTOPPABLE
    }

    /// Whether `signal` does nothing with this action.
    pub fn ignores(&self, signal: u32) -> bool {
        let harmless = matches!(default_of(signal), Default::Ignore | Default::Continue);
        self.handler == SIG_IGN || self.handler == SIG_DFL && harmless
    }
}

/// What a process has signals do.
pub struct Actions {
    /// Signals with something other than the default, in no order. Shared by processes that were cloned so.
    said: Share<Vec<(u32, Action)>>,
}

impl core::default::Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

impl Actions {
    /// All signals do what they do by default.
    pub const fn new() -> Self {
        Actions { said: Share::new(Vec::new()) }
    }

    /// What `signal` does.
    pub fn get(&self, signal: u32) -> Action {
        let find =
            |said: &Vec<(u32, Action)>| said.iter().find(|(of, _)| *of == signal).map(|(_, action)| *action);
        self.said.with(find).unwrap_or_default()
    }

    /// Says what `signal` does.
    ///
    /// # Errors
    /// `ENOMEM`; it does what it did then.
    pub fn set(&mut self, signal: u32, action: Action) -> Result<()> {
        debug_assert!((1..=MAX).contains(&signal));
        self.said.with_mut(|said| {
            match said.iter().position(|(of, _)| *of == signal) {
                Some(at) if action == Action::default() => _ = said.swap_remove(at),
                Some(at) => said[at].1 = action,
                None if action == Action::default() => {}
                None => {
                    said.try_reserve(1)?;
                    said.push((signal, action));
                }
            }
            Ok(())
        })
    }

    /// Returns `signal` to its default, which takes no memory.
    pub fn reset(&mut self, signal: u32) {
        self.said.with_mut(|said| said.retain(|(of, _)| *of != signal));
    }

    /// Says the same to a child, to which nothing has been said.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline(always)] // one caller
    pub fn fork_into(&self, child: &mut Actions) -> Result<()> {
        self.said.with(|said| {
            if !said.is_empty() {
                child.said.with_mut(|copy| {
                    copy.try_reserve_exact(said.len())?;
                    copy.extend_from_slice(said);
                    Ok::<(), Errno>(())
                })?;
            }
            Ok(())
        })
    }

    /// The very same for a child: what one of the two says goes for both.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn share(&mut self) -> Result<Self> {
        Ok(Actions { said: self.said.share()? })
    }

    /// From here on nobody else has a say.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn unshare(&mut self) -> Result<()> {
        if self.said.is_shared() {
            let mut own = Actions::new();
            self.fork_into(&mut own)?;
            *self = own;
        }
        Ok(())
    }

    /// A new program has no handlers; what was ignored stays ignored (execve(2)).
    pub fn forget_handlers(&mut self) {
        let ignored = |(_, action): &mut (u32, Action)| {
            let ignored = action.handler == SIG_IGN;
            *action = Action { handler: SIG_IGN, ..Action::default() };
            ignored
        };
        self.said.with_mut(|said| said.retain_mut(ignored));
    }

    /// Whether children leave no zombies: SIGCHLD ignored, or asked for by SA_NOCLDWAIT (POSIX: _exit()).
    #[inline]
    pub fn no_zombies(&self) -> bool {
        let action = self.get(SIGCHLD);
        action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT != 0
    }

    /// Whether the parent wants no SIGCHLD when a child stops or goes on.
    pub fn only_ends(&self) -> bool {
        self.get(SIGCHLD).flags & SA_NOCLDSTOP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SIGCONT, SIGINT, SIGSEGV, SIGWINCH};
    use super::*;

    const HANDLER: Action = Action { handler: 0x1000, flags: 0, restorer: 0, mask: 0 };
    const IGNORE: Action = Action { handler: SIG_IGN, flags: 0, restorer: 0, mask: 0 };

    #[test]
    fn what_is_said_is_kept_until_unsaid() {
        let mut actions = Actions::new();
        assert_eq!(actions.get(SIGINT), Action::default());
        actions.set(SIGINT, HANDLER).unwrap();
        actions.set(SIGSEGV, IGNORE).unwrap();
        actions.set(SIGINT, Action { mask: 4, ..HANDLER }).unwrap();
        assert_eq!(actions.get(SIGINT).mask, 4);
        actions.set(SIGINT, Action::default()).unwrap();
        actions.reset(SIGSEGV);
        assert!(actions.said.with(Vec::is_empty));
    }

    #[test]
    fn an_exec_keeps_what_is_ignored_alone() {
        let mut actions = Actions::new();
        actions.set(SIGINT, HANDLER).unwrap();
        actions.set(SIGSEGV, Action { flags: SA_RESTART, ..IGNORE }).unwrap();
        let mut child = Actions::new();
        actions.fork_into(&mut child).unwrap();
        assert_eq!(child.get(SIGINT), HANDLER);
        child.forget_handlers();
        assert_eq!(child.get(SIGINT), Action::default());
        assert_eq!(child.get(SIGSEGV), IGNORE);
    }

    #[test]
    fn who_shares_hears_what_the_other_says_until_it_executes_a_program() {
        let mut actions = Actions::new();
        actions.set(SIGINT, HANDLER).unwrap();
        let mut child = actions.share().unwrap();
        child.set(SIGSEGV, IGNORE).unwrap();
        assert_eq!(actions.get(SIGSEGV), IGNORE);
        child.unshare().unwrap();
        child.forget_handlers();
        assert_eq!((child.get(SIGINT), child.get(SIGSEGV)), (Action::default(), IGNORE));
        assert_eq!(actions.get(SIGINT), HANDLER);
        actions.unshare().unwrap();
        assert_eq!(actions.get(SIGINT), HANDLER);
    }

    #[test]
    fn what_does_nothing_and_what_leaves_no_zombies() {
        assert!(IGNORE.ignores(SIGINT) && !HANDLER.ignores(SIGWINCH));
        assert!(Action::default().ignores(SIGWINCH) && Action::default().ignores(SIGCONT));
        assert!(!Action::default().ignores(SIGINT));
        let mut actions = Actions::new();
        assert!(!actions.no_zombies());
        actions.set(SIGCHLD, Action { flags: SA_NOCLDWAIT, ..HANDLER }).unwrap();
        assert!(actions.no_zombies() && !actions.only_ends());
        actions.set(SIGCHLD, IGNORE).unwrap();
        assert!(actions.no_zombies());
    }

    #[test]
    fn a_handler_blocks_its_signal_but_never_what_cannot_be_blocked() {
        assert_eq!(Action { mask: u64::MAX, ..HANDLER }.blocks(SIGINT), !UNSTOPPABLE);
        assert_eq!(HANDLER.blocks(SIGINT), bit(SIGINT));
        assert_eq!(Action { flags: SA_NODEFER, ..HANDLER }.blocks(SIGINT), 0);
    }
}
