//! Making a violation out of a broken rule: which of the past events belong to it.

use alloc::vec::Vec;

use crate::event::{Action, Event};
use crate::operand;
use crate::rule::Rule;
use crate::space::GLOBAL;
use crate::stale::Record;
use crate::state::Model;
use crate::table::At;
use crate::violation::{Place, Step, Violation};

/// The most events that a violation tells.
const MAX_STEPS: usize = 24;

/// What a broken rule is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct Matter {
    pub at: Option<At>,
    pub old: u64,
    pub new: u64,
    pub record: Option<Record>,
}

impl Model {
    /// Reports that the latest event broke `rule`.
    pub(crate) fn report(&mut self, rule: Rule, matter: Matter) {
        self.count += 1;
        if self.violations.len() >= self.config.max_violations {
            return;
        }
        let place = matter.at.or(matter.record.map(|record| record.at)).map(|at| self.place(&at));
        let violation = Violation {
            rule,
            cause: matter.record.as_ref().map(Record::cause),
            place,
            old: matter.old,
            new: matter.new,
            origin: matter.record.as_ref().map(|record| self.step(record.origin.0, record.origin.1)),
            steps: self.steps(&matter),
        };
        self.violations.push(violation);
    }

    /// Reports that `record` should have been clean by now.
    pub(crate) fn report_stale(&mut self, rule: Rule, at: Option<At>, new: u64, record: Record) {
        self.report(rule, Matter { at, old: record.old.0, new, record: Some(record) });
    }

    pub(crate) fn report_at(&mut self, rule: Rule, at: At, old: u64, new: u64) {
        self.report(rule, Matter { at: Some(at), old, new, record: None });
    }

    fn place(&self, at: &At) -> Place {
        let nr = self.config.granule.contiguous(at.level);
        let space = self.spaces.get(at.tag).filter(|space| space.half == 0 && at.tag != GLOBAL);
        Place {
            va: at.va,
            level: at.level,
            index: at.index,
            block: (nr > 1).then_some((at.index / nr, at.index % nr)),
            asid: space.map(|space| space.asid),
        }
    }

    fn step(&self, number: u64, event: Event) -> Step {
        let place = match event.action {
            Action::Store { pa, .. } | Action::HwUpdate { pa, .. } => {
                let page = self.tables.page_of(pa);
                let table = self.tables.get(page);
                table
                    .map(|table| self.place(&table.at(page, ((pa - page) / 8) as usize, self.config.granule)))
            }
            _ => None,
        };
        Step { number, event, place }
    }

    /// The events since the change that matters, oldest first: stores to the same entry or block, TLBIs that
    /// name its address or all, and barriers of the CPUs in question; the latest event in any case.
    fn steps(&self, matter: &Matter) -> Vec<Step> {
        let Some((last, latest)) = self.history.latest() else { return Vec::new() };
        let at = matter.at.or(matter.record.map(|record| record.at));
        let since = matter.record.map_or(0, |record| record.origin.0);
        let changer = matter.record.map_or(latest.cpu, |record| record.changer);
        let mut steps: Vec<Step> = self
            .history
            .newest_first()
            .take_while(|(number, _)| *number >= since)
            .filter(|(number, event)| {
                *number == last || self.concerns(event, at.as_ref(), changer, latest.cpu)
            })
            .take(MAX_STEPS)
            .map(|(number, event)| self.step(number, event))
            .collect();
        steps.reverse();
        steps
    }

    fn concerns(&self, event: &Event, at: Option<&At>, changer: u8, latest: u8) -> bool {
        let Some(at) = at else {
            return !matches!(event.action, Action::Store { .. } | Action::HwUpdate { .. });
        };
        let involved = event.cpu == changer || event.cpu == latest;
        match event.action {
            Action::Store { pa, .. } | Action::HwUpdate { pa, .. } => {
                let nr = self.config.granule.contiguous(at.level);
                let first = at.page + 8 * (at.index & !(nr - 1)) as u64;
                (first..first + 8 * nr as u64).contains(&pa)
            }
            Action::Tlbi(tlbi) => {
                let size = self.config.granule.size(at.level);
                let range = operand::decode(&tlbi, self.config.granule).range;
                range.is_none_or(|(start, end)| start < at.va + size && end > at.va)
            }
            Action::Dsb { .. } | Action::Isb => involved,
            Action::ReturnToUser => involved,
            Action::WriteTtbr0(_) | Action::WriteTtbr1(_) | Action::WriteTcr(_) | Action::SetMmu(_) => true,
            Action::TableAllocated { pa } | Action::TableFreed { pa } => pa == at.page,
            Action::FramesFreed { .. } | Action::FramesReused { .. } => false,
            Action::Translated { va, .. } => {
                (at.va..=at.va + (self.config.granule.size(at.level) - 1)).contains(&va)
            }
        }
    }
}
