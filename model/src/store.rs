//! Stores to descriptors.

use crate::bbm;
use crate::desc::{Desc, Kind};
use crate::event::Memory;
use crate::report::Matter;
use crate::rule::{Change, Rule};
use crate::space::{GLOBAL, Space};
use crate::stale::{How, Id, Record};
use crate::state::Model;
use crate::table::At;

impl Model {
    /// `cpu` wrote `new` over `seen` to the descriptor at `pa`, in a known table.
    pub(crate) fn store<M: Memory + ?Sized>(&mut self, cpu: u8, pa: u64, seen: u64, new: u64, memory: &M) {
        let granule = self.config.granule;
        let page = self.tables.page_of(pa);
        let index = ((pa - page) / 8) as usize;
        let Some(table) = self.tables.get_mut(page) else { return };
        let at = table.at(page, index, granule);
        let (held, frozen, level) = (table.desc(index), table.frozen, table.level);
        let cached = table.may_be_cached(index);
        let (old, new) = (Desc(seen), Desc(new));
        table.words[index] = new.0;
        if seen != held.0 && !held.differs_only_by_walker(old) {
            // Somebody wrote without an event: not as a descriptor.
            self.report_at(Rule::TableReused, at, held.0, seen);
        }
        let Some(space) = self.spaces.get(at.tag).copied() else { return };
        let (was, is) = (old.kind(level, granule), new.kind(level, granule));
        if old == new {
            return;
        }
        if frozen && (was == Kind::Invalid || is != Kind::Invalid) {
            let record = self.unlinked_above(&at);
            return self.report(Rule::TableReused, Matter { at: Some(at), old: old.0, new: new.0, record });
        }
        // The walker may have set the flag between the last event and this store.
        let cached = space.ran != 0 && (cached || (was == Kind::Leaf && old.accessed()));
        let mut broken = false;
        if cached && let Some(change) = bbm::needed(old, new, level, &self.config, memory) {
            self.report_at(Rule::BreakBeforeMake(change), at, old.0, new.0);
            broken = true;
        }
        if is != Kind::Invalid && !broken {
            self.check_unclean(&at, new, is, &space, memory);
        }
        if was != Kind::Invalid && cached {
            self.displace(cpu, &at, old, new, &space);
        }
        self.update_table(&at, old, new, was, is);
        if is == Kind::Leaf {
            self.check_leaf(&at, new, &space);
            if !broken {
                self.check_member(&at);
            }
        }
        if (was == Kind::Leaf && old.is_cont()) || (is == Kind::Leaf && new.is_cont()) {
            let nr = granule.contiguous(level);
            self.note_unsettled(cpu, page, index & !(nr - 1));
        }
        let linked = |kind| if let Kind::Table(child) = kind { Some(child) } else { None };
        if linked(was) != linked(is) {
            if let Some(child) = linked(was) {
                let flushed = !cached;
                self.unlink(cpu, child, &space, flushed);
            }
            if let Some(child) = linked(is) {
                self.link(&at, child, new, memory);
            }
        }
    }

    /// The walker set the access flag or the dirty state at `pa`.
    pub(crate) fn hw_update(&mut self, pa: u64, new: u64) {
        let (page, granule) = (self.tables.page_of(pa), self.config.granule);
        if let Some(table) = self.tables.get_mut(page) {
            let index = ((pa - page) / 8) as usize;
            table.words[index] = new;
            table.update_cached(index, granule, false);
        }
    }

    fn update_table(&mut self, at: &At, old: Desc, new: Desc, was: Kind, is: Kind) {
        let granule = self.config.granule;
        let unseen = self.config.hw_af && !self.config.sees_hw_updates;
        let kernel = self.spaces.get(at.tag).is_some_and(|space| space.half == 1);
        let Some(table) = self.tables.get_mut(at.page) else { return };
        table.update_cached(at.index, granule, unseen);
        if !kernel {
            return;
        }
        if was == Kind::Leaf && is == Kind::Invalid {
            if table.former.is_empty() {
                table.former.resize(granule.entries(), 0);
            }
            table.former[at.index] = old.0;
        }
        let former = table.former.get(at.index).copied().unwrap_or(0);
        let former = if was == Kind::Leaf { old } else { Desc(former) };
        let same_page = former.kind(at.level, granule) == Kind::Leaf
            && former.output(at.level, granule) == new.output(at.level, granule);
        if is == Kind::Leaf && same_page && former.is_cont() != new.is_cont() {
            self.report_at(Rule::KernelContiguous, *at, former.0, new.0);
        }
    }

