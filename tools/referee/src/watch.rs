//! Everything that is known of the guest, and the way from what QEMU reports to the model's events.
//!
//! One lock around it all, which the callbacks take. So events reach the model in one order, which is the order in which
//! the callbacks ran; with several vCPU threads two events that race are put in an order that the machine permits.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use model::event::Tlbi;
use model::{Action, Config, Event, MAX_CPUS, Model, Violation};

use crate::access::{Access, WordStore};
use crate::claim::{Claim, Refutation};
use crate::counts::Counts;
use crate::insn::{Insn, SystemRegister};
use crate::options::{Mode, Options};
use crate::reach::Reach;
use crate::shadow::Shadow;
use crate::tables::Regime;

/// Descriptor bits that the table walker changes: AF and AP\[2\] (Arm ARM, D8.5 "Hardware updates").
const WALKERS_BITS: u64 = 1 << 10 | 1 << 7;
/// SCTLR_EL1.M.
const MMU_ON: u64 = 1;

/// Whether the simulated TLBs count at the moment; a mere hint, read without the lock.
pub static COUNTING: AtomicBool = AtomicBool::new(false);

/// What broke a rule; nothing otherwise.
pub type Verdict = Result<(), Box<Violation>>;

/// The state behind the lock.
pub struct Watch {
    /// The guest's memory.
    pub shadow: Shadow,
    /// How many stores by the kernel were seen, to tables or not.
    pub stores: u64,
    /// How many of the model's events there were.
    pub counts: Counts,
    /// How many claims of programs about their memory were found to hold.
    pub claims: u64,
    /// How often memory turned out to hold what no store put there.
    pub surprises: u64,
    /// The most tables, and the most possibly stale translations, that the model ever followed at once.
    pub peak: (usize, usize),
    /// Every event, as text.
    trace: Option<Box<dyn Write + Send>>,
    /// The simulated TLBs.
    pub reach: Option<Reach>,
    model: Option<Model>,
    regimes: [Regime; MAX_CPUS],
    loaded: [Option<(u64, u64)>; MAX_CPUS],
}

impl Watch {
    /// The state before the first instruction: the MMU is off.
    pub fn new(options: &Options, shadow: Shadow, trace: Option<Box<dyn Write + Send>>) -> Self {
        let config = Config { bbm_level: options.bbm_level, sees_hw_updates: false, ..Config::default() };
        let mut watch = Watch {
            shadow,
            stores: 0,
            counts: Counts::default(),
            claims: 0,
            surprises: 0,
            peak: (0, 0),
            trace,
            reach: (options.mode == Mode::Reach).then(|| Reach::new(options)),
            model: (options.mode == Mode::Check).then(|| Model::new(config)),
            regimes: [Regime::default(); MAX_CPUS],
            loaded: [None; MAX_CPUS],
        };
        for cpu in 0..MAX_CPUS as u8 {
            if let Some(model) = &mut watch.model {
                model.on(Event::new(cpu, Action::SetMmu(false)), &watch.shadow);
            }
        }
        watch
    }

    /// The registers of `cpu` that say how it translates.
    pub fn regime(&self, cpu: usize) -> Regime {
        self.regimes.get(cpu).copied().unwrap_or_default()
    }

    fn event(&mut self, cpu: usize, pc: u64, action: Action) -> Verdict {
        self.counts.add(&action);
        let event = Event::new(cpu as u8, action).tagged(pc);
        if let Some(trace) = &mut self.trace {
            // A trace that cannot be written (a full disk) is no reason to stop judging.
            let _ = writeln!(trace, "cpu {cpu} {pc:#x} {action}");
        }
        let Some(model) = &mut self.model else { return Ok(()) };
        let clean = model.on(event, &self.shadow);
        let (tables, stale) = model.size();
        self.peak = (self.peak.0.max(tables), self.peak.1.max(stale));
        match clean {
            true => Ok(()),
            false => model
                .take_violations()
                .into_iter()
                .next()
                .map_or(Ok(()), |violation| Err(Box::new(violation))),
        }
    }

    /// Writes out what the trace still holds back.
    pub fn flush_trace(&mut self) {
        if let Some(trace) = &mut self.trace {
            // As for writing: its loss is no reason to stop.
            let _ = trace.flush();
        }
    }

    /// A load or store at `pc`. `atomic`: by an instruction that may be half of a read-modify-write.
    ///
    /// # Errors
    /// The store broke a rule.
    pub fn access(&mut self, cpu: usize, pc: u64, access: &Access, atomic: bool) -> Verdict {
        if !access.is_store {
            if atomic && access.bytes == 8 {
                self.atomic_load(cpu, pc, access)?;
            }
            return Ok(());
        }
        self.stores += 1;
        let loaded = self.loaded.get_mut(cpu).and_then(Option::take).filter(|_| atomic);
        let mut changes = [None; 8];
        let mut slots = changes.iter_mut();
        let model = &self.model;
        access.apply(&mut self.shadow, |_, store| {
            if model.as_ref().is_some_and(|model| model.watches(store.pa))
                && let Some(slot) = slots.next()
            {
                *slot = Some(store);
            }
        });
        for store in changes.into_iter().flatten() {
            // A compare-and-swap that fails is reported as a store of what was there.
            if loaded != Some((store.pa, store.new)) {
                let WordStore { pa, old, new } = store;
                self.event(cpu, pc, Action::Store { pa, old, new })?;
            }
        }
        Ok(())
    }

