//! Contiguous groups: what holds at every store, and what holds once a group is settled.

use crate::desc::Kind;
use crate::rule::Rule;
use crate::state::Model;
use crate::table::At;

impl Model {
    /// A leaf was written at `at`: checks what must hold of it at once, and notes its group for later.
    ///
    /// The address of a member is that of the block plus its place (RSKQHL), so a wrong one shows in the
    /// single entry. Mixed bits are misprogramming from the moment both entries are valid (RQTRPM), below BBM
    /// level 2; and no change under way is without effect on memory type and shareability.
    pub(crate) fn check_member(&mut self, at: &At) {
        let granule = self.config.granule;
        let nr = granule.contiguous(at.level);
        if nr == 1 {
            return;
        }
        let Some(table) = self.tables.get(at.page) else { return };
        let desc = table.desc(at.index);
        let (first, member) = (at.index & !(nr - 1), at.index & (nr - 1));
        if desc.is_cont() {
            let frame = desc.output(at.level, granule) >> granule.shift(at.level);
            if frame as usize & (nr - 1) != member {
                return self.report_at(Rule::ContMisaligned, *at, 0, desc.0);
            }
        }
        if self.config.bbm_level >= 2 {
            return;
        }
        let size = granule.size(at.level);
        for index in (first..first + nr).filter(|index| *index != at.index) {
            let sibling = table.desc(index);
            if sibling.kind(at.level, granule) != Kind::Leaf {
                continue;
            }
            let rule = if sibling.is_cont() != desc.is_cont() {
                Rule::ContMixed
            } else if !desc.is_cont() {
                continue;
            } else {
                let base = |output: u64, index: usize| output.wrapping_sub(index as u64 * size);
                let (ours, theirs) = (desc.output(at.level, granule), sibling.output(at.level, granule));
                if base(ours, at.index) != base(theirs, index) {
                    Rule::ContMisaligned
                } else if desc.memory_type() != sibling.memory_type()
                    || desc.shareability() != sibling.shareability()
                    || desc.is_global() != sibling.is_global()
                {
                    Rule::ContAttributes
                } else {
                    continue;
                }
            };
            let old = sibling.0;
            return self.report_at(rule, *at, old, desc.0);
        }
    }

    /// The group that begins at `first` of the table at `page` was changed by `cpu`.
    pub(crate) fn note_unsettled(&mut self, cpu: u8, page: u64, first: usize) {
        let unsettled = &mut self.cpus[cpu as usize].unsettled;
        if !unsettled.iter().rev().take(4).any(|group| *group == (page, first)) {
            unsettled.push((page, first));
        }
    }

    /// The group around `index` of the table at `page` is settled: TLBs may fetch it as one block, and will
    /// keep that.
    pub(crate) fn check_settled(&mut self, page: u64, index: usize) {
        let granule = self.config.granule;
        let Some(table) = self.tables.get(page) else { return };
        if table.frozen {
            return;
        }
        let nr = granule.contiguous(table.level);
        let first = index & !(nr - 1);
        let is_leaf = |index: &usize| table.desc(*index).kind(table.level, granule) == Kind::Leaf;
        let Some(one) = (first..first + nr).find(|index| is_leaf(index) && table.desc(*index).is_cont())
        else {
            return;
        };
        let model = table.desc(one);
        let attributes = model.group_attributes(self.config.hw_dirty);
        for index in first..first + nr {
            let desc = table.desc(index);
            let rule = if !is_leaf(&index) {
                Rule::ContIncomplete
            } else if !desc.is_cont() {
                Rule::ContMixed
            } else if desc.group_attributes(self.config.hw_dirty) != attributes {
                Rule::ContAttributes
            } else {
                continue;
            };
            let at = table.at(page, index, granule);
            return self.report_at(rule, at, model.0, desc.0);
        }
    }
}
