//! From the entry code to `main`: one CPU, one stack, in this order, because each step needs those before it.
//!
//! 1. per-CPU data and vectors: from here a fault is reported;
//! 2. the device tree, through the window the entry code mapped;
//! 3. the kernel's own map: linear map, W^X, guards;
//! 4. console and log: from here there are messages;
//! 5. heap, interrupt controller, timer.

use core::ops::Range;

use paging::PAGE_SIZE;
use spin::Once;

use crate::arch::kmap::{self, Image};
use crate::arch::time::TimerError;
use crate::arch::{self, cpu, features, layout, random, time};
use crate::cmdline::CommandLine;
use crate::devicetree::{self, Interrupt, Platform, Ranges};
use crate::drivers::uart::Uart;
use crate::drivers::{gic, psci};
use crate::{console, heap, panic, println};

/// Bytes of RAM that the heap starts with. They are taken before `mm` exists, which the heap lives longer than.
const FIRST_HEAP_BYTES: usize = 256 << 10;

/// What the entry code in `boot` found out. It stores the fields by offset.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct BootInfo {
    /// Physical address of the device tree; 0 if the boot loader gave none.
    pub dtb_pa: u64,
    /// Where the entry code mapped it; 0 if there is none.
    pub dtb_va: usize,
    /// Physical address of the image.
    pub image_pa: u64,
    /// Bytes in the image, with .bss and the symbol table.
    pub image_bytes: u64,
    /// The exception level the boot loader left us at: 1 or 2.
    pub entry_el: u64,
}

/// What the rest of the kernel starts from.
pub struct BootContext {
    /// The entry code's findings.
    pub info: BootInfo,
    /// The machine.
    pub platform: Platform<'static>,
    /// The command line.
    pub cmdline: CommandLine<'static>,
    /// Free RAM in whole pages, for `mm` to take over: physical addresses, in bytes, all in the linear map.
    pub usable: Ranges,
    /// The initial RAM disk; empty if there is none.
    pub initramfs: &'static [u8],
}

static CONTEXT: Once<BootContext> = Once::new();

/// Called by the entry code with the MMU on, on the boot stack, all exceptions masked.
///
/// Each step is a function of its own that returns before the next: the boot stack is as small as any.
pub extern "C" fn start(info: &BootInfo) -> ! {
    cpu::init(0);
    let image = Image { pa: info.image_pa, bytes: info.image_bytes };
    panic::init(image.symbol_table());
    let dtb = map_kernel(info, image);
    crate::main(CONTEXT.call_once(|| bring_up(*info, image, dtb)))
}

/// Switches to the kernel's own map. Returns where the device tree is, as physical addresses.
#[inline(never)]
fn map_kernel(info: &BootInfo, image: Image) -> Range<u64> {
    let blob = device_tree_bytes(info.dtb_va);
    let dtb = info.dtb_pa..info.dtb_pa + blob.len() as u64;
    let platform = parse(blob);
    if !contains(&platform.memory, &dtb) {
        halt(format_args!("the device tree at {dtb:#x?} is not in RAM"));
    }
    // SAFETY: the first and only call, on the boot stack. The window goes away, and so does all that was read through
    // it: what this function returns is plain numbers.
    if let Err(error) = unsafe { kmap::init(image, &platform) } {
        let mib = platform.memory.bytes() >> 20;
        halt(format_args!("cannot map the kernel and {mib} MiB of RAM: {error:?}"));
    }
    dtb
}

#[inline(never)]
fn bring_up(info: BootInfo, image: Image, dtb: Range<u64>) -> BootContext {
    let platform = parse(linear(&dtb));
    psci::init(platform.psci);
    let timer = time::init(&platform.timer);
    let cmdline = CommandLine::new(platform.bootargs);
    start_console(&platform, &cmdline);
    announce(&info, &platform);
    let mut usable = platform.usable(&[image.physical(), dtb], PAGE_SIZE);
    usable.remove(layout::LINEAR_BYTES..u64::MAX);
    start_heap(&mut usable);
    random::init(platform.rng_seed);
    start_interrupts(&platform, timer);
    let initramfs = initramfs(&platform);
    BootContext { info, platform, cmdline, usable, initramfs }
}

/// The blob that the boot loader passed, through the entry code's window.
fn device_tree_bytes(va: usize) -> &'static [u8] {
    if va == 0 {
        halt(format_args!("the boot loader passed no device tree (is this an Image given to -kernel?)"));
    }
    // SAFETY: the entry code mapped 2 MiB from here, read-only, until the switch of tables.
    let header = unsafe { &*(va as *const [u8; 8]) };
    match devicetree::blob_bytes(header) {
        // SAFETY: as above, and at most 2 MiB long.
        Ok(bytes) => unsafe { core::slice::from_raw_parts(va as *const u8, bytes) },
        Err(error) => halt(format_args!("what the boot loader passed is no device tree: {error:?}")),
    }
}

