//! Every rule with a sequence of events that breaks it and the nearest one that does not.
//!
//! The checker has no unsafe code; under Miri, which needs seconds for a single rig, only what runs on the
//! machine is tested.

#[cfg(not(miri))]
mod bbm;
#[cfg(not(miri))]
mod blocks;
#[cfg(not(miri))]
mod cleanup;
#[cfg(feature = "std")]
mod contpte;
#[cfg(feature = "std")]
mod nosync;
#[cfg(not(miri))]
mod pages;
#[cfg(not(miri))]
mod rig;
#[cfg(not(miri))]
mod spaces;
