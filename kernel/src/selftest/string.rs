//! What compiled code calls to move and compare memory: `arch/aarch64/string.s` for all small sizes and misalignments.

use core::hint::black_box;

use super::harness::{Test, TestResult, test};

pub(super) const TESTS: &[Test] = &[
    test("string.copies_exactly_what_it_is_told", copies),
    test("string.moves_within_overlapping_memory", moves),
    test("string.sets_exactly_what_it_is_told", sets),
    test("string.compares_by_the_first_difference", compares),
];

unsafe extern "C" {
    fn memcpy(dst: *mut u8, src: *const u8, bytes: usize) -> *mut u8;
    fn memmove(dst: *mut u8, src: *const u8, bytes: usize) -> *mut u8;
    fn memset(dst: *mut u8, byte: i32, bytes: usize) -> *mut u8;
    fn memcmp(a: *const u8, b: *const u8, bytes: usize) -> i32;
    fn bcmp(a: *const u8, b: *const u8, bytes: usize) -> i32;
}

/// Bytes of the memory that the tests work on.
const ROOM: usize = 256;
/// Every path through the loops and their ends, and a few rounds.
const SIZES: core::ops::Range<usize> = 0..201;
/// Where in a 16-byte block things start.
const OFFSETS: [usize; 3] = [0, 1, 8];

type Room = [u8; ROOM];

/// Bytes that all differ from their neighbours.
fn pattern(seed: u8) -> Room {
    core::array::from_fn(|index| (index as u8).wrapping_mul(37).wrapping_add(seed))
}

/// Whether each byte of `room` is what `expected` says for its index. By bytes: no function under test is called.
fn is(room: &Room, expected: impl Fn(usize) -> u8) -> bool {
    black_box(room).iter().enumerate().all(|(index, byte)| *byte == expected(index))
}

fn all_cases(mut case: impl FnMut(usize, usize, usize) -> bool) -> bool {
    SIZES.into_iter().all(|bytes| OFFSETS.iter().all(|a| OFFSETS.iter().all(|b| case(bytes, *a, *b))))
}

fn copies() -> TestResult {
    let source = pattern(1);
    check!(all_cases(|bytes, from, to| {
        let mut room = [0xee; ROOM];
        // SAFETY: both ranges are within their arrays: the greatest offset and size are below 256 together.
        let result = unsafe { memcpy(room.as_mut_ptr().add(to), source.as_ptr().add(from), bytes) };
        let inside = |index| (to..to + bytes).contains(&index);
        result == room[to..].as_mut_ptr()
            && is(&room, |index| if inside(index) { source[index - to + from] } else { 0xee })
    }));
    Ok(())
}

fn moves() -> TestResult {
    let before = pattern(2);
    // By less than a register, by a register, by less and by more than a round of the loop; both ways.
    for distance in [0, 1, 7, 16, 40, 63] {
        for (from, to) in [(0, distance), (distance, 0)] {
            check!(SIZES.take(190).all(|bytes| {
                let mut room = before;
                let at = room.as_mut_ptr();
                // SAFETY: both ranges are within the array, as 190 and 63 are below 256 together.
                unsafe { memmove(at.add(to), at.add(from), bytes) };
                let inside = |index| (to..to + bytes).contains(&index);
                is(&room, |index| before[if inside(index) { index - to + from } else { index }])
            }));
        }
    }
    Ok(())
}

fn sets() -> TestResult {
    check!(all_cases(|bytes, to, _| {
        let mut room = pattern(3);
        let before = room;
        // SAFETY: within the array, as in `copies`. The function looks at the low byte only.
        let result = unsafe { memset(room.as_mut_ptr().add(to), 0x1a5, bytes) };
        let inside = |index| (to..to + bytes).contains(&index);
        result == room[to..].as_mut_ptr() && is(&room, |i| if inside(i) { 0xa5 } else { before[i] })
    }));
    Ok(())
}

fn compares() -> TestResult {
    let a = pattern(4);
    check!(all_cases(|bytes, at, _| {
        let mut b = a;
        let compare = |b: &Room| {
            // SAFETY: within the arrays, as in `copies`.
            unsafe {
                let (a, b) = (a.as_ptr().add(at), b.as_ptr().add(at));
                (memcmp(a, b, bytes).signum(), bcmp(a, b, bytes) != 0)
            }
        };
        let equal = compare(&b) == (0, false);
        b[at + bytes] ^= 0x80; // just behind
        let behind = compare(&b) == (0, false);
        // A difference at each place; later ones, which point the other way, must not count.
        let differing = (0..bytes).step_by(3).all(|place| {
            let mut b = a;
            let (place, last) = (at + place, at + bytes - 1);
            b[last] = !a[last];
            b[place] = a[place] ^ 0x80;
            compare(&b) == (if a[place] < b[place] { -1 } else { 1 }, true)
        });
        equal && behind && differing
    }));
    Ok(())
}
