//! The command line. Pure: words in, [`Options`] or a complaint out.

use user::text::number;

/// The most worker processes.
pub const MAX_PROCS: usize = 32;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What all numbers come from.
    pub seed: u64,
    /// System calls, of all workers together.
    pub calls: u64,
    /// Seconds after which it ends, whatever was called by then; 0: no such limit.
    pub seconds: u64,
    /// Worker processes at once.
    pub procs: usize,
    /// Show how often each number was called, and with what success.
    pub verbose: bool,
}

impl Options {
    /// What is done if nothing is asked for.
    pub const DEFAULT: Options = Options { seed: 1, calls: 200_000, seconds: 0, procs: 6, verbose: false };

    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// The word that is not understood.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Options, &'a str> {
        let mut options = Options::DEFAULT;
        for word in words {
            options.word(word).ok_or(word)?;
        }
        Ok(options)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if word == "--verbose" {
            self.verbose = true;
            return Some(());
        }
        let (name, value) = word.split_once('=')?;
        let value = number(value)?;
        match name {
            "--seed" => self.seed = value,
            "--calls" if value > 0 => self.calls = value,
            "--seconds" if value > 0 => (self.seconds, self.calls) = (value, u64::MAX),
            "--procs" if (1..=MAX_PROCS as u64).contains(&value) => self.procs = value as usize,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, &str> {
        Options::parse(words.split_whitespace())
    }

    #[test]
    fn each_word_is_read() {
        assert_eq!(parse(""), Ok(Options::DEFAULT));
        let all = parse("--seed=7 --calls=50 --procs=3 --verbose").unwrap();
        assert_eq!(all, Options { seed: 7, calls: 50, seconds: 0, procs: 3, verbose: true });
        let timed = parse("--seconds=9").unwrap();
        assert_eq!((timed.seconds, timed.calls), (9, u64::MAX), "time alone ends it");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for bad in ["--seed", "--seed=x", "--calls=0", "--procs=0", "--procs=33", "--seconds=0", "7"] {
            assert_eq!(parse(bad), Err(bad));
        }
    }
}
