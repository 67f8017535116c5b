//! Do blocks stay folded? Rounds of fork, random writes by parent and child, and the child's exit.
//!
//! In each round the parent writes to a tenth of the pages while its child is alive, then the child does, then it exits.
//! Which pages is the same in every run. A kernel that copies and reuses page by page has nothing folded left soon.

use user::policy::BlockPolicy;
use user::probe::contpte_kib;
use user::sys::memory::{block_size, page_size};
use user::sys::process;

use super::Context;
use crate::bench::{Failure, Measured, Trying, Window};
use crate::region::Region;
use crate::report::Report;
use crate::row::{Milli, Row};

/// After which rounds there is a row, and what it is called.
const REPORTED: [(u64, &str); 4] =
    [(1, "decay_1"), (10, "decay_10"), (100, "decay_100"), (1000, "decay_1000")];
/// One page in so many is written in a round, by each side.
const SPARSITY: usize = 10;
/// Marks of the parent's and of the children's writes.
const PARENT: u64 = 1;
const CHILD: u64 = 2;
/// A kernel that says it keeps blocks whole must have so much folded at the end, in thousandths of a per cent.
const LEAST: i64 = 95_000;

/// Numbers that look random: Marsaglia's xorshift, 13-7-17.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Measures and reports `decay_1`, `decay_10` and `decay_100`: all rounds up to that one together, by the write.
///
/// # Errors
/// No memory, wrong data on either side, or blocks that decayed though the kernel's policy says they do not.
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    let rounds = context.options.rounds;
    context.bench.settle();
    let without = contpte_kib();
    let region = context.populated()?;
    region.mark(PARENT, 0..region.pages());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut sum, mut kept) = (None, None);
    for number in 1..=rounds {
        report.progress(context.folio, "decay");
        let mut result = Ok(());
        let window = context.bench.window(|| result = round(&region, &mut random));
        result?;
        let sum: Window = *sum.insert(sum.map_or(window, |sum: Window| sum.plus(&window)));
        kept =
            without.zip(contpte_kib()).map(|(without, with)| percent(with.saturating_sub(without), &region));
        let Some((_, op)) = REPORTED.iter().find(|(reported, _)| *reported == number) else { continue };
        report.row(&Row {
            op,
            folio: context.folio,
            region_mib: context.options.mib,
            pages: number * 2 * (region.pages() / SPARSITY) as u64,
            cost: sum.cost,
            fixed: 0,
            events: sum.events,
            count: None,
            contpte: kept,
        });
    }
    if !region.is_marked(PARENT, 0..region.pages()) {
        return Err(Failure { what: "a child's writes reached its parent", errno: None });
    }
    match kept {
        Some(kept) => report.kept(context.folio, rounds, kept),
        None => report.note(format_args!("  decay: this kernel does not say how blocks are mapped")),
    }
    let blocks = context.folio.kib as usize >= block_size() >> 10 && !context.folio.block;
    let promised = blocks && BlockPolicy::save().keeps_blocks();
    match kept {
        Some(Milli(kept)) if promised && kept < LEAST => {
            Err(Failure { what: "blocks decayed, though the policy is to keep them", errno: None })
        }
        _ => Ok(()),
    }
}

/// One round. The parent goes first: a fork returns to it, and it waits only when it has written.
fn round(region: &Region, random: &mut Random) -> Measured<()> {
    let (mut ours, seed) = (Random(random.0), random.0);
    // The next round goes on where this one's numbers end.
    (0..2 * (region.pages() / SPARSITY)).for_each(|_| {
        random.below(1);
    });
    let child = process::spawn(|| {
        let mut its = Random(seed.rotate_left(32));
        let right = (0..region.pages() / SPARSITY).all(|_| {
            let page = its.below(region.pages());
            let inherited =
                region.is_marked(PARENT, page..page + 1) || region.is_marked(CHILD, page..page + 1);
            region.mark(CHILD, page..page + 1);
            inherited && region.is_marked(CHILD, page..page + 1)
        });
        i32::from(!right)
    })
    .trying("fork")?;
    for _ in 0..region.pages() / SPARSITY {
        let page = ours.below(region.pages());
        region.mark(PARENT, page..page + 1);
    }
    match process::wait(child).trying("wait for a child")?.exited() {
        Some(0) => Ok(()),
        _ => Err(Failure { what: "a child saw wrong data, or was killed", errno: None }),
    }
}

/// How much of the region `kib` is, in thousandths of a per cent; what else became folded meanwhile does not make it
/// more than all.
fn percent(kib: u64, region: &Region) -> Milli {
    let all = (region.pages() * page_size() / 1024) as u64;
    Milli((kib * 100_000 / all).min(100_000) as i64)
}