    /// A read-modify-write shows what memory really holds: the walker's updates, which are not reported, among it.
    fn atomic_load(&mut self, cpu: usize, pc: u64, access: &Access) -> Verdict {
        let (pa, new) = (access.pa, access.value[0]);
        if let Some(loaded) = self.loaded.get_mut(cpu) {
            *loaded = Some((pa, new));
        }
        if !self.model.as_ref().is_some_and(|model| model.watches(pa)) {
            return Ok(());
        }
        let old = self.shadow.store(pa, new).unwrap_or(new);
        if old == new {
            return Ok(());
        }
        if (old ^ new) & !WALKERS_BITS != 0 {
            self.surprises += 1;
            return Ok(());
        }
        self.event(cpu, pc, Action::HwUpdate { pa, old, new })
    }

    /// `insn` is about to be executed with `operand` in its register.
    ///
    /// # Errors
    /// It breaks a rule.
    pub fn execute(&mut self, cpu: usize, pc: u64, insn: Insn, operand: u64) -> Verdict {
        let action = match insn {
            Insn::Dsb(access, domain) => Action::Dsb { access, domain },
            Insn::Isb => Action::Isb,
            Insn::Tlbi(op, broadcast, _) => {
                let tlbi = Tlbi { op, broadcast, operand };
                if let Some(reach) = &mut self.reach {
                    reach.invalidate(&tlbi);
                }
                Action::Tlbi(tlbi)
            }
            Insn::Msr(register, _) => {
                if let Some(regime) = self.regimes.get_mut(cpu) {
                    regime.write(register, operand);
                    if let Some(reach) = &mut self.reach {
                        reach.translated_by(regime.granule());
                    }
                }
                match register {
                    SystemRegister::Ttbr0 => Action::WriteTtbr0(operand),
                    SystemRegister::Ttbr1 => Action::WriteTtbr1(operand),
                    SystemRegister::Tcr => Action::WriteTcr(operand),
                    SystemRegister::Sctlr => Action::SetMmu(operand & MMU_ON != 0),
                }
            }
            Insn::ZeroBlock(_) => return self.zero_block(cpu, pc, operand),
            Insn::Hint(number) => {
                let counting = self.reach.as_mut().is_some_and(|reach| reach.hint(number));
                COUNTING.store(counting, Ordering::Relaxed);
                return Ok(());
            }
            Insn::Eret | Insn::Atomic => return Ok(()),
        };
        self.event(cpu, pc, action)
    }

    /// `cpu` is about to return to EL0.
    ///
    /// # Errors
    /// It breaks a rule.
    pub fn return_to_user(&mut self, cpu: usize, pc: u64) -> Verdict {
        if let Some(reach) = &mut self.reach {
            COUNTING.store(reach.user(), Ordering::Relaxed);
        }
        self.event(cpu, pc, Action::ReturnToUser)
    }

    /// A program on `cpu` claims something of its memory.
    ///
    /// # Errors
    /// It is not so.
    pub fn claim(&mut self, cpu: usize, claim: &Claim) -> Result<(), Refutation> {
        claim.check(&self.regime(cpu), |pa| self.shadow.load(pa))?;
        self.claims += 1;
        Ok(())
    }

    /// DC ZVA of the block around `va`: QEMU reports no stores for it.
    fn zero_block(&mut self, cpu: usize, pc: u64, va: u64) -> Verdict {
        /// Bytes that DC ZVA clears on every CPU model the kernel is run on (DCZID_EL0.BS = 4).
        const BLOCK: u64 = 64;
        let leaf = self.regime(cpu).translate(|pa| self.shadow.load(pa), va & !(BLOCK - 1));
        let Some(leaf) = leaf else { return Ok(()) };
        for pa in (leaf.pa..leaf.pa + BLOCK).step_by(16) {
            self.access(cpu, pc, &Access { pa, bytes: 16, value: [0, 0], is_store: true }, false)?;
        }
        Ok(())
    }

    /// How many tables the model follows, and how many translations that may be stale.
    pub fn size(&self) -> (usize, usize) {
        self.model.as_ref().map_or((0, 0), Model::size)
    }

    /// Anybody accessed `va`, within the window of the simulated TLBs.
    pub fn touch(&mut self, cpu: usize, va: u64) {
        let regime = self.regime(cpu);
        if let (0, Some(reach)) = (cpu, &mut self.reach) {
            reach.touch(va, regime.asid(), || regime.translate(|pa| self.shadow.load(pa), va));
        }
    }

    /// A block of `instructions` at `pc` is executed, within the window of the simulated TLBs.
    pub fn fetch(&mut self, cpu: usize, pc: u64, instructions: u32) {
        self.touch(cpu, pc);
        if let (0, Some(reach)) = (cpu, &mut self.reach) {
            reach.executed(instructions);
        }
    }
}

#[cfg(test)]
mod tests;
