//! Every rule with a sequence of events that breaks it and the nearest one that does not.

mod bbm;
mod blocks;
mod cleanup;
#[cfg(feature = "std")]
mod contpte;
mod pages;
mod rig;
mod spaces;
