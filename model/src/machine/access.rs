//! What EL0 does on the machine: loads, stores and fetches through whatever translation is permitted.

use std::sync::atomic::Ordering;

use super::Machine;
use super::walk::Candidate;
use crate::desc::{Desc, Kind};
use crate::event::Action;

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Exec,
}

/// Why an access does not happen: the exception that the CPU takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No valid descriptor at this level.
    Translation(u8),
    /// The access flag is clear, and software sets it.
    AccessFlag,
    /// The translation does not permit it.
    Permission,
    /// The translation, or a table on the way, leads out of memory: on hardware an external abort, at best.
    Wild,
}

impl Machine {
    /// Loads the byte at `va` on CPU `cpu`, at EL0.
    ///
    /// # Errors
    /// The exception that the CPU takes instead.
    pub fn load_user(&self, cpu: usize, va: u64) -> Result<u8, Fault> {
        let pa = self.translate(cpu, va, Attempt::Read)?;
        Ok(self.ram.read_byte(pa))
    }

    /// Stores a byte to `va` on CPU `cpu`, at EL0.
    ///
    /// # Errors
    /// The exception that the CPU takes instead.
    pub fn store_user(&self, cpu: usize, va: u64, value: u8) -> Result<(), Fault> {
        let pa = self.translate(cpu, va, Attempt::Write)?;
        self.ram.write_byte(pa, value);
        Ok(())
    }

    /// Where an access at `va` on CPU `cpu`, at EL0, leads: the adversary chooses among all permitted
    /// translations. Does what hardware notes in the tables.
    ///
    /// # Errors
    /// The exception that the CPU takes instead.
    pub fn translate(&self, cpu: usize, va: u64, attempt: Attempt) -> Result<u64, Fault> {
        if self.in_kernel(cpu) {
            self.emit(cpu, Action::ReturnToUser);
        }
        let result = self.attempt(cpu, va, attempt);
        self.set_in_kernel(cpu, result.is_err());
        if self.config.log_accesses {
            let write = attempt == Attempt::Write;
            self.emit(cpu, Action::Translated { va, pa: result.ok(), write });
        }
        result
    }

    fn attempt(&self, cpu: usize, va: u64, attempt: Attempt) -> Result<u64, Fault> {
        let candidates = self.candidates(cpu, va)?;
        let chosen = candidates[self.choose(candidates.len())];
        match self.take(cpu, chosen, attempt) {
            // Hardware that has to write to a descriptor looks at it again, and then sees what it says now.
            None => self.take(cpu, candidates[0], attempt).unwrap_or(Err(Fault::AccessFlag)),
            Some(result) => result,
        }
    }

    /// What comes of a candidate; `None` if it stands on something that has changed, and hardware would have
    /// to write there.
    fn take(&self, cpu: usize, candidate: Candidate, attempt: Attempt) -> Option<Result<u64, Fault>> {
        let (desc, at, pa, level) = match candidate {
            Candidate::Wild => return Some(Err(Fault::Wild)),
            Candidate::Nothing { level, at } => {
                // The fault handler runs long enough for the walkers to see what was stored before.
                self.state.borrow_mut().liberties.seen(at);
                return Some(Err(Fault::Translation(level)));
            }
            Candidate::Leaf { desc, at, pa, level, .. } => (desc, at, pa, level),
        };
        if !self.ram.contains(pa) {
            return Some(Err(Fault::Wild));
        }
        let mut wanted = desc;
        if !desc.accessed() {
            if !self.config.hw_af {
                return Some(Err(Fault::AccessFlag));
            }
            wanted = wanted.with_accessed();
        }
        let permitted = match attempt {
            Attempt::Read => desc.is_user(),
            Attempt::Exec => desc.user_executable(),
            Attempt::Write if !desc.is_user() => false,
            Attempt::Write if desc.writes_directly() => true,
            Attempt::Write => {
                wanted = wanted.with_dirty();
                self.config.hw_dirty && desc.dirty_by_hardware()
            }
        };
        if !permitted {
            return Some(Err(Fault::Permission));
        }
        if wanted != desc && !self.walker_writes(cpu, at, desc, wanted, level) {
            return None;
        }
        Some(Ok(pa))
    }

    /// The walker changes the descriptor at `at` from `old` to `new`; for a contiguous block it may choose
    /// another member (RXDPXQ). Returns whether the descriptor still was what the walker knew.
    fn walker_writes(&self, cpu: usize, at: u64, old: Desc, new: Desc, level: u8) -> bool {
        let word = self.ram.atomic(at);
        if word.load(Ordering::Relaxed) != old.0 {
            return false;
        }
        let nr = self.config.granule.contiguous(level) as u64;
        let mut target = at;
        if old.is_cont() && self.chance(2) {
            let first = at & !(8 * nr - 1);
            let other = first + 8 * self.choose(nr as usize) as u64;
            let there = Desc(self.ram.atomic(other).load(Ordering::Relaxed));
            if there.is_cont() && there.kind(level, self.config.granule) == Kind::Leaf {
                target = other;
            }
        }
        let there = Desc(self.ram.atomic(target).load(Ordering::Relaxed));
        let dirty = old.0 ^ new.0;
        // The same bits, in the member that was chosen.
        let noted =
            if dirty & old.0 != 0 { there.with_accessed().with_dirty() } else { there.with_accessed() };
        self.update_by_walker(cpu, target, there, noted);
        true
    }

    /// Writes to a descriptor as the walker does.
    pub(super) fn update_by_walker(&self, cpu: usize, at: u64, old: Desc, new: Desc) {
        if old != new {
            self.ram.atomic(at).store(new.0, Ordering::Relaxed);
            self.emit(cpu, Action::HwUpdate { pa: at, old: old.0, new: new.0 });
        }
    }
}
