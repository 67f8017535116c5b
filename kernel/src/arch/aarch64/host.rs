//! The part of `arch` that is not instructions, compiled on hosts for its tests.

pub mod esr;
pub mod fault;
