//! Newtypes for the addresses the architecture deals in, so that one kind cannot be passed for another.

use core::fmt;

use crate::granule::{CONT_SIZE, PAGE_SHIFT, PAGE_SIZE};

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps an address in bytes.
            #[inline]
            pub const fn new(bytes: u64) -> Self {
                Self(bytes)
            }

            /// The address in bytes.
            #[inline]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The address `bytes` further up.
            #[inline]
            pub const fn add(self, bytes: u64) -> Self {
                Self(self.0 + bytes)
            }

            /// Whether the address is a multiple of `size`, a power of two in bytes.
            #[inline]
            pub const fn is_aligned(self, size: u64) -> bool {
                self.0 & (size - 1) == 0
            }

            /// The next address at or below this one that is a multiple of `size`, a power of two in bytes.
            #[inline]
            pub const fn align_down(self, size: u64) -> Self {
                Self(self.0 & !(size - 1))
            }

            /// The next address at or above this one that is a multiple of `size`, a power of two in bytes.
            /// The caller ensures that it exists.
            #[inline]
            pub const fn align_up(self, size: u64) -> Self {
                Self((self.0 + (size - 1)) & !(size - 1))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    };
}

address! {
    /// A physical address in bytes.
    PhysAddr
}
address! {
    /// A virtual address in bytes.
    VirtAddr
}
address! {
    /// The physical address, in bytes, of one 8-byte descriptor in a translation table.
    DescAddr
}

impl PhysAddr {
    /// The frame this address lies in.
    #[inline]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }
}

impl VirtAddr {
    /// The start of the contpte block around this address.
    #[inline]
    pub const fn cont_start(self) -> Self {
        self.align_down(CONT_SIZE)
    }

    /// The address `pages` pages further down. The caller ensures that it exists.
    #[inline]
    pub const fn sub_pages(self, pages: usize) -> Self {
        Self(self.0 - ((pages as u64) << PAGE_SHIFT))
    }

    /// Whole pages from here up to `end`, which is not below.
    #[inline]
    pub const fn pages_to(self, end: VirtAddr) -> usize {
        ((end.0 - self.0) >> PAGE_SHIFT) as usize
    }
}

/// A page frame number: a physical address in pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(transparent)]
pub struct Pfn(u64);

impl Pfn {
    /// Wraps a frame number (0-based, in pages).
    #[inline]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The frame number (0-based, in pages).
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The frame `pages` further up.
    #[inline]
    pub const fn add(self, pages: u64) -> Self {
        Self(self.0 + pages)
    }

    /// The first byte of the frame.
    #[inline]
    pub const fn addr(self) -> PhysAddr {
        PhysAddr(self.0 * PAGE_SIZE)
    }
}
