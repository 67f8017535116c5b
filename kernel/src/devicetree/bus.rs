//! Walking the tree with what a node's meaning depends on above it: the address translation of its buses and the
//! interrupt controller it is wired to.

use core::ops::Range;

use dtoolkit::fdt::FdtNode;
use dtoolkit::{Node, Property};

/// How deep the walk follows nested nodes; real trees stay below 6. It bounds the recursion on a kernel stack.
const MAX_DEPTH: usize = 12;

/// A node with the chain of its ancestors.
#[derive(Clone, Copy)]
pub struct Place<'p, 'a> {
    /// The node.
    pub node: FdtNode<'a>,
    parent: Option<&'p Place<'p, 'a>>,
}

impl<'a> Place<'_, 'a> {
    /// Entry `index` (0-based) of `reg`, as the CPU addresses it. `None` if there is no such entry, or no bus
    /// between passes it on.
    pub fn reg(&self, index: usize) -> Option<Range<u64>> {
        let reg = self.node.reg().ok()??.nth(index)?;
        let (mut start, bytes) = (reg.address::<u64>().ok()?, reg.size::<u64>().ok()?);
        let mut bus = self.parent;
        while let Some(place) = bus {
            // The root has no `ranges`: its addresses are the CPU's.
            if place.parent.is_some() {
                start = place.translate(start)?;
            }
            bus = place.parent;
        }
        Some(start..start.checked_add(bytes)?)
    }

    /// An address on this bus as its parent bus knows it. Devicetree Specification 0.4, 2.3.8 "ranges".
    fn translate(&self, addr: u64) -> Option<u64> {
        let mut ranges = self.node.ranges().ok()??.peekable();
        if ranges.peek().is_none() {
            return Some(addr);
        }
        ranges.find_map(|range| {
            let offset = addr.checked_sub(range.child_bus_address::<u64>().ok()?)?;
            let length = range.length::<u64>().ok()?;
            if offset >= length {
                return None;
            }
            range.parent_bus_address::<u64>().ok()?.checked_add(offset)
        })
    }

    /// A property of one 32-bit cell, here or on the nearest ancestor that has it.
    pub fn inherited_u32(&self, name: &str) -> Option<u32> {
        let mut place = Some(self);
        while let Some(p) = place {
            if let Some(property) = p.node.property(name) {
                return property.value_as().ok();
            }
            place = p.parent;
        }
        None
    }

    /// Calls `visit` for this node and all below it that are not disabled, parents first.
    pub fn walk(&self, visit: &mut impl FnMut(&Place<'_, 'a>)) {
        self.walk_from(visit, 0);
    }

    fn walk_from(&self, visit: &mut impl FnMut(&Place<'_, 'a>), depth: usize) {
        // Devicetree Specification 0.4, 2.3.4: no status, "okay" and (by usage) "ok" are usable.
        let status = self.node.property("status").and_then(|p| p.value_as::<&str>().ok());
        if !matches!(status, None | Some("okay" | "ok")) || depth > MAX_DEPTH {
            return;
        }
        visit(self);
        for node in self.node.children() {
            Place { node, parent: Some(self) }.walk_from(visit, depth + 1);
        }
    }

    /// Whether the node is compatible with any of `names`.
    pub fn is_any(&self, names: &[&str]) -> bool {
        self.node.compatible().is_some_and(|mut list| list.any(|name| names.contains(&name)))
    }
}

/// The node whose `phandle` is `phandle`, at or below `node`.
pub fn by_phandle(node: FdtNode<'_>, phandle: u32) -> Option<FdtNode<'_>> {
    fn search(node: FdtNode<'_>, phandle: u32, depth: usize) -> Option<FdtNode<'_>> {
        let own = node.property("phandle").and_then(|p| p.value_as::<u32>().ok());
        if own == Some(phandle) {
            return Some(node);
        }
        if depth > MAX_DEPTH {
            return None;
        }
        node.children().find_map(|child| search(child, phandle, depth + 1))
    }
    search(node, phandle, 0)
}

/// The root of a tree.
pub fn root(node: FdtNode<'_>) -> Place<'_, '_> {
    Place { node, parent: None }
}
