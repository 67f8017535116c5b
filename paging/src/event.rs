//! What is counted: the work that hardware charges for, which an instruction count does not show.

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// A countable event. Counts are added per operation, not per entry, so that counting costs next to nothing.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum Event {
            $($(#[$doc])* $variant,)*
        }

        impl Event {
            /// Every event, in the order of their numbers.
            pub const ALL: [Event; [$($name),*].len()] = [$(Event::$variant),*];

            /// How many events there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name under which `/proc/vmstat` shows it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Event::$variant => $name,)*
                }
            }
        }
    };
}

events! {
    /// Stores to translation tables.
    PteStores = "pte_stores",
    /// Atomic read-modify-writes of descriptors.
    PteAtomics = "pte_atomics",
    /// TLBIs by address.
    TlbiVa = "tlbi_va",
    /// TLBIs by range.
    TlbiRange = "tlbi_range",
    /// TLBIs of a whole address space.
    TlbiAsid = "tlbi_asid",
    /// TLBIs of everything.
    TlbiAll = "tlbi_all",
    /// Pages covered by TLBIs by address and by range.
    TlbiPages = "tlbi_pages",
    /// DSB ISHST, before TLBIs.
    DsbIshst = "dsb_ishst",
    /// DSB ISH, after TLBIs.
    DsbIsh = "dsb_ish",
    /// Instruction barriers for translation changes.
    Isb = "isb",
    /// Contpte blocks made of single entries, by break-before-make.
    Fold = "contpte_fold",
    /// Contpte blocks taken apart, by break-before-make.
    Unfold = "contpte_unfold",
    /// Blocks folded or unfolded without a TLBI between, which takes BBM level 2.
    FoldNoTlbi = "contpte_no_tlbi",
    /// Level-2 blocks split into tables of contpte blocks.
    SplitPmd = "thp_split_pmd",
    /// Calls of `set_ptes`.
    SetPtesBatches = "set_ptes_batches",
    /// Calls of `wrprotect_ptes`.
    WrprotectBatches = "wrprotect_batches",
    /// Batches of PTEs that fork copied.
    ForkBatches = "fork_batches",
    /// Contpte blocks that fork copied whole.
    ForkBlocks = "fork_blocks",
    /// Pages of pinned folios that fork copied for the child.
    ForkPinnedCopies = "fork_pinned_copies",
    /// Level-2 blocks that fork copied as one entry.
    ForkPmds = "fork_pmds",
    /// Batches of PTEs that mremap moved.
    MoveBatches = "move_batches",
    /// Last-level tables that mremap moved whole.
    TablesMoved = "tables_moved",
    /// Atomic updates of folio reference and mapping counts.
    FolioRefUpdates = "folio_ref_updates",
    /// Frames zeroed.
    FramesZeroed = "frames_zeroed",
    /// Frames copied.
    FramesCopied = "frames_copied",
    /// Page faults taken.
    PageFaults = "pgfault",
    /// Write faults resolved by copying.
    CowCopy = "cow_copy",
    /// Write faults resolved by reusing the folio.
    CowReuse = "cow_reuse",
    /// Copies that were smaller than they could have been, for lack of memory.
    CowFallback = "cow_fallback",
    /// Pages put back into the block they had left, beside those that had stayed.
    RefoldPages = "contpte_refold_pages",
    /// Folios made of what smaller ones held.
    Collapse = "thp_collapse_alloc",
    /// Times that memory was missing for that.
    CollapseFailed = "thp_collapse_alloc_failed",
    /// Anonymous faults that mapped a level-2 block.
    ThpFaultAlloc = "thp_fault_alloc",
    /// Anonymous faults that got a smaller folio than the policy asked for.
    AnonFallback = "anon_fault_fallback",
    /// Folios of files and shared memory that had to be made smaller for want of memory.
    FileFallback = "thp_file_fallback",
    /// Pages pinned.
    PinsAcquired = "nr_foll_pin_acquired",
    /// Pages unpinned.
    PinsReleased = "nr_foll_pin_released",
    /// Pages read back from swap.
    PswpIn = "pswpin",
    /// Pages written to swap.
    PswpOut = "pswpout",
    /// Pages moved to another frame.
    PgmigrateSuccess = "pgmigrate_success",
    /// Forks completed.
    Forks = "forks",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_index_the_list() {
        for (number, event) in Event::ALL.iter().enumerate() {
            assert_eq!(*event as usize, number);
        }
        assert_eq!(Event::Unfold.name(), "contpte_unfold");
    }
}
