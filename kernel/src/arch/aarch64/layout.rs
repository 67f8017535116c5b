//! Where things are in the kernel's half of the address space (TTBR1, addresses from `0xffff_0000_0000_0000`).
//!
//! ```text
//! 0xffff_0000_0000_0000  linear map: all RAM, at LINEAR_BASE + physical address      128 TiB
//! 0xffff_8000_4000_0000  device tree, only until the kernel's own map is in place      4 MiB
//! 0xffff_8000_8000_0000  the image (fixed by linker.ld)                            to  1 GiB
//! 0xffff_8001_0000_0000  device registers                                              4 GiB
//! 0xffff_8002_0000_0000  kernel stacks, each with a guard below                        4 GiB
//! 0xffff_8003_0000_0000  kernel heap                                                   4 GiB
//! ```

use paging::PAGE_SIZE;

/// Virtual address of physical address 0 in the linear map.
pub const LINEAR_BASE: usize = 0xffff_0000_0000_0000;
/// Physical addresses from here on, in bytes, have no place in the linear map.
pub const LINEAR_BYTES: u64 = 1 << 47;
/// Where the entry code maps the device tree blob.
pub const DTB_WINDOW: usize = 0xffff_8000_4000_0000;
/// Where the image runs; `linker.ld` says the same.
pub const IMAGE_BASE: usize = 0xffff_8000_8000_0000;
/// Start of the window of device mappings.
pub const DEVICE_BASE: usize = 0xffff_8001_0000_0000;
/// Start of the window of kernel stacks.
pub const STACK_BASE: usize = 0xffff_8002_0000_0000;
/// Start of the window of the kernel heap.
pub const HEAP_BASE: usize = 0xffff_8003_0000_0000;
/// Bytes in each of the device, stack and heap windows.
pub const WINDOW_BYTES: usize = 4 << 30;

/// Bytes in a kernel stack: 16 KiB, or a page if that is more; `linker.ld` says the same of the boot stack. Its slot is twice as large and aligned to its own size; the stack is the upper half and
/// the lower is not mapped, so this bit is clear in any stack pointer that has left its stack downwards.
pub const STACK_BYTES: usize = if PAGE_SIZE > 16 << 10 { PAGE_SIZE as usize } else { 16 << 10 };
/// Bytes in a stack's slot.
pub const STACK_SLOT_BYTES: usize = 2 * STACK_BYTES;
/// The first address that no user address reaches: TTBR0 translates 48 bits.
pub const USER_END: usize = 1 << 48;

const _: () = assert!(STACK_BASE.is_multiple_of(STACK_SLOT_BYTES));
