//! Not a measurement: are the data right on both sides of a fork, and did the region get the folios it was to get?

use core::sync::atomic::Ordering::Relaxed;

use user::probe::contpte_kib;
use user::sys::memory::block_size;

use super::Context;
use crate::bench::{Failure, Measured};

/// KiB in a contpte block.
fn block_kib() -> u64 {
    block_size() as u64 >> 10
}

/// Contpte blocks of the region, as the kernel reports them.
#[derive(Clone, Copy, Default)]
pub struct Folded {
    /// In the parent before fork.
    pub before: u64,
    /// In the parent after fork.
    pub parent: u64,
    /// In the child.
    pub child: u64,
}

impl Folded {
    fn without(self, other: Folded) -> Folded {
        Folded {
            before: self.before.saturating_sub(other.before),
            parent: self.parent.saturating_sub(other.parent),
            child: self.child.saturating_sub(other.child),
        }
    }
}

/// Forks over a marked region, writes on both sides, and compares. Returns the region's folded blocks, `None` where the
/// kernel does not report them.
///
/// # Errors
/// Wrong data on either side, or the folios do not have the wanted size.
pub fn check(context: &Context<'_>) -> Measured<Option<Folded>> {
    let without = round(context, false)?;
    let with = round(context, true)?;
    let (Some(without), Some(with)) = (without, with) else { return Ok(None) };
    let folded = with.without(without);
    let blocks = context.blocks();
    let by_blocks = u64::from(context.folio.kib) >= block_kib() && !context.folio.block;
    let expected = if by_blocks { blocks } else { 0 };
    if folded.before != expected {
        return Err(Failure { what: "the region did not get folios of the wanted size", errno: None });
    }
    Ok(Some(folded))
}

/// One fork with the region or without; the difference of the two is the region's.
fn round(context: &Context<'_>, with_region: bool) -> Measured<Option<Folded>> {
    let bench = context.bench;
    let region = if with_region { Some(context.populated()?) } else { None };
    let all = || 0..region.as_ref().map_or(0, |r| r.pages());
    let even = || all().step_by(2);
    if let Some(region) = &region {
        region.mark(1, all());
    }
    bench.settle();
    let before = contpte_kib();
    let child = bench.fork(|| {
        // The parent has written to every even page by now: none of that may be seen here.
        bench.shared.result.store(contpte_kib().unwrap_or(0), Relaxed);
        let Some(region) = &region else { return 0 };
        let inherited = region.is_marked(1, all());
        region.mark(3, all().skip(1).step_by(3));
        i32::from(!(inherited && region.is_marked(3, all().skip(1).step_by(3))))
    })?;
    let parent = contpte_kib();
    if let Some(region) = &region {
        region.mark(2, even());
    }
    bench.finish(&child)?;
    if let Some(region) = &region
        && !(region.is_marked(2, even()) && region.is_marked(1, all().skip(1).step_by(2)))
    {
        return Err(Failure { what: "the parent's data changed over a fork", errno: None });
    }
    Ok(before.zip(parent).map(|(before, parent)| Folded {
        before: before / block_kib(),
        parent: parent / block_kib(),
        child: bench.shared.result.load(Relaxed) / block_kib(),
    }))
}
