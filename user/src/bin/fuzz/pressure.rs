//! Memory pressure: much of what is free, touched at once, and given back after a while.

use user::counters::field;
use user::rt::touch;
use user::sys::file;
use user::sys::memory::{self, PRIVATE, READ_WRITE, SHARED, page_size};

use crate::random::Random;

/// The most bytes: more would take too much of the time.
const MOST: u64 = 96 << 20;

/// Takes memory, up to a bit more than there is, and gives it back.
pub fn squeeze(random: &mut Random) {
    let mut buffer = [0; 4096];
    let Ok(text) = file::read_file(c"/proc/meminfo", &mut buffer) else { return };
    let free = field(text, "MemFree").unwrap_or(0) << 10;
    let wanted = (random.below(free + free / 8 + 1)).min(MOST) as usize;
    let sharing = random.pick(&[PRIVATE, PRIVATE, SHARED]);
    let Ok(base) = memory::map(wanted.max(page_size()), READ_WRITE, sharing) else { return };
    for at in (0..wanted).step_by(page_size()) {
        // SAFETY: memory that nothing else uses; a fault is skipped, or ends the process.
        unsafe { touch::store(base + at, at) };
    }
    if !random.one_in(4) {
        // SAFETY: as above.
        let _ = unsafe { memory::unmap(base, wanted.max(page_size())) };
    }
}
