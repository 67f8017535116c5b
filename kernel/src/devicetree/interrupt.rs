//! Interrupt controller and timer: bindings arm,gic.yaml, arm,gic-v3.yaml and arm,arch_timer.yaml of Linux.

use core::ops::Range;

use dtoolkit::fdt::FdtNode;
use dtoolkit::{Node, Property};

use super::Platform;
use super::bus::{Place, by_phandle};

/// A GIC with its register blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gic {
    /// Version 2.
    V2 {
        /// Distributor.
        distributor: Range<u64>,
        /// CPU interface.
        cpu_interface: Range<u64>,
    },
    /// Version 3 or 4; its CPU interface is system registers.
    V3 {
        /// Distributor.
        distributor: Range<u64>,
        /// The first region of redistributors, one after the other.
        redistributors: Range<u64>,
    },
}

/// An interrupt as the GIC numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupt {
    /// INTID: 16 to 31 for private (PPI), 32 and up for shared (SPI) interrupts.
    pub id: u32,
    /// Triggered by an edge, not by a level.
    pub edge: bool,
}

/// The interrupts of the generic timer that EL1 may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timer {
    /// Of the virtual timer, CNTV.
    pub virt: Option<Interrupt>,
    /// Of the non-secure physical timer, CNTP.
    pub phys: Option<Interrupt>,
}

/// Takes what `place` tells about controller or timer. `root` is the tree's root.
pub fn visit(root: FdtNode<'_>, place: &Place<'_, '_>, platform: &mut Platform<'_>) {
    if place.is_any(&["arm,gic-v3"]) {
        if let (Some(distributor), Some(redistributors)) = (place.reg(0), place.reg(1)) {
            platform.gic.get_or_insert(Gic::V3 { distributor, redistributors });
        }
    } else if place.is_any(&["arm,cortex-a15-gic", "arm,cortex-a7-gic", "arm,cortex-a9-gic", "arm,gic-400"]) {
        if let (Some(distributor), Some(cpu_interface)) = (place.reg(0), place.reg(1)) {
            platform.gic.get_or_insert(Gic::V2 { distributor, cpu_interface });
        }
    } else if place.is_any(&["arm,armv8-timer"]) {
        platform.timer = timer(root, place).unwrap_or_default();
    }
}

/// The first interrupt of a device. `root` is the tree's root.
pub fn first(root: FdtNode<'_>, place: &Place<'_, '_>) -> Option<Interrupt> {
    interrupt(place, cells(root, place)?, 0)
}

/// Cells of an entry of `interrupts`.
fn cells(root: FdtNode<'_>, place: &Place<'_, '_>) -> Option<usize> {
    let controller = by_phandle(root, place.inherited_u32("interrupt-parent")?)?;
    Some(controller.property("#interrupt-cells")?.value_as::<u32>().ok()? as usize)
}

/// The timer's interrupts are listed by name, or in this order: secure physical, non-secure physical, virtual.
fn timer(root: FdtNode<'_>, place: &Place<'_, '_>) -> Option<Timer> {
    let cells = cells(root, place)?;
    let position = |name, default| {
        let Some(names) = place.node.property("interrupt-names") else { return Some(default) };
        names.value().split(|&byte| byte == 0).position(|entry| entry == name)
    };
    Some(Timer {
        virt: position(b"virt".as_slice(), 2).and_then(|index| interrupt(place, cells, index)),
        phys: position(b"phys".as_slice(), 1).and_then(|index| interrupt(place, cells, index)),
    })
}

/// Entry `index` (0-based, of `cells` cells each) of `interrupts`. A GIC's entries start with type, number and flags.
fn interrupt(place: &Place<'_, '_>, cells: usize, index: usize) -> Option<Interrupt> {
    let value = place.node.property("interrupts")?;
    let (list, _) = value.value().as_chunks::<4>();
    let entry = list.chunks_exact(cells.max(3)).nth(index)?.first_chunk::<3>()?;
    let [kind, number, flags] = entry.map(u32::from_be_bytes);
    let id = match kind {
        0 if number < 988 => 32 + number,
        1 if number < 16 => 16 + number,
        _ => return None,
    };
    // Flags: 1 rising and 2 falling edge, 4 and 8 levels; the rest is other CPUs' business.
    Some(Interrupt { id, edge: flags & 0b1100 == 0 && flags & 0b0011 != 0 })
}
