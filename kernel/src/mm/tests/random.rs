//! Random sequences of operations against the naive implementation. A failing one is shrunk to the shortest that
//! still fails and printed as a list of operations.
//!
//! `PLEAT_SEQUENCES` sets how many are tried; `make test` tries many more than plain `cargo test`.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::world::{Op, PROCESSES, Stretch, run};
use crate::mm::frame::MAX_ORDER;
use crate::mm::testing::sized;

fn process() -> impl Strategy<Value = usize> {
    0..PROCESSES
}

/// Any stretch, but often whole blocks: that is where folding happens.
fn stretch() -> impl Strategy<Value = Stretch> {
    prop_oneof![
        2 => (0..64usize, 1..64usize).prop_map(|(first, pages)| Stretch(first, pages)),
        2 => (0..4usize, 1..5usize).prop_map(|(first, blocks)| Stretch(first * 16, blocks * 16)),
        1 => (0..64usize).prop_map(|page| Stretch(page, 1)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..=MAX_ORDER).prop_map(Op::FolioOrder),
        1 => (0..2usize).prop_map(Op::OnCpu),
        3 => (process(), stretch()).prop_map(|(p, s)| Op::Map(p, s)),
        2 => (process(), stretch()).prop_map(|(p, s)| Op::Unmap(p, s)),
        3 => (process(), stretch(), 0..3u8).prop_map(|(p, s, prot)| Op::Protect(p, s, prot)),
        2 => (process(), stretch()).prop_map(|(p, s)| Op::Discard(p, s)),
        2 => (process(), 0..64usize).prop_map(|(p, page)| Op::Read(p, page)),
        4 => (process(), 0..64usize).prop_map(|(p, page)| Op::Write(p, page)),
        4 => (process(), stretch()).prop_map(|(p, s)| Op::Fill(p, s)),
        1 => (process(), 0..4usize).prop_map(|(p, page)| Op::WriteShared(p, page)),
        4 => process().prop_map(Op::Fork),
        2 => process().prop_map(Op::Exit),
    ]
}

#[test]
fn random_sequences_agree_with_the_naive_implementation() {
    let cases = std::env::var("PLEAT_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let mm = sized(2048);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(op(), 1..24), |ops| {
        run(&mm, ops);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
