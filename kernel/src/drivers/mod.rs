//! Devices, from the device tree: console, interrupt controller, firmware.

pub mod gic;
pub mod psci;
pub mod uart;
