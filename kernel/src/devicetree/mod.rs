//! What the kernel wants to know of the machine, from the flattened device tree: parsed once, into a plain structure.
//!
//! The blob comes from outside. Whatever is in it, parsing neither panics nor believes an address range that
//! overflows; what is missing is `None`, and who needs it says so.

mod bus;
mod interrupt;
mod memory;
mod ranges;
#[cfg(test)]
mod tests;
mod uart;

use core::ops::Range;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

pub use interrupt::{Gic, Interrupt, Timer};
pub use ranges::Ranges;
pub use uart::Uart;

use crate::util::MAX_CPUS;
use bus::Place;

/// The largest blob a boot loader may pass, in bytes. Linux: Documentation/arch/arm64/booting.rst.
pub const MAX_BYTES: usize = 2 << 20;

/// Why a blob was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceTreeError {
    /// It does not start like a device tree, or says it is larger than [`MAX_BYTES`].
    Header,
    /// The tree in it is malformed.
    Structure,
    /// No node of type "memory".
    NoMemory,
}

/// How PSCI, the firmware's power interface, is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// By HVC.
    Hvc,
    /// By SMC.
    Smc,
}

/// The machine. Addresses are physical, in bytes.
#[derive(Clone)]
pub struct Platform<'a> {
    /// All RAM.
    pub memory: Ranges,
    /// RAM that is somebody else's: /memreserve/ and /reserved-memory.
    pub reserved: Ranges,
    /// The part of `reserved` that must not even be mapped.
    pub no_map: Ranges,
    /// The initial RAM disk.
    pub initrd: Option<Range<u64>>,
    /// The kernel command line.
    pub bootargs: &'a str,
    /// Randomness from the boot loader.
    pub rng_seed: &'a [u8],
    /// Registers of devices that no driver of ours uses and whose reading changes nothing: a real-time clock's.
    pub passive: Ranges,
    /// The console.
    pub uart: Option<Uart>,
    /// The interrupt controller.
    pub gic: Option<Gic>,
    /// The generic timer's interrupts.
    pub timer: Timer,
    /// How to call PSCI.
    pub psci: Option<Conduit>,
    /// MPIDR affinities of the CPUs, in the order of the tree.
    cpus: [u64; MAX_CPUS],
    /// CPUs in the tree; may be more than `cpus` holds.
    pub cpu_count: usize,
}

/// The number of bytes that a blob starting with `header` claims to have.
///
/// # Errors
/// `Header` if it does not start like a device tree or claims more than [`MAX_BYTES`].
pub fn blob_bytes(header: &[u8; 8]) -> Result<usize, DeviceTreeError> {
    let [m0, m1, m2, m3, s0, s1, s2, s3] = *header;
    let bytes = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if u32::from_be_bytes([m0, m1, m2, m3]) != 0xd00d_feed || !(8..=MAX_BYTES).contains(&bytes) {
        return Err(DeviceTreeError::Header);
    }
    Ok(bytes)
}

impl<'a> Platform<'a> {
    /// Reads a device tree blob.
    ///
    /// # Errors
    /// `Structure` if it is malformed, `NoMemory` if it names no RAM.
    pub fn parse(blob: &'a [u8]) -> Result<Self, DeviceTreeError> {
        let fdt = Fdt::new(blob).map_err(|_| DeviceTreeError::Structure)?;
        let mut platform = Platform {
            memory: Ranges::new(),
            reserved: Ranges::new(),
            no_map: Ranges::new(),
            initrd: None,
            bootargs: "",
            rng_seed: &[],
            passive: Ranges::new(),
            uart: None,
            gic: None,
            timer: Timer::default(),
            psci: None,
            cpus: [0; MAX_CPUS],
            cpu_count: 0,
        };
        memory::reservations(fdt, &mut platform);
        if let Some(chosen) = fdt.find_node("/chosen") {
            platform.read_chosen(chosen);
        }
        let console = uart::console(fdt);
        bus::root(fdt.root()).walk(&mut |place| platform.visit(fdt.root(), place, console));
        if platform.memory.is_empty() {
            return Err(DeviceTreeError::NoMemory);
        }
        Ok(platform)
    }

    /// MPIDR affinities of the CPUs, in the order of the tree, at most [`MAX_CPUS`] of them.
    pub fn cpus(&self) -> &[u64] {
        &self.cpus[..self.cpu_count.min(MAX_CPUS)]
    }

    /// RAM that is free for use, in whole pages: the banks less the reserved ranges, the initrd and `taken`.
    pub fn usable(&self, taken: &[Range<u64>], page: u64) -> Ranges {
        let mut usable = self.memory.clone();
        for range in self.reserved.iter().chain(self.initrd.clone()).chain(taken.iter().cloned()) {
            // What shares a page with something reserved is not free either.
            let end = range.end.checked_next_multiple_of(page).unwrap_or(u64::MAX);
            usable.remove(range.start & !(page - 1)..end);
        }
        usable.shrink_to_pages(page);
        usable
    }

    fn read_chosen(&mut self, chosen: FdtNode<'a>) {
        let text = |name| chosen.property(name).and_then(|p| p.value_as::<&'a str>().ok());
        self.bootargs = text("bootargs").unwrap_or("");
        self.rng_seed =
            chosen.property("rng-seed").and_then(|p| p.value_as::<&'a [u8]>().ok()).unwrap_or_default();
        // One or two cells, whatever #address-cells says. Linux: early_init_dt_check_for_initrd.
        let address = |name| chosen.property(name).and_then(|p| integer(p.value()));
        if let (Some(start), Some(end)) = (address("linux,initrd-start"), address("linux,initrd-end"))
            && start < end
        {
            self.initrd = Some(start..end);
        }
    }

    fn visit(&mut self, root: FdtNode<'a>, place: &Place<'_, 'a>, console: Option<uart::Console<'a>>) {
        let device_type = place.node.property("device_type").and_then(|p| p.value_as::<&str>().ok());
        match device_type {
            Some("memory") => memory::banks(place, self),
            Some("cpu") => self.add_cpu(place),
            _ => {}
        }
        if place.is_any(&["arm,psci-1.0", "arm,psci-0.2"]) {
            self.psci = match place.node.property("method").and_then(|p| p.value_as::<&str>().ok()) {
                Some("hvc") => Some(Conduit::Hvc),
                Some("smc") => Some(Conduit::Smc),
                _ => None,
            };
        }
        if place.is_any(&["arm,pl031"])
            && let Some(registers) = place.reg(0)
        {
            self.passive.insert(registers);
        }
        uart::visit(root, place, console, &mut self.uart);
        interrupt::visit(root, place, self);
    }

    fn add_cpu(&mut self, place: &Place<'_, '_>) {
        let mpidr = place.node.reg().ok().flatten().and_then(|mut reg| reg.next()?.address::<u64>().ok());
        let Some(mpidr) = mpidr else { return };
        if let Some(slot) = self.cpus.get_mut(self.cpu_count) {
            *slot = mpidr;
        }
        self.cpu_count += 1;
    }
}

/// A big-endian integer of one or two cells.
fn integer(value: &[u8]) -> Option<u64> {
    match *value {
        [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d]).into()),
        [a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}
