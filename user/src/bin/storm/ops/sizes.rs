//! Not a measurement: did the region get the folios it was to get, by what the kernel counts?

use user::probe::{block_kib, folios_allocated};

use super::Context;
use crate::bench::{Failure, Measured};

/// Folio orders above 0 that a kernel may count: 8 KiB to 2 MiB.
const ORDERS: usize = 9;

/// Populates a region and compares what was counted meanwhile. Returns the folios of the wanted size, or `None` where
/// the kernel counts nothing.
///
/// # Errors
/// There were folios of another size, or they are not mapped as wanted.
pub fn check(context: &Context<'_>) -> Measured<Option<u64>> {
    let before = counts();
    if before.iter().all(Option::is_none) {
        return Ok(None);
    }
    let blocks_before = block_kib();
    let _region = context.populated()?;
    let (after, blocks_after) = (counts(), block_kib());

    let region_kib = context.options.mib * 1024;
    let folios = region_kib / u64::from(context.folio.kib);
    for ((before, after), order) in before.iter().zip(after).zip(1..) {
        let wanted = if 4 << order == context.folio.kib { folios } else { 0 };
        if let (Some(before), Some(after)) = (*before, after)
            && after.checked_sub(before) != Some(wanted)
        {
            return Err(Failure { what: "the region did not get folios of the wanted size", errno: None });
        }
    }
    let by_block = if context.folio.block { region_kib } else { 0 };
    if let (Some(before), Some(after)) = (blocks_before, blocks_after)
        && after.checked_sub(before) != Some(by_block)
    {
        return Err(Failure { what: "the region is not mapped as wanted", errno: None });
    }
    Ok(Some(folios))
}

fn counts() -> [Option<u64>; ORDERS] {
    core::array::from_fn(|i| folios_allocated(4 << (i + 1)))
}
