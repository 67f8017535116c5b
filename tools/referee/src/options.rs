//! What follows the plugin's file name on QEMU's command line: `-plugin FILE,name=value,...`.

use std::path::PathBuf;

/// What the plugin is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Hold the kernel against the model's rules.
    Check,
    /// Simulate TLBs and count their misses.
    Reach,
}

/// When the simulated TLBs count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// Between the hints that a workload executes.
    Marked,
    /// From the first return to EL0 to the end.
    User,
}

/// The options, with their defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// `mode=check|reach`.
    pub mode: Mode,
    /// `elf=PATH`: the kernel with its symbols.
    pub elf: Option<PathBuf>,
    /// `trace=PATH`: every event is written there.
    pub trace: Option<PathBuf>,
    /// `report=PATH`: the result is appended there, one line of words.
    pub report: Option<PathBuf>,
    /// `label=WORD`: what the result is called.
    pub label: String,
    /// `bbm=0|1|2`: the level of FEAT_BBM that the rules are to grant.
    pub bbm_level: u8,
    /// `window=marked|user`.
    pub window: Window,
    /// `l1=N`: entries of the first-level TLB, which is fully associative.
    pub l1: usize,
    /// `l2=N`: entries of the second-level TLB.
    pub l2: usize,
    /// `ways=N`: its associativity.
    pub ways: usize,
}

impl Default for Options {
    fn default() -> Self {
        // The TLB is like a Cortex-A76's or Neoverse N1's (Arm 100798, "Translation Lookaside Buffer"), which has
        // another first level of the same size for fetches.
        Options {
            mode: Mode::Check,
            elf: None,
            trace: None,
            report: None,
            label: "run".into(),
            bbm_level: 0,
            window: Window::Marked,
            l1: 48,
            l2: 1280,
            ways: 5,
        }
    }
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("{name}={value}: not a number"))
}

impl Options {
    /// Reads `name=value` words.
    ///
    /// # Errors
    /// What is wrong with a word, for a person.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Options::default();
        for word in words {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("{word}: not of the form name=value"))?;
            match (name, value) {
                ("mode", "check") => options.mode = Mode::Check,
                ("mode", "reach") => options.mode = Mode::Reach,
                ("window", "marked") => options.window = Window::Marked,
                ("window", "user") => options.window = Window::User,
                ("elf", path) => options.elf = Some(path.into()),
                ("trace", path) => options.trace = Some(path.into()),
                ("report", path) => options.report = Some(path.into()),
                ("label", label) => options.label = label.into(),
                ("bbm", "0" | "1" | "2") => options.bbm_level = value.as_bytes()[0] - b'0',
                ("l1", _) => options.l1 = number(name, value)?,
                ("l2", _) => options.l2 = number(name, value)?,
                ("ways", _) => options.ways = number(name, value)?,
                _ => return Err(format!("{word}: unknown option or value")),
            }
        }
        let sets = options.l2.checked_div(options.ways).unwrap_or(0);
        if options.l1 == 0 || !sets.is_power_of_two() || sets * options.ways != options.l2 {
            return Err("a TLB needs entries, and l2 is to be ways times a power of two".into());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_replace_defaults() {
        let options =
            Options::parse(["mode=reach", "elf=a=b", "l2=64", "ways=4", "bbm=2"].into_iter()).unwrap();
        assert_eq!(options.mode, Mode::Reach);
        assert_eq!(options.elf, Some("a=b".into()));
        assert_eq!((options.l1, options.l2, options.ways, options.bbm_level), (48, 64, 4, 2));
        assert_eq!(Options::parse(std::iter::empty()), Ok(Options::default()));
    }

    #[test]
    fn mistakes_are_told() {
        for word in ["mode", "mode=maybe", "l1=x", "l1=0", "ways=7", "bbm=3", "colour=red"] {
            assert!(Options::parse([word].into_iter()).is_err(), "{word}");
        }
    }
}
