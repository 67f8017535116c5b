//! What reaches the model, over one table that maps the first 2 MiB of RAM at address 0 by pages.

use model::event::{Access as Waits, Domain};
use model::{Change, Rule};

use super::*;
use crate::shadow::RAM_BASE;

const ROOT: u64 = RAM_BASE + 0x10_0000;
const LEAVES: u64 = ROOT + 0x3000;
/// The kernel's map: all of RAM at `LINEAR`, by one 1 GiB block.
const LINEAR: u64 = 0xffff_ff80_0000_0000;

const AF: u64 = 1 << 10;
const READ_ONLY: u64 = 1 << 7;
/// A page for EL0: valid, AP\[1\], inner shareable, nG.
const PAGE: u64 = 3 | 1 << 6 | 3 << 8 | 1 << 11;
const CONTIGUOUS: u64 = 1 << 52;

fn watch() -> Watch {
    let mut watch = Watch::new(&Options::default(), Shadow::new().unwrap(), None);
    for (table, next) in [(ROOT, ROOT + 0x1000), (ROOT + 0x1000, ROOT + 0x2000), (ROOT + 0x2000, LEAVES)] {
        watch.shadow.store(table, next | 3);
    }
    watch.shadow.store(ROOT + 0x4000, RAM_BASE | AF | 1);
    let mut write = |register, value| watch.execute(0, 0, Insn::Msr(register, 0), value).unwrap();
    // 48 bits below, 39 above, 4 KiB granule in both halves.
    write(SystemRegister::Tcr, 16 | 25 << 16 | 2 << 30);
    write(SystemRegister::Ttbr0, 1 << 48 | ROOT);
    write(SystemRegister::Ttbr1, ROOT + 0x4000);
    write(SystemRegister::Sctlr, 1);
    watch
}

fn store(watch: &mut Watch, pa: u64, value: u64, atomic: bool) -> Verdict {
    watch.access(0, 0x99, &Access { pa, bytes: 8, value: [value, 0], is_store: true }, atomic)
}

fn load(watch: &mut Watch, pa: u64, value: u64) -> Verdict {
    watch.access(0, 0x99, &Access { pa, bytes: 8, value: [value, 0], is_store: false }, true)
}

fn seen(watch: &Watch) -> String {
    watch
        .counts
        .to_string()
        .split(", DSBs")
        .next()
        .unwrap()
        .split(", ")
        .take(2)
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn only_stores_to_tables_are_events() {
    let mut watch = watch();
    store(&mut watch, LEAVES, RAM_BASE | PAGE | AF, false).unwrap();
    store(&mut watch, RAM_BASE, 5, false).unwrap();
    assert_eq!(seen(&watch), "1 stores to tables, 0 walker's updates");
    assert_eq!(watch.stores, 2);
    assert_eq!(watch.shadow.load(RAM_BASE), 5);
}

#[test]
fn a_read_modify_write_shows_the_walkers_updates() {
    let mut watch = watch();
    let entry = RAM_BASE | PAGE | READ_ONLY | 1 << 51;
    store(&mut watch, LEAVES, entry, false).unwrap();
    // Accessed and written to in the meantime.
    let used = entry & !READ_ONLY | AF;
    load(&mut watch, LEAVES, used).unwrap();
    assert_eq!(seen(&watch), "1 stores to tables, 1 walker's updates");
    assert_eq!(watch.shadow.load(LEAVES), used);
    // Nobody but the walker changes a descriptor unseen.
    load(&mut watch, LEAVES, used ^ 0x1000).unwrap();
    assert_eq!((seen(&watch).as_str(), watch.surprises), ("1 stores to tables, 1 walker's updates", 1));
}

#[test]
fn a_compare_and_swap_that_fails_is_no_store() {
    let mut watch = watch();
    let entry = RAM_BASE | PAGE | AF;
    store(&mut watch, LEAVES, entry, false).unwrap();
    load(&mut watch, LEAVES, entry).unwrap();
    store(&mut watch, LEAVES, entry, true).unwrap();
    assert_eq!(seen(&watch), "1 stores to tables, 0 walker's updates");
    load(&mut watch, LEAVES, entry).unwrap();
    store(&mut watch, LEAVES, entry | READ_ONLY, true).unwrap();
    assert_eq!(seen(&watch), "2 stores to tables, 0 walker's updates");
}

#[test]
fn dc_zva_clears_its_block() {
    let mut watch = watch();
    let data = RAM_BASE + 0x2_0000;
    for word in 0..10 {
        watch.shadow.store(data + 8 * word, 7);
    }
    watch.execute(0, 0, Insn::ZeroBlock(0), LINEAR + 0x2_0028).unwrap();
    let left: Vec<_> = (0..10).filter(|word| watch.shadow.load(data + 8 * word) != 0).collect();
    assert_eq!(left, [8, 9]);
    // A table, too, and that is an event for each word.
    watch.execute(0, 0, Insn::ZeroBlock(0), LINEAR + (LEAVES - RAM_BASE)).unwrap();
    assert_eq!(seen(&watch), "8 stores to tables, 0 walker's updates");
}

#[test]
fn a_broken_rule_is_told_with_its_place() {
    let mut watch = watch();
    store(&mut watch, LEAVES, RAM_BASE | PAGE | AF, false).unwrap();
    watch.execute(0, 0, Insn::Dsb(Waits::Stores, Domain::Ish), 0).unwrap();
    let violation = store(&mut watch, LEAVES, RAM_BASE | PAGE | AF | CONTIGUOUS, false).unwrap_err();
    assert_eq!(violation.rule, Rule::BreakBeforeMake(Change::Contiguous));
    assert_eq!(violation.tag(), 0x99);
}
