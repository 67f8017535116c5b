//! A value that belongs to one owner until it is shared: what a process has for itself, and what a clone may leave to two
//! of them.
//!
//! An owner's value lies where its owner is, with nothing to allocate or to follow. The first time that it is shared it
//! moves to the heap, under a lock and a reference count; whoever holds a [`Share`] of it does not notice.
//!
//! # Locks
//! A shared value's lock is taken inside the one that the `Share` itself is in, and is a leaf wherever that is.

use core::mem::{replace, swap};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use spin::{Mutex, MutexGuard};

use super::Ref;
use crate::errno::Result;

/// A value, one's own or shared; see the module's text.
pub struct Share<T> {
    /// The value, if it is not `common`: then nothing.
    own: T,
    common: Option<Ref<Mutex<T>>>,
}

impl<T> Share<T> {
    /// A value that nobody else has.
    #[inline(always)]
    pub const fn new(own: T) -> Self {
        Share { own, common: None }
    }

    /// What `f` finds in the value.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let locked;
        f(match &self.common {
            None => &self.own,
            Some(common) => {
                locked = common.lock();
                &locked
            }
        })
    }

    /// As above; `f` may change it, for all who have it.
    #[inline(always)]
    pub fn with_mut<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut locked;
        f(match &self.common {
            None => &mut self.own,
            Some(common) => {
                locked = common.lock();
                &mut locked
            }
        })
    }

    /// Whether anybody else has it.
    pub fn is_shared(&self) -> bool {
        self.common.as_ref().is_some_and(|common| !Ref::is_unique(common))
    }

    /// Whether the two are one value.
    pub fn is_same(&self, other: &Self) -> bool {
        matches!((&self.common, &other.common), (Some(a), Some(b)) if Ref::ptr_eq(a, b))
    }

    /// Gives up this share. Returns the value if nobody else has it.
    pub fn into_inner(self) -> Option<T> {
        match self.common {
            None => Some(self.own),
            Some(common) => Ref::into_inner(common).map(Mutex::into_inner),
        }
    }
}

impl<T: Default> Share<T> {
    /// The same value for somebody else.
    ///
    /// # Errors
    /// `ENOMEM`; it stays what it was.
    #[cold]
    #[inline(never)]
    pub fn share(&mut self) -> Result<Self> {
        let common = match &self.common {
            Some(common) => common.clone(),
            None => {
                let common = Ref::try_new(Mutex::new(T::default()))?;
                swap(&mut *common.lock(), &mut self.own);
                self.common = Some(common.clone());
                common
            }
        };
        Ok(Share { own: T::default(), common: Some(common) })
    }
}

/// A [`Share`] in a lock, which is used like one around the value.
pub struct ShareLock<T>(Mutex<Share<T>>);

impl<T> ShareLock<T> {
    /// A lock around what is one's own.
    pub const fn new(value: T) -> Self {
        ShareLock(Mutex::new(Share::new(value)))
    }

    /// Locks it for all who have it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        let mut share = self.0.lock();
        let value = match &share.common {
            None => NonNull::from(&mut share.own),
            Some(common) => NonNull::from(MutexGuard::leak(common.lock())), // unlocked with the guard
        };
        Guard { share, value }
    }

    /// Whether anybody else has it.
    pub fn is_shared(&self) -> bool {
        self.0.lock().is_shared()
    }

    /// Locks it unless somebody has it locked.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let mut share = self.0.try_lock()?;
        let value = match &share.common {
            None => NonNull::from(&mut share.own),
            Some(common) => NonNull::from(MutexGuard::leak(common.try_lock()?)),
        };
        Some(Guard { share, value })
    }

    /// The value, if it has not been shared.
    #[inline]
    pub fn own_mut(&mut self) -> Option<&mut T> {
        let share = self.0.get_mut();
        share.common.is_none().then_some(&mut share.own)
    }

    /// Another share in the place of this one, which is returned.
    pub fn replace(&self, share: Share<T>) -> Share<T> {
        replace(&mut self.0.lock(), share)
    }
}

impl<T: Default> ShareLock<T> {
    /// As [`Share::share`].
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn share(&self) -> Result<Share<T>> {
        self.0.lock().share()
    }

    /// Whether the two are locks around one value. One is locked after the other.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let Some(common) = other.0.lock().common.clone() else { return core::ptr::eq(self, other) };
        let share = self.0.lock();
        share.common.as_ref().is_some_and(|own| Ref::ptr_eq(own, &common))
    }

    /// Gives up the value; `f` ends it if nobody else has it.
    pub fn leave(&self, f: impl FnOnce(&mut T)) {
        let mut share = self.0.lock();
        let Some(common) = share.common.take() else { return f(&mut share.own) };
        drop(share);
        if let Some(value) = Ref::into_inner(common) {
            f(&mut value.into_inner());
        }
    }
}

/// A locked value.
pub struct Guard<'a, T> {
    share: MutexGuard<'a, Share<T>>,
    value: NonNull<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: both locks have been held since the pointer was made, so which value it is has not changed, and nobody
        // else uses it.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(common) = &self.share.common {
            // SAFETY: this guard has locked it, and is used no more.
            unsafe { common.force_unlock() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_one_value() {
        let mut first = Share::new(vec![1]);
        assert!(!first.is_shared());
        let mut second = first.share().unwrap();
        let third = second.share().unwrap();
        assert!(first.is_shared() && first.is_same(&third));
        second.with_mut(|value| value.push(2));
        assert_eq!(first.with(Vec::len), 2);
        assert_eq!(first.into_inner(), None);
        assert_eq!(second.into_inner(), None);
        assert!(!third.is_shared(), "the others have gone");
        assert_eq!(third.into_inner(), Some(vec![1, 2]));
    }

    #[test]
    fn one_s_own_is_the_same_as_nobody_s() {
        let own = Share::new(1);
        assert!(!own.is_same(&Share::new(1)) && own.into_inner() == Some(1));
    }

    #[test]
    fn a_lock_is_one_for_all_who_share() {
        let mut first = ShareLock::new(0);
        assert_eq!(first.own_mut().map(|value| *value += 1), Some(()));
        *first.lock() += 1;
        let second = ShareLock::new(0);
        assert!(second.replace(first.share().unwrap()).into_inner() == Some(0));
        *second.lock() += 1;
        assert_eq!((first.own_mut(), *second.lock()), (None, 3));
        let guard = first.lock();
        let common = second.0.lock().common.clone().unwrap();
        assert!(common.try_lock().is_none(), "whoever has it locked, nobody else has");
        assert!(first.try_lock().is_none() && second.try_lock().is_none());
        drop(guard);
        assert_eq!(second.try_lock().as_deref(), Some(&3));
        assert!(common.try_lock().is_some() && first.try_lock().is_some());
    }

    #[test]
    fn the_last_to_leave_ends_it() {
        let first = ShareLock::new(7);
        let second = ShareLock::new(0);
        drop(second.replace(first.share().unwrap()));
        assert!(first.is_shared() && first.is_same_as(&second) && second.is_same_as(&second));
        assert!(!first.is_same_as(&ShareLock::new(7)));
        first.leave(|_| panic!("somebody has it"));
        assert_eq!(*first.lock(), 0, "what is left is nothing");
        let mut ended = 0;
        second.leave(|value| ended = *value);
        second.leave(|value| assert_eq!(*value, 0));
        first.leave(|value| *value = 1);
        assert_eq!((ended, *first.lock()), (7, 1), "one's own is ended in its place");
    }
}
