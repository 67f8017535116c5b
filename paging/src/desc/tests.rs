//! What the transformations keep and what they change.

use super::*;

fn page() -> Pte {
    Pte::user(Pfn::new(0x40123))
}

#[test]
fn a_user_page_is_what_the_architecture_expects() {
    // Valid page, AttrIndx 0, AP = EL0 read-only, inner shareable, nG, PXN and UXN.
    assert_eq!(page().raw(), 0x0060_0000_0000_0bc3 | (0x40123 * PAGE_SIZE));
}

#[test]
fn write_protection_keeps_the_dirty_state() {
    // Contpte reference: a lost dirty state is lost data.
    let hw_dirty = Pte::from_raw(page().mkwrite().raw() & !RDONLY);
    assert!(hw_dirty.is_dirty());
    let protected = hw_dirty.wrprotect();
    assert!(!protected.is_writable() && protected.has(RDONLY) && protected.is_dirty());
    assert!(!page().mkwrite().wrprotect().is_dirty());
}

#[test]
fn writable_again_after_protection_lets_writes_through_if_dirty() {
    // RW -> PROT_NONE -> RW must not end software-dirty but hardware-clean: without hardware dirty state
    // management that faults for ever.
    let back = page().mkwrite().mkdirty().mkprotnone().wrprotect().mkvalid().mkwrite();
    assert!(back.is_hw_dirty());
}

#[test]
fn a_clean_writable_entry_notices_the_first_write() {
    let clean = page().mkwrite();
    assert!(clean.is_writable() && !clean.is_hw_dirty());
    assert!(clean.mkdirty().is_hw_dirty());
}

#[test]
fn only_af_and_dirty_may_differ_in_a_block() {
    let base = page().mkwrite();
    assert_eq!(base.block_attributes(), base.mkyoung().mkdirty().advance(3).block_attributes());
    assert_ne!(base.block_attributes(), base.wrprotect().block_attributes());
    assert_ne!(base.block_attributes(), base.mkexec().block_attributes());
    assert_eq!(page().block_attributes(), page().mkdirty().block_attributes());
}

#[test]
fn bits_that_track_writes_must_agree_in_a_block() {
    assert_ne!(page().block_attributes(), page().mksoft_dirty().block_attributes());
    assert_ne!(page().block_attributes(), page().mkuffd_wp().block_attributes());
    assert_eq!(page().mksoft_dirty().clear_soft_dirty(), page());
}

#[test]
fn an_entry_of_userfaultfd_is_write_protected_and_keeps_its_dirty_state() {
    let marked = page().mkwrite().mkdirty().mkuffd_wp();
    assert!(marked.is_uffd_wp() && !marked.is_writable() && !marked.is_hw_dirty() && marked.is_dirty());
    assert!(!marked.clear_uffd_wp().is_uffd_wp());
    assert!(marked.mkprotnone().is_uffd_wp());
}

#[test]
fn protnone_is_present_but_not_valid_and_not_cont() {
    let none = page().mkcont().mkprotnone();
    assert!(none.is_present() && !none.is_valid() && none.is_protnone() && !none.is_cont());
    assert_eq!(none.pfn(), page().pfn());
    // All but VALID and the contiguous bit survives both ways.
    let full = page().mkwrite().mkdirty().mkyoung().mkexec().mksoft_dirty();
    assert_eq!(full.mkprotnone().mkvalid(), full);
    assert!(Pte::NONE.is_none() && !Pte::NONE.is_present());
}

#[test]
fn hardware_can_still_change_old_or_clean_writable_entries_only() {
    assert!(!page().is_hw_settled());
    assert!(page().mkyoung().is_hw_settled());
    assert!(!page().mkyoung().mkwrite().is_hw_settled());
    assert!(page().mkyoung().mkwrite().mkdirty().is_hw_settled());
}

#[test]
fn upper_entries_decode() {
    let table = PhysAddr::new(0x4567_0000);
    assert_eq!(Upper::decode(TableDesc::new(table).raw()), Upper::Table(table));
    assert_eq!(Upper::decode(0), Upper::Absent);
    let block = page().mkblock();
    assert_eq!(Upper::decode(block.raw()), Upper::Block(block));
    assert_eq!(Upper::decode(block.mkprotnone().raw()), Upper::Block(block.mkprotnone()));
    assert_eq!(block.mkpage(), page());
}
