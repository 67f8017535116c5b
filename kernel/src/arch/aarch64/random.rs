//! Random bytes: from the CPU where it has FEAT_RNG, else from a generator seeded with what the boot loader gave and
//! the counter. The latter is for stack addresses and the like, not for secrets.

use aarch64_cpu::asm::random::ArmRng;
use aarch64_cpu::registers::{CNTVCT_EL0, Readable};
use spin::Mutex;

/// State of SplitMix64. Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014.
static STATE: Mutex<u64> = Mutex::new(0);

/// How often RNDR is tried before it counts as failed. Arm ARM: it may fail transiently.
const TRIES: usize = 16;

/// Seeds the generator with `seed` (the device tree's rng-seed, perhaps empty) and the counter.
pub fn init(seed: &[u8]) {
    let mut state = STATE.lock();
    *state = CNTVCT_EL0.get();
    for &byte in seed {
        *state = (*state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
}

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) {
    let rng = ArmRng::new();
    for chunk in bytes.chunks_mut(8) {
        let from_cpu = rng.and_then(|rng| (0..TRIES).find_map(|_| rng.rndr()));
        let word = from_cpu.unwrap_or_else(next);
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
}

fn next() -> u64 {
    let mut state = STATE.lock();
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
