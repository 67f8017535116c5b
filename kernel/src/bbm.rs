//! `pleat.bbm=`: the FEAT_BBM level that folding and unfolding contpte blocks rely on.
//!
//! Level 0 unless asked for. With 2, on a CPU that offers level 2, no flush comes between the old form of a block and
//! the new (`paging::contpte::fold`). The CPU's ID register does not say whether it answers the overlap with a TLB
//! conflict abort instead of a translation, and the kernel does not handle those: whoever passes the argument vouches
//! that it never does. On the CPUs that Linux lists in `cpu_supports_bbml2_noabort` that is so.

/// What the command line's word comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Break-before-make, with a flush.
    Level0,
    /// No flush between.
    Level2,
    /// Level 2 was asked for and the CPU offers only this; taken as level 0.
    NotOffered(u8),
    /// The value is neither 0 nor 2; taken as level 0.
    Unknown,
}

impl Choice {
    /// From the value of `pleat.bbm` and the level that the CPU offers.
    pub fn new(value: Option<&str>, offered: u8) -> Self {
        match value {
            None | Some("0") => Choice::Level0,
            Some("2") if offered >= 2 => Choice::Level2,
            Some("2") => Choice::NotOffered(offered),
            Some(_) => Choice::Unknown,
        }
    }

    /// The level to rely on.
    pub const fn level(self) -> u8 {
        match self {
            Choice::Level2 => 2,
            Choice::Level0 | Choice::NotOffered(_) | Choice::Unknown => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_2_is_relied_on_only_if_asked_for_and_offered() {
        for offered in 0..=2 {
            assert_eq!(Choice::new(None, offered).level(), 0);
            assert_eq!(Choice::new(Some("0"), offered).level(), 0);
        }
        assert_eq!(Choice::new(Some("2"), 2).level(), 2);
        assert_eq!(Choice::new(Some("2"), 1), Choice::NotOffered(1));
        assert_eq!(Choice::NotOffered(1).level(), 0);
        for value in ["1", "", "on", "3"] {
            assert_eq!((Choice::new(Some(value), 2), Choice::Unknown.level()), (Choice::Unknown, 0));
        }
    }
}
