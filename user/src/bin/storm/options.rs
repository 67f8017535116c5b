//! The command line. Pure: words in, [`Options`] or a complaint out.

use user::text::number;

use crate::folio::Folio;

/// Something to measure, as `--ops` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Op {
    /// The parent's side of fork.
    Fork,
    /// The child's exit up to the parent's return from wait.
    Exit,
    /// wait4 for a child that is already dead.
    Wait,
    /// COW writes: reuse, copy by the parent, copy by the child.
    Cow,
    /// Unmapping the region.
    Munmap,
    /// First write to each page.
    Populate,
    /// A second fork without writes between.
    Fork2,
    /// Many children alive at once.
    Live,
    /// Many forks, one after another.
    Storm,
    /// Access permissions taken and given back.
    Mprotect,
    /// One page of each block forgotten, and a fork after that.
    Holes,
    /// Fork with many small mappings.
    Vmas,
    /// Fork and exec of a small process.
    Small,
    /// Rounds of forks and random writes: do blocks stay folded?
    Decay,
    /// Forks while memory runs out.
    Oom,
    /// Fork and exit by how much there is.
    Scale,
}

const OPS: [(&str, Op); 16] = [
    ("fork", Op::Fork),
    ("exit", Op::Exit),
    ("wait", Op::Wait),
    ("cow", Op::Cow),
    ("munmap", Op::Munmap),
    ("populate", Op::Populate),
    ("fork2", Op::Fork2),
    ("live", Op::Live),
    ("storm", Op::Storm),
    ("mprotect", Op::Mprotect),
    ("holes", Op::Holes),
    ("vmas", Op::Vmas),
    ("small", Op::Small),
    ("decay", Op::Decay),
    ("oom", Op::Oom),
    ("scale", Op::Scale),
];

/// Folio sizes that can be asked for at once.
const MAX_SIZES: usize = 11;

/// The sizes measured if nothing else is asked for.
const DEFAULT: [Folio; 6] = [
    Folio::pages(4),
    Folio::pages(16),
    Folio::pages(64),
    Folio::pages(512),
    Folio::pages(2048),
    Folio::BLOCK,
];

/// A word to be written to a policy file; the kernel says whether it knows it.
#[derive(Clone, Copy, Debug)]
struct Word {
    bytes: [u8; 12],
    len: usize,
}

