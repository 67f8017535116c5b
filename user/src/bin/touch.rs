//! `touch [--mib=64] [--accesses=1000000] [--folio=KIB] [--seed=1]`: reads from random places in anonymous memory, all of
//! it populated before. It measures nothing itself: a simulated TLB outside (`make tlb`) counts between its marks.
//!
//! `--folio` sets the machine's folio size policy for the run, 4 meaning none but single pages; without it the policy
//! stays as it is. The sequence of addresses depends on nothing but the seed.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program {
    use user::policy::Policy;
    use user::rt::marker;
    use user::rt::start::Args;
    use user::sys::memory::{self, PRIVATE, READ_WRITE, page_size};
    use user::sys::{Errno, Result};
    use user::text::number;
    use user::{entry, println};

    entry!(main);

    struct Options {
        mib: u64,
        accesses: u64,
        folio_kib: Option<u64>,
        seed: u64,
    }

    impl Options {
        /// Reads the words behind the program's name; the first one that is not understood is the error.
        fn parse(words: impl Iterator<Item = &'static str>) -> core::result::Result<Self, &'static str> {
            let mut options = Options { mib: 64, accesses: 1_000_000, folio_kib: None, seed: 1 };
            for word in words {
                let (name, value) = word.split_once('=').ok_or(word)?;
                let value = number(value).ok_or(word)?;
                match name {
                    "--mib" if (1..=1 << 16).contains(&value) => options.mib = value,
                    "--accesses" => options.accesses = value,
                    "--folio" if (4..=2048).contains(&value) && value.is_power_of_two() => {
                        options.folio_kib = Some(value);
                    }
                    // A generator that starts at 0 stays there.
                    "--seed" if value != 0 => options.seed = value,
                    _ => return Err(word),
                }
            }
            Ok(options)
        }
    }

    fn main(args: Args) -> i32 {
        let options = match Options::parse(args.from(1)) {
            Ok(options) => options,
            Err(word) => {
                println!("touch: {word}: unknown, or out of range");
                return 2;
            }
        };
        match run(&options) {
            Ok(sum) => {
                println!("touch: {} random reads in {} MiB, sum {sum:#x}", options.accesses, options.mib);
                0
            }
            Err(errno) => {
                println!("touch: {errno:?}");
                1
            }
        }
    }

    fn run(options: &Options) -> Result<u64> {
        let policy = Policy::save();
        if let Some(kib) = options.folio_kib {
            policy.only(kib as u32)?;
        }
        let words = reads(options);
        policy.restore();
        words
    }

    /// Populates and reads; the sum of what it read, which is the same for the same options on every kernel.
    fn reads(options: &Options) -> Result<u64> {
        let bytes = (options.mib << 20) as usize;
        // 2 MiB more, so that a region aligned for the largest folio fits.
        let base = memory::map(bytes + (2 << 20), READ_WRITE, PRIVATE)?.next_multiple_of(2 << 20);
        for at in (0..bytes).step_by(page_size()) {
            // SAFETY: within the mapping just made.
            unsafe { ((base + at) as *mut u64).write_volatile(at as u64) };
        }
        // Folios mapped by PTEs are what is looked at.
        // SAFETY: within the mapping just made; nobody forks.
        unsafe { memory::split_blocks(base, bytes & !((2 << 20) - 1)) }?;
        let pages = u32::try_from(bytes / page_size()).map_err(|_| Errno::EINVAL)?;
        let (mut state, mut sum) = (options.seed, 0u64);
        marker::begin();
        for _ in 0..options.accesses {
            // xorshift64 (Marsaglia, "Xorshift RNGs", 2003); its upper half chooses the page, its lower bits the word.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let page = ((state >> 32) * u64::from(pages)) >> 32;
            let at = page as usize * page_size() + (state as usize & (page_size() - 8));
            // SAFETY: `page` is below `pages` and the word within it, so within the mapping, and aligned.
            sum = sum.wrapping_add(unsafe { ((base + at) as *const u64).read_volatile() });
        }
        marker::end();
        Ok(sum)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("touch: built for the host; it runs on aarch64 only");
}
