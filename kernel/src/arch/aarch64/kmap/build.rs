//! Building the kernel's map at boot.

use core::ops::Range;

use paging::{PAGE_SIZE, PhysAddr};

use super::super::layout::{IMAGE_BASE, LINEAR_BASE, LINEAR_BYTES};
use super::image::Image;
use super::{Kind, MAP, Map, switch, tables};
use crate::devicetree::{Platform, Ranges};
use crate::errno::{Errno, Result};

/// Builds the kernel's map of `image` and the RAM of `platform`, and switches to it. The entry code's windows (the
/// device tree's among them) are gone afterwards; the device tree is in the linear map.
///
/// # Errors
/// `ENOMEM` when the pool of tables does not do for this RAM, `EINVAL` when the image is not in it.
///
/// # Safety
/// Called once, on the boot CPU, on the boot stack, with the entry code's tables in place; no reference into the
/// device tree window is used afterwards.
pub unsafe fn init(image: Image, platform: &Platform<'_>) -> Result<()> {
    tables::init(image.pa);
    let mut map = MAP.lock();
    map.root = tables::allocate(&mut || None).ok_or(Errno::ENOMEM)?;
    map_image(&map, image)?;
    map_ram(&map, image, platform)?;
    // SAFETY: the image with the boot stack is mapped where it was; the rest is the caller's promise.
    unsafe { switch::switch_to(map.root) };
    Ok(())
}

fn map_image(map: &Map, image: Image) -> Result<()> {
    let part = |offsets: Range<u64>, kind| {
        let va = IMAGE_BASE + offsets.start as usize;
        let bytes = offsets.end.saturating_sub(offsets.start);
        map.map(va, image.pa + offsets.start, bytes, kind, &mut || None)
    };
    part(Image::text(), Kind::Text)?;
    part(Image::rodata(), Kind::ReadOnly)?;
    part(Image::data(), Kind::Data)?;
    part(Image::boot_stack(), Kind::Data)?;
    part(image.appendix(), Kind::ReadOnly)
}

/// The linear map: all of RAM that may be mapped, the image's text and constants read-only.
fn map_ram(map: &Map, image: Image, platform: &Platform<'_>) -> Result<()> {
    let constant = image.pa + Image::text().start..image.pa + Image::rodata().end;
    let mut ram = platform.memory.clone();
    for range in platform.no_map.iter() {
        ram.remove(range);
    }
    ram.remove(LINEAR_BYTES..u64::MAX);
    ram.shrink_to_pages(PAGE_SIZE);
    let whole = image.physical();
    if !ram.iter().any(|bank| bank.start <= whole.start && whole.end <= bank.end) {
        return Err(Errno::EINVAL);
    }
    ram.remove(constant.clone());
    map_linear(map, &ram, Kind::Data)?;
    let mut text = Ranges::new();
    text.insert(constant);
    map_linear(map, &text, Kind::ReadOnly)
}

fn map_linear(map: &Map, ranges: &Ranges, kind: Kind) -> Result<()> {
    for range in ranges.iter() {
        let va = LINEAR_BASE + range.start as usize;
        map.map(va, PhysAddr::new(range.start).get(), range.end - range.start, kind, &mut || None)?;
    }
    Ok(())
}