fn parse(blob: &'static [u8]) -> Platform<'static> {
    match Platform::parse(blob) {
        Ok(platform) => platform,
        Err(error) => halt(format_args!("unusable device tree: {error:?}")),
    }
}

fn contains(memory: &Ranges, range: &Range<u64>) -> bool {
    memory.iter().any(|bank| bank.start <= range.start && range.end <= bank.end)
}

/// Physical memory that stays as it is while the kernel runs, by its address in the linear map. The range is in RAM.
fn linear(range: &Range<u64>) -> &'static [u8] {
    let bytes = (range.end - range.start) as usize;
    // SAFETY: RAM is mapped, and callers pass ranges that are kept out of `usable`, so nobody writes to them.
    unsafe { core::slice::from_raw_parts(kmap::phys_to_ptr(range.start), bytes) }
}

fn start_console(platform: &Platform<'_>, cmdline: &CommandLine<'_>) {
    let level = cmdline.get("pleat.loglevel");
    let known = console::init_log(level);
    match platform.uart.as_ref().map(Uart::new) {
        Some(Ok(uart)) => console::set_uart(uart),
        Some(Err(error)) => log::error!("the UART cannot be used: {error:?}"),
        None => log::error!("the device tree names no UART that we know (arm,pl011)"),
    }
    if !known {
        log::warn!("pleat.loglevel={}: unknown, taken as info", level.unwrap_or(""));
    }
}

fn announce(info: &BootInfo, platform: &Platform<'_>) {
    println!("Pleat {}, entered at EL{}", env!("CARGO_PKG_VERSION"), info.entry_el);
    log::info!("CPU {:#010x}: {}", cpu::model(), features());
    log::info!(
        "{} CPU{}, {} MiB of RAM in pages of {} KiB, image at {:#x}, device tree at {:#x}",
        platform.cpu_count,
        if platform.cpu_count == 1 { "" } else { "s" },
        platform.memory.bytes() >> 20,
        PAGE_SIZE >> 10,
        info.image_pa,
        info.dtb_pa
    );
    log::debug!("memory {:#x?}", RangeList(&platform.memory));
    log::debug!("reserved {:#x?}", RangeList(&platform.reserved));
    log::info!("command line: {}", platform.bootargs);
}

struct RangeList<'a>(&'a Ranges);

impl core::fmt::Debug for RangeList<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|range| write!(f, " {:#x}-{:#x}", range.start, range.end))
    }
}

fn start_heap(usable: &mut Ranges) {
    let Some(pa) = usable.take(FIRST_HEAP_BYTES as u64, PAGE_SIZE) else {
        halt(format_args!("no room for a heap of {FIRST_HEAP_BYTES} bytes in {} free", usable.bytes()));
    };
    // SAFETY: the only call, with RAM that was just taken out of what is free.
    if let Err(error) = unsafe { heap::init(pa, FIRST_HEAP_BYTES) } {
        halt(format_args!("cannot map the heap: {error:?}"));
    }
}

/// Without interrupts there is no preemption and no sleep, but a kernel that can still say so.
fn start_interrupts(platform: &Platform<'_>, timer: core::result::Result<Interrupt, TimerError>) {
    let Some(controller) = platform.gic.as_ref() else {
        log::error!("the device tree names no GIC: no interrupts");
        return;
    };
    if let Err(error) = gic::init(controller, platform.cpu_count) {
        log::error!("the GIC cannot be used: {error:?}");
        return;
    }
    match timer.map(|interrupt| (interrupt.id, gic::enable(interrupt))) {
        Ok((id, Ok(()))) => log::info!("timer at {} Hz, interrupt {id}", time::frequency_hz()),
        Ok((id, Err(error))) => log::error!("timer interrupt {id}: {error:?}"),
        Err(error) => log::error!("no timer: {error:?}"),
    }
    crate::tty::listen(platform.uart.as_ref().and_then(|uart| uart.interrupt));
}

fn initramfs(platform: &Platform<'_>) -> &'static [u8] {
    match &platform.initrd {
        Some(range) if contains(&platform.memory, range) => linear(range),
        Some(range) => {
            log::error!("the initrd at {range:#x?} is not in RAM");
            &[]
        }
        None => &[],
    }
}

/// Ends a boot that cannot go on, with the status of a kernel panic.
fn halt(why: core::fmt::Arguments<'_>) -> ! {
    panic::begin();
    println!("\npleat: {why}");
    arch::exit(panic::EXIT_STATUS)
}
