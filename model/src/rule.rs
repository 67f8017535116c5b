//! What must hold, by name, with where it is written and what it means in plain words.
//!
//! Rule identifiers (RWHZWS and the like) are those of the Arm ARM, DDI 0487, chapter D8.

/// How a change of a live descriptor goes beyond what may be done without break-before-make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Another output address, with the old or new entry writable or the contents not known to be equal.
    OutputAddress,
    /// Another memory type (AttrIndx).
    MemoryType,
    /// Another shareability.
    Shareability,
    /// A block became a table or a table a block.
    Size,
    /// The contiguous bit.
    Contiguous,
    /// Global became non-global or the reverse.
    Global,
    /// A table descriptor points to another table.
    Table,
}

/// A rule that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A live descriptor was changed in one step that needs break-before-make.
    BreakBeforeMake(Change),
    /// A valid descriptor was written while a conflicting older translation of the address may still be
    /// cached: the break was not completed.
    MadeUnclean(Change),
    /// A contiguous entry whose output address does not sit in its block as the entry sits in its group.
    ContMisaligned,
    /// Contiguous and non-contiguous valid entries in one group.
    ContMixed,
    /// Contiguous entries of one group differ in more than access flag and dirty state, past the point up to
    /// which that is a change under way.
    ContAttributes,
    /// Valid contiguous entries with invalid ones among them, past the point up to which that is clearing
    /// under way.
    ContIncomplete,
    /// The contiguous bit of a kernel mapping was changed after boot, break or no break.
    KernelContiguous,
    /// A CPU went back to EL0 while a translation it took away may still be used.
    StaleAtReturn,
    /// A global entry that EL0 may use in a process's tables.
    GlobalUserPage,
    /// A global and a non-global translation of one address at once.
    GlobalOverlap,
    /// Tables of a tree were loaded under an ASID under which a TLB may hold another tree's translations.
    AsidReused,
    /// The kernel's tables were replaced by others without the empty table and a flush between.
    KernelTableSwitch,
    /// A table page was freed, written as something else or linked elsewhere while a walk may still reach it.
    TableReused,
    /// A frame was freed or reused while a translation to it may still be used.
    FrameReused,
}

impl Rule {
    /// Where it is written.
    pub const fn citation(self) -> &'static str {
        match self {
            Rule::BreakBeforeMake(Change::Size | Change::Contiguous) => {
                "Arm ARM DDI 0487, D8.16.1 RWHZWS; D8.16.2 (FEAT_BBM) RPVTFW"
            }
            Rule::BreakBeforeMake(Change::Global) => {
                "Arm ARM DDI 0487, D8.16.1 RWHZWS, global and non-global entries"
            }
            Rule::BreakBeforeMake(_) => "Arm ARM DDI 0487, D8.16.1 RWHZWS",
            Rule::MadeUnclean(_) => {
                "Arm ARM DDI 0487, D8.16.1 RDDMVT: write invalid, DSB, TLBI, DSB, write new"
            }
            Rule::ContMisaligned => "Arm ARM DDI 0487, D8.7.1 RSKQHL",
            Rule::ContMixed => "Arm ARM DDI 0487, D8.7.1 RQTRPM, RNGLXZ",
            Rule::ContAttributes => "Arm ARM DDI 0487, D8.7.1 RSKQHL, RJQQTC",
            Rule::ContIncomplete => {
                "Arm ARM DDI 0487, D8.7.1 IPGVGZ, IVNXYF; Linux: contpte.c unfolds before it clears a part"
            }
            Rule::KernelContiguous => "Linux: contpte.c, kernel mappings are never folded or unfolded live",
            Rule::StaleAtReturn => "Linux: mm/mmu_gather.c, Documentation/core-api/cachetlb.rst",
            Rule::GlobalUserPage => "Arm ARM DDI 0487, D8.16.3 (nG); Linux: PTE_NG in all user mappings",
            Rule::GlobalOverlap => "Arm ARM DDI 0487, D8.16.1 RWHZWS; D8.16.3",
            Rule::AsidReused => "Arm ARM DDI 0487, D8.16.3; Linux: arch/arm64/mm/context.c",
            Rule::KernelTableSwitch => "Arm ARM DDI 0487, D8.16.1 RWHZWS; Linux: idmap_cpu_replace_ttbr1",
            Rule::TableReused => {
                "Arm ARM DDI 0487, D8.17 (walk caches); Linux: mm/mmu_gather.c, tlb_remove_table"
            }
            Rule::FrameReused => "Arm ARM DDI 0487, D8.17; Linux: mm/mmu_gather.c",
        }
    }

    /// What it says, in plain words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Rule::BreakBeforeMake(Change::OutputAddress) => {
                "a live entry got another output address without break-before-make"
            }
            Rule::BreakBeforeMake(Change::MemoryType) => {
                "a live entry got another memory type without break-before-make"
            }
            Rule::BreakBeforeMake(Change::Shareability) => {
                "a live entry got another shareability without break-before-make"
            }
            Rule::BreakBeforeMake(Change::Size) => {
                "a live block became a table, or the reverse, without break-before-make"
            }
            Rule::BreakBeforeMake(Change::Contiguous) => {
                "the contiguous bit of a live entry changed without break-before-make"
            }
            Rule::BreakBeforeMake(Change::Global) => {
                "a live entry became global or non-global without break-before-make"
            }
            Rule::BreakBeforeMake(Change::Table) => {
                "a live table entry got another table without break-before-make"
            }
            Rule::MadeUnclean(_) => {
                "a valid entry was made while an older, conflicting one may still be cached"
            }
            Rule::ContMisaligned => "a contiguous entry's output address does not fit its place in the block",
            Rule::ContMixed => "valid entries with and without the contiguous bit in one group",
            Rule::ContAttributes => {
                "entries of a contiguous block differ in permissions or attributes for good"
            }
            Rule::ContIncomplete => {
                "part of a contiguous block is invalid for good: the rest may be cached as one entry for all of it"
            }
            Rule::KernelContiguous => "the contiguous bit of a kernel mapping was changed",
            Rule::StaleAtReturn => "return to EL0 with an older, more permissive translation still usable",
            Rule::GlobalUserPage => "a page of a process is mapped global: every process would see it",
            Rule::GlobalOverlap => "an address has a global and a non-global translation at once",
            Rule::AsidReused => {
                "an ASID was given to other tables while a TLB may hold translations of its former owner"
            }
            Rule::KernelTableSwitch => {
                "the kernel's tables were replaced while translations of the old ones may be cached"
            }
            Rule::TableReused => {
                "a translation table was freed, reused or relinked while a walk could still reach it"
            }
            Rule::FrameReused => "a frame was freed or reused while a translation to it could still be used",
        }
    }
}

