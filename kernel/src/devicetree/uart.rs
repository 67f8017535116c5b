//! The console: /chosen/stdout-path, or else the first UART we can drive.

use core::ops::Range;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

use super::bus::{Place, by_phandle};
use super::interrupt::{self, Interrupt};

/// The rate that UARTs run at when nothing says otherwise. Linux: pl011's default console options.
const DEFAULT_BAUD: u32 = 115_200;

/// A PL011 UART.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uart {
    /// Its registers.
    pub registers: Range<u64>,
    /// The clock that its baud rate is divided from, in Hz. Without it the rate must stay as firmware set it.
    pub clock_hz: Option<u32>,
    /// Bits per second on the line.
    pub baud: u32,
    /// Its interrupt, if the tree says which.
    pub interrupt: Option<Interrupt>,
    /// Whether /chosen/stdout-path names it.
    chosen: bool,
}

/// What /chosen/stdout-path says: a node, by path or alias, and options behind a colon.
#[derive(Clone, Copy)]
pub struct Console<'a> {
    node: FdtNode<'a>,
    baud: u32,
}

/// Reads /chosen/stdout-path.
pub fn console<'a>(fdt: Fdt<'a>) -> Option<Console<'a>> {
    let path = fdt.find_node("/chosen")?.property("stdout-path")?.value_as::<&'a str>().ok()?;
    let (path, options) = path.split_once(':').unwrap_or((path, ""));
    let path = if path.starts_with('/') {
        path
    } else {
        fdt.find_node("/aliases")?.property(path)?.value_as::<&'a str>().ok()?
    };
    // "115200n8": the number ends at the parity letter.
    let digits = options.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
    let baud = digits.parse().ok().filter(|&baud| baud > 0).unwrap_or(DEFAULT_BAUD);
    Some(Console { node: fdt.find_node(path)?, baud })
}

/// Takes `place` as the console if it is a PL011, and either the chosen one or the first. `root` is the tree's root.
pub fn visit(
    root: FdtNode<'_>,
    place: &Place<'_, '_>,
    console: Option<Console<'_>>,
    uart: &mut Option<Uart>,
) {
    if !place.is_any(&["arm,pl011"]) || uart.as_ref().is_some_and(|found| found.chosen) {
        return;
    }
    let Some(registers) = place.reg(0) else { return };
    let chosen = console.filter(|console| same_node(console.node, place.node));
    if chosen.is_some() || uart.is_none() {
        let baud = chosen.map_or(DEFAULT_BAUD, |console| console.baud);
        let (clock_hz, interrupt) = (clock(root, place), interrupt::first(root, place));
        *uart = Some(Uart { registers, clock_hz, baud, interrupt, chosen: chosen.is_some() });
    }
}

/// The frequency of a device's first clock, when that is a fixed one.
fn clock(root: FdtNode<'_>, place: &Place<'_, '_>) -> Option<u32> {
    let clocks = place.node.property("clocks")?;
    let phandle = u32::from_be_bytes(*clocks.value().first_chunk()?);
    by_phandle(root, phandle)?.property("clock-frequency")?.value_as().ok()
}

/// Nodes have no identity but their place: equal names with equal registers are the same UART.
fn same_node(a: FdtNode<'_>, b: FdtNode<'_>) -> bool {
    let reg = |node: FdtNode<'_>| node.property("reg").map(|p| (p.value().as_ptr(), p.value().len()));
    a.name() == b.name() && reg(a) == reg(b)
}
