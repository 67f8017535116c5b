//! How many events there were, by kind, for the summary.

use std::fmt;

use model::Action;

/// Counts by kind, in the order of `NAMES`.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    by_kind: [u64; NAMES.len()],
}

/// The kinds, in the order of the summary.
const NAMES: [&str; 10] = [
    "stores to tables",
    "walker's updates",
    "DSBs",
    "ISBs",
    "TLBIs by address",
    "TLBIs by range",
    "TLBIs by ASID",
    "TLBIs of everything",
    "TTBR, TCR and SCTLR writes",
    "returns to EL0",
];

fn kind(action: &Action) -> Option<usize> {
    use model::event::TlbiOp;
    Some(match action {
        Action::Store { .. } => 0,
        Action::HwUpdate { .. } => 1,
        Action::Dsb { .. } => 2,
        Action::Isb => 3,
        Action::Tlbi(tlbi) => match tlbi.op {
            TlbiOp::Vae1 | TlbiOp::Vale1 | TlbiOp::Vaae1 | TlbiOp::Vaale1 => 4,
            TlbiOp::Rvae1 | TlbiOp::Rvale1 | TlbiOp::Rvaae1 | TlbiOp::Rvaale1 => 5,
            TlbiOp::Aside1 => 6,
            TlbiOp::Vmalle1 => 7,
        },
        Action::WriteTtbr0(_) | Action::WriteTtbr1(_) | Action::WriteTcr(_) | Action::SetMmu(_) => 8,
        Action::ReturnToUser => 9,
        // Only a kernel that cooperates has these.
        _ => return None,
    })
}

impl Counts {
    /// Takes note of an event.
    pub fn add(&mut self, action: &Action) {
        if let Some(kind) = kind(action) {
            self.by_kind[kind] += 1;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, count) in NAMES.iter().zip(self.by_kind) {
            write!(f, "{separator}{count} {name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let mut counts = Counts::default();
        counts.add(&Action::Isb);
        counts.add(&Action::Isb);
        counts.add(&Action::SetMmu(true));
        counts.add(&Action::TableFreed { pa: 0 });
        let text = counts.to_string();
        assert!(text.starts_with("0 stores to tables, 0 walker's updates, 0 DSBs, 2 ISBs, "), "{text}");
        assert!(text.ends_with("1 TTBR, TCR and SCTLR writes, 0 returns to EL0"), "{text}");
    }
}
