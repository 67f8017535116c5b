//! How the machine uses its liberties.

use std::vec::Vec;

/// Who decides wherever the architecture leaves a choice.
#[derive(Clone, Debug)]
pub enum Adversary {
    /// Every access sees the newest state; nothing happens behind software's back. As kind as an emulator.
    Newest,
    /// Every access is translated by the oldest translation that is still permitted.
    Oldest,
    /// Chance, mostly for something old, reproducible from the seed.
    Random(u64),
    /// The given choices one after the other, and the newest when they are used up; for exhaustive
    /// enumeration, see [`Script`].
    Script(Script),
}

impl Adversary {
    /// One of `n` possibilities, 0 the newest and `n - 1` the oldest. `n` is at least 1.
    pub(super) fn choose(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        match self {
            Adversary::Newest => 0,
            Adversary::Oldest => n - 1,
            Adversary::Random(state) => {
                let random = next(state);
                // The newest state is what every test sees anyway.
                if random & 3 == 0 { 0 } else { 1 + (random >> 2) as usize % (n - 1) }
            }
            Adversary::Script(script) => script.choose(n),
        }
    }

    /// Whether something happens that may, but rarely would.
    pub(super) fn chance(&mut self, one_in: u64) -> bool {
        match self {
            Adversary::Newest | Adversary::Oldest => false,
            Adversary::Random(state) => next(state).is_multiple_of(one_in),
            Adversary::Script(script) => script.choose(2) == 1,
        }
    }
}

/// xorshift64*.
fn next(state: &mut u64) -> u64 {
    let mut x = (*state).max(1);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

/// A list of choices that enumerates all others: run, take it back from the machine, [`Script::advance`], run
/// again.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Each choice with how many possibilities it was made from.
    taken: Vec<(usize, usize)>,
    position: usize,
}

impl Script {
    /// The first of all scripts.
    pub fn new() -> Self {
        Self::default()
    }

    fn choose(&mut self, n: usize) -> usize {
        if self.position == self.taken.len() {
            self.taken.push((0, n));
        }
        let (choice, _) = self.taken[self.position];
        self.position += 1;
        choice.min(n - 1)
    }

    /// The next script: the last choice that has another possibility takes it. `None` when all were tried.
    pub fn advance(mut self) -> Option<Script> {
        self.position = 0;
        while let Some((choice, n)) = self.taken.pop() {
            if choice + 1 < n {
                self.taken.push((choice + 1, n));
                return Some(self);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_enumerate_every_combination_once() {
        let mut seen = Vec::new();
        let mut script = Some(Script::new());
        while let Some(mut now) = script {
            let first = now.choose(2);
            // How many choices there are may depend on earlier ones.
            seen.push((first, if first == 0 { now.choose(3) } else { 9 }));
            script = now.advance();
        }
        assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 9)]);
    }

    #[test]
    fn chance_is_reproducible_and_prefers_the_old() {
        let run = || {
            let mut adversary = Adversary::Random(7);
            (0..400).map(|_| adversary.choose(3)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let newest = run().iter().filter(|choice| **choice == 0).count();
        assert!((50..150).contains(&newest), "{newest}");
    }
}
