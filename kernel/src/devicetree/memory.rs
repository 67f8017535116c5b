//! RAM: banks and what is reserved in them. Devicetree Specification 0.4, 3.4, 3.5 and 5.3.

use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};

use super::Platform;
use super::bus::Place;

/// Adds the banks of a node of type "memory".
pub fn banks(place: &Place<'_, '_>, platform: &mut Platform<'_>) {
    for bank in (0..).map_while(|index| place.reg(index)) {
        platform.memory.insert(bank);
    }
}

/// Adds the memory reservation block and the fixed ranges below /reserved-memory. Ranges to be placed by the
/// operating system (with `size` instead of `reg`) are for drivers that we do not have.
pub fn reservations(fdt: Fdt<'_>, platform: &mut Platform<'_>) {
    for entry in fdt.memory_reservations() {
        if let Some(end) = entry.address().checked_add(entry.size()) {
            platform.reserved.insert(entry.address()..end);
        }
    }
    let Some(parent) = fdt.find_node("/reserved-memory") else { return };
    for node in parent.children() {
        let disabled = node.property("status").is_some_and(|p| p.value_as::<&str>() == Ok("disabled"));
        let Ok(Some(regs)) = node.reg() else { continue };
        for reg in regs {
            let (Ok(start), Ok(bytes)) = (reg.address::<u64>(), reg.size::<u64>()) else { continue };
            let Some(end) = start.checked_add(bytes) else { continue };
            if !disabled {
                platform.reserved.insert(start..end);
                if node.property("no-map").is_some() {
                    platform.no_map.insert(start..end);
                }
            }
        }
    }
}
