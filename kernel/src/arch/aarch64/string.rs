//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp` by pairs of registers.
//!
//! Nobody calls this module: the compiler makes calls to these symbols wherever it moves a value that is too large for
//! registers, and the linker takes the ones here, as those of `compiler_builtins` are weak. They are assembly because a
//! compiled `memcpy` may be turned into a call of itself.

use core::arch::global_asm;

global_asm!(include_str!("string.s"));
