//! An intrusive doubly linked list: the links live in the members, so linking never allocates and never fails.
//!
//! A member has one [`Link`] per kind of list it can be on (`SLOT`), and is on at most one list of each kind. All
//! links of a list are protected by whatever lock protects the list itself; the `unsafe` methods say what else
//! the caller owes.

use core::cell::Cell;
use core::ptr::NonNull;

/// A member's place in one kind of list.
pub struct Link<T> {
    next: Cell<Option<NonNull<T>>>,
    prev: Cell<Option<NonNull<T>>>,
    linked: Cell<bool>,
}

impl<T> Link<T> {
    /// A link that is on no list.
    pub const fn new() -> Self {
        Link { next: Cell::new(None), prev: Cell::new(None), linked: Cell::new(false) }
    }

    /// Whether the owner of this link is on a list.
    pub fn is_linked(&self) -> bool {
        self.linked.get()
    }
}

/// A type that can be a member of lists of kind `SLOT`.
///
/// # Safety
/// `link` returns the same `Link` of `self` every time, and a different one for every `SLOT`.
pub unsafe trait Linked<const SLOT: usize>: Sized {
    /// The member's link for this kind of list.
    fn link(&self) -> &Link<Self>;
}

/// A list of `T` through the links of kind `SLOT`. It does not own its members.
pub struct List<T: Linked<SLOT>, const SLOT: usize> {
    head: Option<NonNull<T>>,
    tail: Option<NonNull<T>>,
}

// SAFETY: a list is a pair of pointers; it reaches its members only in methods, under the lock that protects the
// list, and whoever inserts a member promises (see `push_back`) that it may be reached from there.
unsafe impl<T: Linked<SLOT> + Sync, const SLOT: usize> Send for List<T, SLOT> {}

impl<T: Linked<SLOT>, const SLOT: usize> List<T, SLOT> {
    /// The empty list.
    pub const fn new() -> Self {
        List { head: None, tail: None }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// The first member.
    pub fn front(&self) -> Option<NonNull<T>> {
        self.head
    }

    /// Appends `item`.
    ///
    /// # Safety
    /// `item` is on no list of this kind, and stays alive and at its address until it has been removed.
    pub unsafe fn push_back(&mut self, item: NonNull<T>) {
        // SAFETY: the caller's promise covers exactly this insertion.
        unsafe { self.insert_before(None, item) }
    }

    /// Inserts `item` in front of `before`, or at the end.
    ///
    /// # Safety
    /// As for [`List::push_back`]; `before` is on this list.
    pub unsafe fn insert_before(&mut self, before: Option<NonNull<T>>, item: NonNull<T>) {
        // SAFETY: members are alive (promised at insertion), and so are `before` and `item` (the caller).
        unsafe {
            let link = item.as_ref().link();
            debug_assert!(!link.is_linked(), "a member is on one list of a kind at a time");
            let prev = match before {
                Some(next) => next.as_ref().link().prev.replace(Some(item)),
                None => self.tail.replace(item),
            };
            match prev {
                Some(prev) => prev.as_ref().link().next.set(Some(item)),
                None => self.head = Some(item),
            }
            link.next.set(before);
            link.prev.set(prev);
            link.linked.set(true);
        }
    }

    /// Takes `item` off; nothing happens if it is on no list of this kind.
    ///
    /// # Safety
    /// `item` is alive, and on no other list of this kind.
    pub unsafe fn remove(&mut self, item: NonNull<T>) {
        // SAFETY: `item` is alive (the caller) and so are its neighbours, which are members.
        unsafe {
            let link = item.as_ref().link();
            if !link.linked.replace(false) {
                return;
            }
            let (next, prev) = (link.next.take(), link.prev.take());
            match next {
                Some(next) => next.as_ref().link().prev.set(prev),
                None => self.tail = prev,
            }
            match prev {
                Some(prev) => prev.as_ref().link().next.set(next),
                None => self.head = next,
            }
        }
    }

    /// Takes the first member off.
    pub fn pop_front(&mut self) -> Option<NonNull<T>> {
        let item = self.head?;
        // SAFETY: a member, so alive by the promise of whoever inserted it, and on this list.
        unsafe { self.remove(item) };
        Some(item)
    }

    /// The members from the first to the last. The list must not change meanwhile, which the borrow ensures.
    pub fn iter(&self) -> Iter<'_, T, SLOT> {
        Iter { next: self.head, _list: self }
    }
}

impl<T: Linked<SLOT>, const SLOT: usize> Default for List<T, SLOT> {
    fn default() -> Self {
        Self::new()
    }
}

/// Iterator over a list's members; see [`List::iter`].
pub struct Iter<'a, T: Linked<SLOT>, const SLOT: usize> {
    next: Option<NonNull<T>>,
    _list: &'a List<T, SLOT>,
}

impl<T: Linked<SLOT>, const SLOT: usize> Iterator for Iter<'_, T, SLOT> {
    type Item = NonNull<T>;

    fn next(&mut self) -> Option<NonNull<T>> {
        let item = self.next?;
        // SAFETY: a member, so alive by the promise of whoever inserted it.
        self.next = unsafe { item.as_ref().link().next.get() };
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(u32, Link<Item>);
    // SAFETY: one kind of list, one link.
    unsafe impl Linked<0> for Item {
        fn link(&self) -> &Link<Self> {
            &self.1
        }
    }

    fn contents(list: &List<Item, 0>) -> Vec<u32> {
        // SAFETY: the tests' items outlive their lists.
        list.iter().map(|item| unsafe { item.as_ref() }.0).collect()
    }

    #[test]
    fn keeps_order_and_takes_members_out_anywhere() {
        let items: Vec<Item> = (0..5).map(|n| Item(n, Link::new())).collect();
        let mut list = List::<Item, 0>::new();
        // SAFETY: the items outlive the list, and each is inserted once.
        unsafe {
            for item in &items[..4] {
                list.push_back(NonNull::from(item));
            }
            list.insert_before(list.front(), NonNull::from(&items[4]));
            assert_eq!(contents(&list), [4, 0, 1, 2, 3]);
            list.remove(NonNull::from(&items[1]));
            list.remove(NonNull::from(&items[4]));
            list.remove(NonNull::from(&items[3]));
            list.remove(NonNull::from(&items[3]));
            assert_eq!(contents(&list), [0, 2]);
            list.push_back(NonNull::from(&items[1]));
        }
        assert_eq!(contents(&list), [0, 2, 1]);
        assert_eq!(list.pop_front(), Some(NonNull::from(&items[0])));
        assert!(!items[0].1.is_linked() && items[2].1.is_linked());
        list.pop_front();
        list.pop_front();
        assert!(list.is_empty() && list.pop_front().is_none() && list.tail.is_none());
    }
}
