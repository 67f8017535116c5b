//! The interrupt controller: GICv2 or GICv3, whichever the device tree describes.
//!
//! Interrupts are private to a CPU or go to the boot CPU; all have one priority, so none preempts another.

use core::ptr::NonNull;

use arm_gic::gicv2::GicV2;
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicV3, Group};
use arm_gic::{IntId, InterruptGroup, Trigger, UniqueMmioPointer};
use spin::{Mutex, Once};

use crate::arch::{cpu, map_device};
use crate::devicetree::{Gic, Interrupt};
use crate::errno::{Errno, Result};

/// The priority of every interrupt: in the middle of what the non-secure state has.
const PRIORITY: u8 = 0xa0;
/// The priority mask that lets all of them through.
const ALL_PRIORITIES: u8 = 0xff;
/// The first INTID that is not an interrupt but an answer (1020 to 1023).
const FIRST_SPECIAL: u32 = 1020;
/// Bytes from one redistributor to the next: two frames of 64 KiB. GICv4's have four, which `arm-gic` finds out.
const REDISTRIBUTOR_BYTES: u64 = 0x2_0000;

enum Controller {
    /// All registers are in memory; the lock is held for single accesses.
    V2(Mutex<GicV2<'static>>),
    /// Acknowledging uses system registers; the lock is for the rest. With it, this CPU's redistributor (0-based).
    V3(Mutex<GicV3<'static>>, usize),
}

static CONTROLLER: Once<Controller> = Once::new();

/// Starts the controller for the boot CPU, with all interrupts disabled. `cpus` is the number of CPUs in the tree.
///
/// # Errors
/// `ENOMEM` or `EINVAL` when its registers cannot be mapped, `ENODEV` when no redistributor is this CPU's.
pub fn init(gic: &Gic, cpus: usize) -> Result<()> {
    let controller = match gic {
        Gic::V2 { distributor, cpu_interface } => {
            let gicd = map_device(distributor.start, distributor.end - distributor.start)?;
            let gicc = map_device(cpu_interface.start, cpu_interface.end - cpu_interface.start)?;
            // SAFETY: freshly mapped register blocks of the types the device tree says, used by this value alone.
            let mut gic = unsafe { GicV2::new(gicd.cast(), gicc.cast()) };
            gic.enable_all_interrupts(false);
            gic.setup();
            gic.set_priority_mask(ALL_PRIORITIES);
            Controller::V2(Mutex::new(gic))
        }
        Gic::V3 { distributor, redistributors } => {
            let gicd = map_device(distributor.start, distributor.end - distributor.start)?;
            let gicd = NonNull::new(gicd.cast::<Gicd>()).ok_or(Errno::EINVAL)?;
            let region = redistributors.end - redistributors.start;
            let count = cpus.min((region / REDISTRIBUTOR_BYTES) as usize);
            let gicr = map_device(redistributors.start, region)?;
            let gicr = NonNull::new(gicr.cast::<GicrSgi>()).ok_or(Errno::EINVAL)?;
            // SAFETY: as above; the whole region of redistributors is mapped.
            let gic = unsafe { GicV3::new(UniqueMmioPointer::new(gicd), gicr, count) };
            let mut gic = gic.map_err(|_| Errno::EINVAL)?;
            let own = |&index: &usize| gic.gicr_typer(index).is_ok_and(|t| t.core_mpidr() == cpu::affinity());
            let index = (0..count).find(own).ok_or(Errno::ENODEV)?;
            gic.setup(index);
            GicCpuInterface::set_priority_mask(ALL_PRIORITIES);
            Controller::V3(Mutex::new(gic), index)
        }
    };
    CONTROLLER.call_once(|| controller);
    Ok(())
}

/// Lets an interrupt through to this CPU.
///
/// # Errors
/// `ENODEV` without a controller, `EINVAL` when it has no such interrupt.
pub fn enable(interrupt: Interrupt) -> Result<()> {
    let id = IntId::try_from(interrupt.id).map_err(|_| Errno::EINVAL)?;
    let trigger = if interrupt.edge { Trigger::Edge } else { Trigger::Level };
    match CONTROLLER.get().ok_or(Errno::ENODEV)? {
        Controller::V2(gic) => {
            let mut gic = gic.lock();
            gic.set_interrupt_priority(id, PRIORITY);
            gic.set_trigger(id, trigger);
            gic.enable_interrupt(id, true).map_err(|_| Errno::EINVAL)
        }
        Controller::V3(gic, index) => {
            let (mut gic, cpu) = (gic.lock(), Some(*index));
            gic.set_interrupt_priority(id, cpu, PRIORITY)
                .and_then(|()| gic.set_group(id, cpu, Group::Group1NS))
                .and_then(|()| gic.set_trigger(id, cpu, trigger))
                .and_then(|()| gic.enable_interrupt(id, cpu, true))
                .map_err(|_| Errno::EINVAL)
        }
    }
}

/// Stops an interrupt from coming through.
pub fn disable(id: u32) {
    let Ok(id) = IntId::try_from(id) else { return };
    // The controller has the interrupt, since it came; nothing else can be wrong.
    let _ = match CONTROLLER.get() {
        Some(Controller::V2(gic)) => gic.lock().enable_interrupt(id, false).is_ok(),
        Some(Controller::V3(gic, index)) => gic.lock().enable_interrupt(id, Some(*index), false).is_ok(),
        None => false,
    };
}

/// Takes the interrupt that is signalled to this CPU and returns its INTID; [`end`] must follow. `None` if it has
/// gone away.
#[inline]
pub fn acknowledge() -> Option<u32> {
    let id = match CONTROLLER.get()? {
        // Without the Security Extensions our interrupts are in group 0; with them, this register shows the
        // non-secure state group 1. Either way it is GICC_IAR.
        Controller::V2(gic) => gic.lock().get_and_acknowledge_interrupt(InterruptGroup::Group0),
        Controller::V3(..) => GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1),
    };
    id.map(IntId::raw_value).filter(|&id| id < FIRST_SPECIAL)
}

/// Ends the interrupt that [`acknowledge`] returned: the next one may be signalled.
#[inline]
pub fn end(id: u32) {
    let Ok(intid) = IntId::try_from(id) else { return };
    match CONTROLLER.get() {
        Some(Controller::V2(gic)) => gic.lock().end_interrupt(intid, InterruptGroup::Group0),
        Some(Controller::V3(..)) => GicCpuInterface::end_interrupt(intid, InterruptGroup::Group1),
        None => {}
    }
}