    /// A valid entry `new` at `at`: no conflicting older translation may be left.
    pub(crate) fn check_unclean<M: Memory + ?Sized>(
        &mut self,
        at: &At,
        new: Desc,
        kind: Kind,
        space: &Space,
        memory: &M,
    ) {
        if self.stale.is_empty() {
            return;
        }
        let range = (at.va, at.va.wrapping_add(self.config.granule.size(at.level)));
        for level in at.level..4 {
            // Below a new table its own entries are checked; a block covers all levels below its own.
            if level > at.level && kind != Kind::Leaf {
                break;
            }
            let own = space.record_tag(false);
            for record in self.stale.overlapping(own, level, range) {
                let change = if level == at.level {
                    bbm::needed(record.old, new, level, &self.config, memory)
                } else {
                    (record.how != How::Unlinked && self.config.bbm_level < 2).then_some(Change::Size)
                };
                if let Some(change) = change {
                    return self.report_stale(Rule::MadeUnclean(change), Some(*at), new.0, record);
                }
            }
            if space.half == 0
                && kind == Kind::Leaf
                && !new.is_global()
                && let Some(record) = self.stale.overlapping(GLOBAL, level, range).first()
            {
                return self.report_stale(Rule::GlobalOverlap, Some(*at), new.0, *record);
            }
        }
    }

    /// What must hold of a leaf by itself.
    pub(crate) fn check_leaf(&mut self, at: &At, new: Desc, space: &Space) {
        if space.half == 0 && new.is_global() {
            if let Some(space) = self.spaces.get_mut(at.tag) {
                space.global = true;
            }
            if new.is_user() {
                self.report_at(Rule::GlobalUserPage, *at, 0, new.0);
            }
        }
    }

    /// Notes that what `old` said at `at` may be cached though `new` is written.
    fn displace(&mut self, cpu: u8, at: &At, old: Desc, new: Desc, space: &Space) {
        let granule = self.config.granule;
        let how = match (old.kind(at.level, granule), new.kind(at.level, granule)) {
            (Kind::Table(a), Kind::Table(b)) if a == b => return,
            (Kind::Table(_), _) => How::Unlinked,
            (_, Kind::Invalid) => How::Removed,
            (_, Kind::Table(_)) => How::Replaced,
            (_, Kind::Leaf) if old.cached() == new.cached() && new.accessed() >= old.accessed() => return,
            (_, Kind::Leaf) => {
                let moved = old.output(at.level, granule) != new.output(at.level, granule);
                let attributes =
                    old.memory_type() != new.memory_type() || old.shareability() != new.shareability();
                if moved || attributes || old.is_cont() != new.is_cont() {
                    How::Replaced
                } else if old.permits_more_than(new) {
                    How::Reduced
                } else {
                    How::Extended
                }
            }
        };
        self.add_record(cpu, at, old, how, space);
    }

    fn add_record(&mut self, cpu: u8, at: &At, old: Desc, how: How, space: &Space) {
        let Some(origin) = self.history.latest() else { return };
        let tag = space.record_tag(how != How::Unlinked && old.is_global());
        let id: Id = self.stale.insert(Record {
            tag,
            at: *at,
            old,
            how,
            changer: cpu,
            holders: space.ran,
            published: 0,
            covered: [0; crate::MAX_CPUS],
            local: false,
            near_miss: None,
            origin,
        });
        if matches!(how, How::Reduced | How::Replaced | How::Removed) {
            self.cpus[cpu as usize].owed.push(id);
        }
    }

    /// The table at `child` is linked no longer. If walk caches may hold it (`!flushed`), all below is stale
    /// and frozen.
    fn unlink(&mut self, cpu: u8, child: u64, space: &Space, flushed: bool) {
        let granule = self.config.granule;
        let Some(table) = self.tables.get_mut(child).filter(|table| table.tag == space.tag) else { return };
        if flushed {
            return self.forget_below(child);
        }
        table.frozen = true;
        let table = self.tables.get(child).cloned();
        let Some(table) = table else { return };
        for index in (0..granule.entries()).filter(|index| table.words[*index] & 1 == 1) {
            let (at, old) = (table.at(child, index, granule), table.desc(index));
            match old.kind(at.level, granule) {
                Kind::Table(below) => {
                    self.add_record(cpu, &at, old, How::Unlinked, space);
                    self.unlink(cpu, below, space, false);
                }
                Kind::Leaf if table.may_be_cached(index) => {
                    self.add_record(cpu, &at, old, How::Removed, space)
                }
                _ => {}
            }
        }
    }

    /// Forgets the table at `page` and what is linked below it.
    pub(crate) fn forget_below(&mut self, page: u64) {
        let granule = self.config.granule;
        let Some(table) = self.tables.remove(page) else { return };
        for index in 0..granule.entries() {
            if let Kind::Table(below) = table.desc(index).kind(table.level, granule) {
                self.forget_below(below);
            }
        }
    }
}
