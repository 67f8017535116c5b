//! Every sequence of operations up to a length, in a small scope: two blocks, two address spaces, two CPUs.
//!
//! Most mistakes show in a short sequence if only the right one is tried; here all of them are.

use model::machine::MachineConfig;
use paging::CONT_PTES;

use super::world::{Op, Stretch, run};
use crate::mm::testing::with;

/// One page inside the first block, the first block, both blocks, and a stretch over the end of the first.
const PAGE: Stretch = Stretch(5, 1);
const BLOCK: Stretch = Stretch(0, CONT_PTES);
const BOTH: Stretch = Stretch(0, 2 * CONT_PTES);
const ACROSS: Stretch = Stretch(CONT_PTES / 2, CONT_PTES);

/// What may happen. Processes 0 and 1 are the parent and the child; operations of a child that does not exist are the
/// parent's.
const ALPHABET: [Op; 17] = [
    Op::Fork(0),
    Op::Exit(1),
    Op::Exit(0),
    Op::Write(0, 5),
    Op::Write(1, 5),
    Op::Write(0, CONT_PTES + 4),
    Op::Fill(1, BLOCK),
    Op::Unmap(0, PAGE),
    Op::Unmap(1, ACROSS),
    Op::Protect(0, ACROSS, 1),
    Op::Protect(0, BOTH, 2),
    Op::Protect(1, BLOCK, 0),
    Op::Discard(0, BLOCK),
    Op::Map(0, BOTH),
    Op::Pin(0, PAGE, false),
    Op::OnCpu(1),
    Op::OnCpu(0),
];

/// Tries every sequence of `length` operations after two blocks were mapped and filled, on a machine of BBM level
/// `bbm_level`; returns how many there were.
fn all_of_length(length: u32, bbm_level: u8) -> usize {
    let mm = with(2048, MachineConfig { bbm_level, ..MachineConfig::default() });
    let count = ALPHABET.len().pow(length);
    for number in 0..count {
        let mut rest = number;
        let sequence = (0..length).map(|_| {
            let op = ALPHABET[rest % ALPHABET.len()];
            rest /= ALPHABET.len();
            op
        });
        run(&mm, [Op::Map(0, BOTH), Op::Fill(0, BOTH)].into_iter().chain(sequence));
    }
    count
}

#[test]
fn every_short_sequence_agrees_with_the_naive_implementation() {
    let longest = std::env::var("PLEAT_DEPTH").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let sequences: usize = (1..=longest).map(|length| all_of_length(length, 0)).sum();
    // Where folding needs no flush the same happens in fewer steps; one operation less finds as much.
    let sequences = sequences + (1..longest).map(|length| all_of_length(length, 2)).sum::<usize>();
    std::println!("{sequences} sequences of up to {longest} operations");
}
