//! Pages that change their use: tables and frames freed, reused, linked.

use alloc::vec::Vec;

use crate::desc::{Desc, Kind};
use crate::event::Memory;
use crate::report::Matter;
use crate::rule::Rule;
use crate::stale::{How, Record};
use crate::state::Model;
use crate::table::At;

impl Model {
    /// The entry `new` at `at` points to the table at `child` from now on: learns it and what is below.
    pub(crate) fn link<M: Memory + ?Sized>(&mut self, at: &At, child: u64, new: Desc, memory: &M) {
        if let Some(table) = self.tables.get(child) {
            if table.frozen && table.tag == at.tag && table.va == at.va && table.level == at.level + 1 {
                self.stale.relinked(at.tag, at.va, at.level, new);
                if let Some(table) = self.tables.get_mut(child) {
                    table.frozen = false;
                }
                return;
            }
            let found = table.at(child, 0, self.config.granule);
            let record = self.unlinked_above(&found);
            self.report(Rule::TableReused, Matter { at: Some(found), old: 0, new: new.0, record });
            self.forget_below(child);
        }
        if let Some(record) = self.stale_translation_to(child, self.config.granule.page_size(), How::Replaced)
        {
            self.report_stale(Rule::FrameReused, None, new.0, record);
        }
        self.learn(child, at.tag, at.level + 1, at.va, memory);
    }

    /// Reads the table at `page` and all below it, and checks what is in them.
    pub(crate) fn learn<M: Memory + ?Sized>(&mut self, page: u64, tag: u32, level: u8, va: u64, memory: &M) {
        let granule = self.config.granule;
        let unseen = self.config.hw_af && !self.config.sees_hw_updates;
        let Some(space) = self.spaces.get(tag).copied() else { return };
        self.tables.insert(page, tag, level, va, |pa| memory.word(pa));
        let Some(table) = self.tables.get(page) else { return };
        let valid: Vec<usize> = (0..granule.entries()).filter(|index| table.words[*index] & 1 == 1).collect();
        let mut last = None;
        for index in valid {
            let Some(table) = self.tables.get_mut(page) else { return };
            let desc = table.desc(index);
            table.update_cached(index, granule, unseen);
            let at = table.at(page, index, granule);
            match desc.kind(level, granule) {
                Kind::Invalid => {}
                Kind::Table(child) => self.link(&at, child, desc, memory),
                Kind::Leaf => {
                    self.check_unclean(&at, desc, Kind::Leaf, &space, memory);
                    self.check_leaf(&at, desc, &space);
                    if desc.is_cont() {
                        self.check_member(&at);
                        let group = index / granule.contiguous(level);
                        if last.replace(group) != Some(group) {
                            self.check_settled(page, index);
                        }
                    }
                }
            }
        }
    }

    /// The record of the unlinking that froze the table of `at`, if there is one.
    pub(crate) fn unlinked_above(&self, at: &At) -> Option<Record> {
        let granule = self.config.granule;
        let parent = at.level.checked_sub(1)?;
        let points_here = |record: &&Record| {
            record.how == How::Unlinked && record.old.kind(parent, granule) == Kind::Table(at.page)
        };
        self.stale.iter().find(points_here).copied()
    }

    /// A stale translation, changed at least as much as `how`, that leads to the `bytes` bytes at `pa`.
    fn stale_translation_to(&self, pa: u64, bytes: u64, how: How) -> Option<Record> {
        let granule = self.config.granule;
        let leads_here = |record: &&Record| {
            let output = record.old.output(record.at.level, granule);
            record.holders != 0
                && record.how != How::Unlinked
                && record.how >= how
                && output < pa + bytes
                && pa < output + granule.size(record.at.level)
        };
        if self.stale.is_empty() { None } else { self.stale.iter().find(leads_here).copied() }
    }

    /// The table page at `pa` was freed.
    pub(crate) fn table_freed(&mut self, pa: u64) {
        let page = self.tables.page_of(pa);
        self.known_table_reused(page);
    }

    /// A page that is a known table is none any more.
    fn known_table_reused(&mut self, page: u64) {
        let Some(table) = self.tables.get(page) else { return };
        let at = table.at(page, 0, self.config.granule);
        let record = self.unlinked_above(&at);
        self.report(Rule::TableReused, Matter { at: Some(at), old: 0, new: 0, record });
        // Once is enough: what is stored there now is no descriptor.
        self.forget_below(page);
    }

    /// The `bytes` bytes from `pa` were freed, or got other contents by another address. Freeing is wrong
    /// while any translation may be stale; new contents are wrong only under one that leads there no longer.
    pub(crate) fn frames_reused(&mut self, pa: u64, bytes: u64, freed: bool) {
        let how = if freed { How::Extended } else { How::Replaced };
        if let Some(record) = self.stale_translation_to(pa, bytes, how) {
            self.report_stale(Rule::FrameReused, None, 0, record);
        }
        while let Some(page) = self.tables.first_in(pa, pa + bytes) {
            self.known_table_reused(page);
        }
    }
}