impl Word {
    fn new(word: &str) -> Option<Word> {
        let mut bytes = [0; 12];
        bytes.get_mut(..word.len())?.copy_from_slice(word.as_bytes());
        (!word.is_empty()).then_some(Word { bytes, len: word.len() })
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the region in MiB.
    pub mib: u64,
    sizes: [Folio; MAX_SIZES],
    sizes_len: usize,
    ops: u16,
    /// Repetitions of each measurement.
    pub reps: u64,
    /// Children alive at once.
    pub live: u64,
    /// Rounds of [`Op::Decay`].
    pub rounds: u64,
    blocks: [Option<Word>; 3],
    forks: Option<u64>,
    /// Frames that may be missing after [`Op::Oom`].
    pub slack: u64,
    /// Mappings of [`Op::Vmas`].
    pub vmas: u64,
    /// Seconds to sleep before the first measurement.
    pub settle: u64,
    /// Print JSON lines.
    pub json: bool,
    /// Print no table.
    pub quiet: bool,
    /// Print what is being measured.
    pub progress: bool,
}

/// Why the command line cannot be obeyed: the word and what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Complaint<'a> {
    /// The word as given.
    pub word: &'a str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        let mut sizes = [Folio::BLOCK; MAX_SIZES];
        sizes[..DEFAULT.len()].copy_from_slice(&DEFAULT);
        Options {
            mib: 64,
            sizes,
            sizes_len: DEFAULT.len(),
            ops: !(1 << Op::Oom as u8 | 1 << Op::Decay as u8 | 1 << Op::Scale as u8),
            reps: 3,
            live: 32,
            rounds: 100,
            blocks: [None; 3],
            forks: None,
            slack: 0,
            vmas: 1000,
            settle: 0,
            json: false,
            quiet: false,
            progress: false,
        }
    }
}

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// The first word that is not understood or out of range.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, Complaint<'a>> {
        let mut options = Options::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let within = |low: u64, high: u64| {
                number(value)
                    .filter(|n| (low..=high).contains(n))
                    .ok_or("the number is missing or out of range")
            };
            let done = match name {
                "--mib" => within(2, 1 << 16)
                    .and_then(|n| {
                        if n % 2 == 0 { Ok(n) } else { Err("must be even: the largest folio has 2 MiB") }
                    })
                    .map(|n| options.mib = n),
                "--sizes" => options.set_sizes(value),
                "--ops" => options.set_ops(value),
                "--reps" => within(1, 1000).map(|n| options.reps = n),
                "--live" => within(1, 100_000).map(|n| options.live = n),
                "--rounds" => within(1, 1_000_000).map(|n| options.rounds = n),
                "--cow" => options.set_block_policy(0, value),
                "--reuse" => options.set_block_policy(1, value),
                "--refold" => options.set_block_policy(2, value),
                "--forks" => within(1, 100_000_000).map(|n| options.forks = Some(n)),
                "--slack" => within(0, 1 << 20).map(|n| options.slack = n),
                "--vmas" => within(1, 30_000).map(|n| options.vmas = n),
                "--settle" => within(0, 3600).map(|n| options.settle = n),
                "--json" if word == name => {
                    options.json = true;
                    Ok(())
                }
                "--quiet" if word == name => {
                    options.quiet = true;
                    Ok(())
                }
                "--progress" if word == name => {
                    options.progress = true;
                    Ok(())
                }
                _ => Err("no such option"),
            };
            done.map_err(|why| Complaint { word, why })?;
        }
        Ok(options)
    }

    /// The folios, in the order given.
    pub fn sizes(&self) -> &[Folio] {
        &self.sizes[..self.sizes_len]
    }

    /// Whether `op` is to be measured.
    pub fn wants(&self, op: Op) -> bool {
        self.ops & 1 << op as u8 != 0
    }

    /// Whether one of `ops` is to be measured.
    pub fn wants_any(&self, ops: &[Op]) -> bool {
        ops.iter().any(|op| self.wants(*op))
    }

    /// Whether anything is measured folio size by folio size.
    pub fn wants_sizes(&self) -> bool {
        OPS.iter().any(|(_, op)| !matches!(op, Op::Oom | Op::Vmas | Op::Small) && self.wants(*op))
    }

    /// What is to be written to the kernel's files `cow`, `reuse` and `refold` before anything is measured; `None`: left
    /// as it is.
    pub fn block_policy(&self) -> [Option<&str>; 3] {
        self.blocks.each_ref().map(|word| word.as_ref().map(Word::as_str))
    }

    fn set_block_policy(&mut self, file: usize, value: &str) -> Result<(), &'static str> {
        self.blocks[file] = Some(Word::new(value).ok_or("a word of at most 12 letters is missing")?);
        Ok(())
    }

    /// Forks in the storm.
    pub fn storm_forks(&self) -> u64 {
        self.forks.unwrap_or(200)
    }

    /// Forks with memory running out, at least.
    pub fn oom_forks(&self) -> u64 {
        self.forks.unwrap_or(10_000)
    }

    fn set_sizes(&mut self, list: &str) -> Result<(), &'static str> {
        self.sizes_len = 0;
        for word in list.split(',') {
            let folio =
                Folio::parse(word).ok_or("a folio has a power of two from 4 to 2048 KiB, or is `block`")?;
            let slot = self.sizes.get_mut(self.sizes_len).ok_or("too many sizes")?;
            *slot = folio;
            self.sizes_len += 1;
        }
        Ok(())
    }

    fn set_ops(&mut self, list: &str) -> Result<(), &'static str> {
        self.ops = 0;
        for word in list.split(',') {
            let (_, op) = OPS.iter().find(|(name, _)| *name == word).ok_or("no such operation")?;
            self.ops |= 1 << *op as u8;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Complaint<'_>> {
        Options::parse(line.split_whitespace())
    }

    #[test]
    fn defaults() {
        let options = parse("").unwrap();
        assert_eq!(options.sizes(), DEFAULT);
        assert_eq!((options.mib, options.reps), (64, 3));
        assert!(options.wants(Op::Storm) && !options.wants(Op::Oom));
        assert_eq!((options.storm_forks(), options.oom_forks()), (200, 10_000));
    }

    #[test]
    fn everything_set() {
        let options = parse(
            "--mib=8 --sizes=64,4,block --ops=fork,cow,oom --reps=1 --live=2 --forks=7 --vmas=9 --settle=20 --json --quiet --progress",
        )
        .unwrap();
        assert_eq!(options.sizes(), [Folio::pages(64), Folio::pages(4), Folio::BLOCK]);
        assert!(options.wants(Op::Fork) && options.wants(Op::Cow) && options.wants(Op::Oom));
        assert!(
            !options.wants(Op::Exit) && !options.wants_any(&[Op::Exit, Op::Live]) && options.wants_sizes()
        );
        assert_eq!((options.mib, options.reps, options.live, options.settle, options.vmas), (8, 1, 2, 20, 9));
        assert_eq!((options.storm_forks(), options.oom_forks()), (7, 7));
        assert!(options.json && options.quiet && options.progress);
        assert!(!parse("--ops=oom,vmas,small").unwrap().wants_sizes());
    }

    #[test]
    fn words_for_the_block_policy_are_kept() {
        let options = parse("--cow=262144 --refold=never --ops=decay --rounds=7").unwrap();
        assert_eq!(options.block_policy(), [Some("262144"), None, Some("never")]);
        assert!(options.wants(Op::Decay) && options.wants_sizes() && options.rounds == 7);
        assert!(!Options::default().wants_any(&[Op::Decay, Op::Scale]));
        assert!(parse("--ops=scale").unwrap().wants_sizes());
    }

    #[test]
    fn complaints_name_the_word() {
        for word in [
            "--mib=3",
            "--mib=",
            "--mib=x",
            "--mib=0",
            "--sizes=",
            "--sizes=5",
            "--sizes=4096",
            "--sizes=4,,8",
            "--ops=frok",
            "--reps=0",
            "--live=0",
            "--json=1",
            "--rounds=0",
            "--cow=",
            "--reuse=everything-there-is",
            "--nope",
            "fork",
        ] {
            assert_eq!(parse(word).unwrap_err().word, word);
        }
        assert_eq!(parse("--sizes=4,4,4,4,4,4,4,4,4,4,4,4").unwrap_err().why, "too many sizes");
    }
}
