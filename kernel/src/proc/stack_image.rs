//! What a new program finds on its stack, as Linux lays it out (fs/binfmt_elf.c, create_elf_tables):
//!
//! ```text
//!   top    8 zero bytes
//!          path of the executable, environment strings, argument strings, "aarch64", 16 random bytes
//!          padding
//!          auxiliary vector, ending with AT_NULL
//!          environment pointers, NULL
//!          argument pointers, NULL
//!   sp     number of arguments                                            16-byte aligned
//! ```

use alloc::vec::Vec;

use super::args::Strings;
use crate::errno::{Errno, Result};

/// Types of auxiliary vector entries (Linux: include/uapi/linux/auxvec.h).
pub mod at {
    /// End of the vector.
    pub const NULL: u64 = 0;
    /// Address of the program headers.
    pub const PHDR: u64 = 3;
    /// Bytes of one program header.
    pub const PHENT: u64 = 4;
    /// Number of program headers.
    pub const PHNUM: u64 = 5;
    /// Bytes of a page.
    pub const PAGESZ: u64 = 6;
    /// Where the interpreter is loaded; 0: there is none.
    pub const BASE: u64 = 7;
    /// Always 0.
    pub const FLAGS: u64 = 8;
    /// Address of the first instruction.
    pub const ENTRY: u64 = 9;
    /// Real user.
    pub const UID: u64 = 11;
    /// Effective user.
    pub const EUID: u64 = 12;
    /// Real group.
    pub const GID: u64 = 13;
    /// Effective group.
    pub const EGID: u64 = 14;
    /// Address of the name of the platform.
    pub const PLATFORM: u64 = 15;
    /// What the CPU can do.
    pub const HWCAP: u64 = 16;
    /// Ticks a second that times(2) counts in.
    pub const CLKTCK: u64 = 17;
    /// Whether the program has more rights than its caller.
    pub const SECURE: u64 = 23;
    /// Address of 16 random bytes.
    pub const RANDOM: u64 = 25;
    /// Address of the path of the executable.
    pub const EXECFN: u64 = 31;
}

const PLATFORM: &[u8] = b"aarch64\0";

/// What to put on the stack.
pub struct Contents<'a> {
    /// Path of the executable, without a NUL.
    pub path: &'a [u8],
    /// Arguments.
    pub argv: &'a Strings,
    /// Environment.
    pub envp: &'a Strings,
    /// The auxiliary vector but for the entries that point into the stack and the end.
    pub aux: &'a [(u64, u64)],
    /// For AT_RANDOM.
    pub random: [u8; 16],
}

/// A stack's initial bytes.
#[derive(Debug)]
pub struct StackImage {
    /// They go to `sp` and upwards.
    pub bytes: Vec<u8>,
    /// The initial stack pointer (address in bytes, a multiple of 16).
    pub sp: usize,
}

