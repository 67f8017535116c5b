//! fork, for entries that are not present: what the child gets of them.
//!
//! | parent's entry | child's entry | parent's entry afterwards |
//! |---|---|---|
//! | swap | the same slot, counted once more | the same |
//! | migration, writable | read-only | read-only |
//! | migration, read-only | the same | the same |
//! | marker for uffd-wp | the same if the child keeps the registration, else none | the same |
//! | other markers | the same | the same |
//!
//! The bit for uffd-wp is filtered like its marker; soft-dirty is inherited.

use paging::desc::{Marker, SwapEntry};
use paging::walk::PteRef;
use paging::{NonPresent, Pte};

use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::mm::machine::Machine;
use crate::mm::space::AddressSpace;

/// What stands for the entry `pte`, neither empty nor present, in the child. `keep_wp`: it keeps the registration with
/// userfaultfd. None if it gets nothing, and so needs no table for it.
pub(super) fn child_entry(pte: Pte, keep_wp: bool) -> Option<Pte> {
    let kept = if keep_wp { pte } else { pte.clear_uffd_wp() };
    match NonPresent::decode(pte) {
        NonPresent::None => None,
        NonPresent::Marker(Marker::UffdWp) => keep_wp.then_some(pte),
        NonPresent::Swap(_) | NonPresent::Marker(_) => Some(kept),
        NonPresent::Migration { pfn, .. } => {
            Some(NonPresent::Migration { pfn, writable: false }.encode().with_tracking_of(kept))
        }
    }
}

/// Gives the child `entry`, from [`child_entry`], at `dst`, and counts it; `pte` at `src` is the parent's.
///
/// # Errors
/// `ENOMEM`: as many refer to the slot or the folio as can be counted. The child has nothing of it.
pub(super) fn copy_nonpresent<M: Machine>(
    mm: &Mm<M>,
    child: &mut AddressSpace,
    src: PteRef,
    dst: PteRef,
    pte: Pte,
    entry: Pte,
) -> Result<()> {
    // Counted first: an entry without its count would free what others still refer to.
    match NonPresent::decode(pte) {
        NonPresent::Swap(SwapEntry { slot }) => {
            mm.swap_duplicate(slot as u32).map_err(|_| Errno::ENOMEM)?;
        }
        NonPresent::Migration { pfn, writable } => {
            let head = mm.frames.folio(pfn).head;
            mm.folio_add_mappings(head, 1).map_err(|_| Errno::ENOMEM)?;
            child.rss += 1;
            if writable {
                // The page is shared from here on; whoever maps it again must not write to it.
                let readable = NonPresent::Migration { pfn, writable: false };
                mm.set_nonpresent(src, readable.encode().with_tracking_of(pte));
            }
        }
        NonPresent::Marker(_) | NonPresent::None => {}
    }
    mm.set_nonpresent(dst, entry);
    Ok(())
}
