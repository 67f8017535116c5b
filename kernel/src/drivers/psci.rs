//! PSCI, the firmware's power interface. Arm DEN 0022.

use smccc::{Hvc, Smc, psci};
use spin::Once;

use crate::devicetree::Conduit;

static CONDUIT: Once<Conduit> = Once::new();

/// Remembers how firmware is called.
pub fn init(conduit: Option<Conduit>) {
    if let Some(conduit) = conduit {
        CONDUIT.call_once(|| conduit);
    }
}

/// Powers the machine off. Returns if there is no PSCI, or it refuses.
pub fn system_off() {
    let refused = match CONDUIT.get() {
        Some(Conduit::Hvc) => psci::system_off::<Hvc>(),
        Some(Conduit::Smc) => psci::system_off::<Smc>(),
        None => return,
    };
    if let Err(error) = refused {
        log::error!("PSCI SYSTEM_OFF: {error}");
    }
}