/// Why a translation that was taken away may still be used: how far its clean-up got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// No DSB by the CPU that changed the descriptor, and no TLBI.
    NoBarrier,
    /// A TLBI came, but before the DSB that makes the change visible to the walkers: they may fetch it again.
    TlbiTooEarly,
    /// No TLBI that names the address and the ASID came after the DSB.
    NoTlbi,
    /// A TLBI came whose level hint (TTL) names another level: it need not invalidate anything.
    WrongLevel,
    /// A TLBI came that names another granule (TG): it need not invalidate anything.
    WrongGranule,
    /// A last-level-only TLBI came where a table was unlinked: walk caches keep it.
    LeafOnly,
    /// The TLBI is not complete: the CPU that issued it executed no DSB (loads and stores, of the TLBI's
    /// domain).
    NotComplete,
    /// The TLBI was local, and another CPU may hold the translation.
    LocalOnly,
}

impl Cause {
    /// Where it is written.
    pub const fn citation(self) -> &'static str {
        match self {
            Cause::NoBarrier | Cause::TlbiTooEarly => {
                "Arm ARM DDI 0487, D8.17, RDDMVT: a DSB between store and TLBI"
            }
            Cause::NoTlbi | Cause::LocalOnly => "Arm ARM DDI 0487, D8.17",
            Cause::WrongLevel => "Arm ARM DDI 0487, C5.5 (TTL): a wrong hint need not invalidate",
            Cause::WrongGranule => "Arm ARM DDI 0487, C5.5 (TG)",
            Cause::LeafOnly => "Arm ARM DDI 0487, C5.5 (VALE1, last level of the walk only)",
            Cause::NotComplete => {
                "Arm ARM DDI 0487, B2.3 DSB: completes the TLBIs of the CPU that executes it"
            }
        }
    }

    /// What it says, in plain words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Cause::NoBarrier => "no DSB and no TLBI followed the change",
            Cause::TlbiTooEarly => "the TLBI came before the DSB that publishes the change",
            Cause::NoTlbi => "no TLBI for this address, level and ASID followed the change",
            Cause::WrongLevel => "the TLBI's level hint names another level",
            Cause::WrongGranule => "the TLBI names another granule",
            Cause::LeafOnly => "the TLBI was for the last level only, and a table was unlinked",
            Cause::NotComplete => "no DSB of the CPU that issued the TLBI completed it",
            Cause::LocalOnly => "the TLBI was local, and another CPU ran this address space since",
        }
    }
}
