//! The console's UART: a PL011. Output is polled.

use core::ptr::NonNull;

use arm_pl011_uart::{DataBits, Interrupts, LineConfig, PL011Registers, Parity, StopBits, UniqueMmioPointer};

use crate::arch::map_device;
use crate::devicetree;
use crate::errno::{Errno, Result};

/// A UART in operation.
pub struct Uart {
    device: arm_pl011_uart::Uart<'static>,
}

impl Uart {
    /// Maps and switches on the UART that the device tree describes. Called once for each.
    ///
    /// # Errors
    /// `ENOMEM` or `EINVAL` when its registers cannot be mapped.
    pub fn new(description: &devicetree::Uart) -> Result<Uart> {
        let bytes = size_of::<PL011Registers>() as u64;
        if description.registers.end - description.registers.start < bytes {
            return Err(Errno::EINVAL);
        }
        let registers = map_device(description.registers.start, bytes)?;
        let registers = NonNull::new(registers.cast::<PL011Registers>()).ok_or(Errno::EINVAL)?;
        // SAFETY: freshly mapped device registers, of the type the device tree says, used by this value alone.
        let mut device = arm_pl011_uart::Uart::new(unsafe { UniqueMmioPointer::new(registers) });
        let line = LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };
        if let Some(clock_hz) = description.clock_hz {
            // A rate that the clock cannot be divided down to leaves the line as firmware set it.
            let _ = device.enable(line, description.baud, clock_hz);
        }
        // What was typed so far went with the FIFO that was just switched on, and QEMU holds back what follows until the
        // data register, the first, is read; it may be read at any time.
        // SAFETY: as above; the register is 32 bits wide, and `device` does nothing meanwhile.
        let _ = unsafe { registers.cast::<u32>().read_volatile() };
        Ok(Uart { device })
    }

    /// Has the UART interrupt when bytes come in from here on. What is there already does not: it is to be read first.
    pub fn listen(&mut self) {
        // A request may be left of bytes that are gone; nothing that is read would end it.
        self.device.clear_interrupts(Interrupts::RXI | Interrupts::RTI);
        self.device.set_interrupt_masks(Interrupts::RXI | Interrupts::RTI);
    }

    /// Sends bytes, waiting for room.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.device.is_tx_fifo_full() {
                core::hint::spin_loop();
            }
            self.device.write_word(byte);
        }
    }

    /// A byte that has come in; bytes with line errors are dropped.
    pub fn read(&mut self) -> Option<u8> {
        loop {
            match self.device.read_word() {
                Ok(byte) => return byte,
                Err(_) => continue,
            }
        }
    }
}