impl StackImage {
    /// Lays out `contents` below the address `top`, a multiple of 16.
    ///
    /// # Errors
    /// `ENOMEM`; `E2BIG`: `top` is lower than the contents are long.
    pub fn build(top: usize, contents: &Contents) -> Result<StackImage> {
        let Contents { path, argv, envp, aux, random } = contents;
        let strings =
            random.len() + PLATFORM.len() + argv.bytes().len() + envp.bytes().len() + path.len() + 1;
        let words = 1 + (argv.len() + 1) + (envp.len() + 1) + 2 * (aux.len() + 4);
        let total = (words * 8 + strings + 8).next_multiple_of(16);
        let sp = top.checked_sub(total).ok_or(Errno::E2BIG)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(total)?;

        let random_at = top - 8 - strings;
        let platform_at = random_at + random.len();
        let argv_at = platform_at + PLATFORM.len();
        let envp_at = argv_at + argv.bytes().len();
        let path_at = envp_at + envp.bytes().len();

        // From here on nothing is longer than what has been reserved.
        let mut word = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());
        word(argv.len() as u64);
        argv.offsets().for_each(|offset| word((argv_at + offset) as u64));
        word(0);
        envp.offsets().for_each(|offset| word((envp_at + offset) as u64));
        word(0);
        let pointers = [(at::RANDOM, random_at), (at::EXECFN, path_at), (at::PLATFORM, platform_at)];
        let pointers = pointers.map(|(kind, addr)| (kind, addr as u64));
        for (kind, value) in aux.iter().chain(&pointers).chain(&[(at::NULL, 0)]) {
            word(*kind);
            word(*value);
        }
        bytes.resize(random_at - sp, 0);
        for part in [random, PLATFORM, argv.bytes(), envp.bytes(), path] {
            bytes.extend_from_slice(part);
        }
        bytes.resize(total, 0);
        Ok(StackImage { bytes, sp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: usize = 0xffff_ffff_0000;

    struct Reader<'a>(&'a StackImage);

    /// Arguments, environment, auxiliary vector.
    type Parsed<'a> = (Vec<&'a [u8]>, Vec<&'a [u8]>, Vec<(u64, u64)>);

    impl Reader<'_> {
        fn word(&self, addr: u64) -> u64 {
            let at = addr as usize - self.0.sp;
            u64::from_le_bytes(self.0.bytes[at..at + 8].try_into().unwrap())
        }
        fn string(&self, addr: u64) -> &[u8] {
            let from = &self.0.bytes[addr as usize - self.0.sp..];
            &from[..from.iter().position(|byte| *byte == 0).unwrap()]
        }
        /// As a C library reads it.
        fn parse(&self) -> Parsed<'_> {
            let mut at = self.0.sp as u64;
            let mut next = || {
                at += 8;
                self.word(at - 8)
            };
            let argc = next();
            let argv = (0..argc).map(|_| self.string(next())).collect();
            assert_eq!(next(), 0);
            let envp =
                core::iter::from_fn(|| Some(next()).filter(|p| *p != 0).map(|p| self.string(p))).collect();
            let aux = core::iter::from_fn(|| Some((next(), next())).filter(|(kind, _)| *kind != at::NULL));
            (argv, envp, aux.collect())
        }
    }

    fn build(argv: &[&[u8]], envp: &[&[u8]], path: &[u8]) -> StackImage {
        let contents = Contents {
            path,
            argv: &Strings::copy_of(argv).unwrap(),
            envp: &Strings::copy_of(envp).unwrap(),
            aux: &[(at::PAGESZ, 4096), (at::ENTRY, 0x40_1234)],
            random: *b"0123456789abcdef",
        };
        StackImage::build(TOP, &contents).unwrap()
    }

    #[test]
    fn a_c_library_can_read_it() {
        let image = build(&[b"/init", b"", b"--fast"], &[b"HOME=/", b"TERM=linux"], b"/sbin/init");
        let reader = Reader(&image);
        let (argv, envp, aux) = reader.parse();
        assert_eq!(argv, [&b"/init"[..], b"", b"--fast"]);
        assert_eq!(envp, [&b"HOME=/"[..], b"TERM=linux"]);
        let find = |kind| aux.iter().find(|(k, _)| *k == kind).unwrap().1;
        assert_eq!((find(at::PAGESZ), find(at::ENTRY)), (4096, 0x40_1234));
        assert_eq!(reader.string(find(at::EXECFN)), b"/sbin/init");
        assert_eq!(reader.string(find(at::PLATFORM)), b"aarch64");
        let random = find(at::RANDOM) as usize - image.sp;
        assert_eq!(&image.bytes[random..random + 16], b"0123456789abcdef");
    }

    #[test]
    fn sp_is_aligned_and_the_image_ends_at_the_top() {
        for n in 0..40 {
            let long = vec![b'a'; n];
            let image = build(&vec![&b"x"[..]; n % 5], &[&long], b"/p");
            assert_eq!(image.sp % 16, 0);
            assert_eq!(image.sp + image.bytes.len(), TOP);
            assert_eq!(image.bytes[image.bytes.len() - 8..], [0; 8]);
            assert_eq!(Reader(&image).parse().1, [&long[..]]);
        }
    }

    #[test]
    fn nothing_at_all_is_fine_and_no_room_is_not() {
        let empty = build(&[], &[], b"");
        assert_eq!(Reader(&empty).parse().0.len(), 0);
        let none = Strings::new();
        let contents = Contents { path: b"/p", argv: &none, envp: &none, aux: &[], random: [0; 16] };
        assert_eq!(StackImage::build(16, &contents).err(), Some(Errno::E2BIG));
    }
}
