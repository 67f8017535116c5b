//! What a TLBI invalidates, decoded from its operand alone. Arm ARM DDI 0487, C5.5.

use core::fmt;

use crate::event::{Tlbi, TlbiOp};
use crate::geometry::Granule;

/// What a TLBI is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The ASID; `None` for all. Operations by address reach global entries whatever the ASID.
    pub asid: Option<u16>,
    /// Addresses from the first, in bytes, to before the second; `None` for all.
    pub range: Option<(u64, u64)>,
    /// Only entries of this level need be invalidated.
    pub level: Option<u8>,
    /// Only entries of the last level of a walk, no walk caches.
    pub leaf_only: bool,
    /// Whether the granule it names, if it names one, is the one in use. If not, it need not invalidate
    /// anything.
    pub granule_ok: bool,
}

/// The granule that `tlbi` itself names, 4 KiB if it names none: for telling what it is about.
pub fn named_granule(tlbi: &Tlbi) -> Granule {
    let by_address = tlbi.op < TlbiOp::Aside1;
    match tlbi.operand >> 46 & 3 {
        2 if by_address => Granule::K16,
        3 if by_address => Granule::K64,
        _ => Granule::K4,
    }
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            Some((start, end)) => write!(f, "va {start:#x}..{end:#x}")?,
            None => f.write_str("all addresses")?,
        }
        match self.asid {
            Some(asid) => write!(f, ", asid {asid}")?,
            None => f.write_str(", all asids")?,
        }
        if self.leaf_only {
            f.write_str(", last level")?;
        }
        if let Some(level) = self.level {
            write!(f, ", level {level} only")?;
        }
        if !self.granule_ok {
            f.write_str(", another granule")?;
        }
        Ok(())
    }
}

/// Decodes `tlbi` on a CPU that translates with `granule`.
pub fn decode(tlbi: &Tlbi, granule: Granule) -> Decoded {
    let all = Decoded { asid: None, range: None, level: None, leaf_only: false, granule_ok: true };
    let asid = Some((tlbi.operand >> 48) as u16);
    match tlbi.op {
        TlbiOp::Vmalle1 => all,
        TlbiOp::Aside1 => Decoded { asid, ..all },
        TlbiOp::Vae1 => Decoded { asid, ..page(tlbi.operand, granule) },
        TlbiOp::Vale1 => Decoded { asid, leaf_only: true, ..page(tlbi.operand, granule) },
        TlbiOp::Vaae1 => page(tlbi.operand, granule),
        TlbiOp::Vaale1 => Decoded { leaf_only: true, ..page(tlbi.operand, granule) },
        TlbiOp::Rvae1 => Decoded { asid, ..range(tlbi.operand, granule) },
        TlbiOp::Rvale1 => Decoded { asid, leaf_only: true, ..range(tlbi.operand, granule) },
        TlbiOp::Rvaae1 => range(tlbi.operand, granule),
        TlbiOp::Rvaale1 => Decoded { leaf_only: true, ..range(tlbi.operand, granule) },
    }
}

/// VA\[55:12\] in \[43:0\], TTL in \[47:44\]: granule in its upper half, 0 for "no hint", level in its lower.
fn page(operand: u64, granule: Granule) -> Decoded {
    let address = ((operand << 20) as i64 >> 8) as u64;
    let start = address & !(granule.page_size() - 1);
    let (tg, level) = (operand >> 46 & 3, (operand >> 44 & 3) as u8);
    // Level 0 is reserved in hints without LPA2 and means none; with 16 KiB so does level 1.
    let reserved = level == 0 || (tg == Granule::K16.tg() && level == 1);
    let hint = tg != 0 && !reserved;
    Decoded {
        asid: None,
        range: Some((start, start.wrapping_add(granule.page_size()))),
        level: hint.then_some(level),
        leaf_only: false,
        granule_ok: !hint || tg == granule.tg(),
    }
}

/// TG\[47:46\] SCALE\[45:44\] NUM\[43:39\] TTL\[38:37\] BaseADDR\[36:0\]: (NUM + 1) * 2^(5 * SCALE + 1)
/// pages.
fn range(operand: u64, granule: Granule) -> Decoded {
    let tg = operand >> 46 & 3;
    let shift = granule.page_shift();
    let base = ((operand << 27) as i64 >> 27 << shift) as u64;
    let pages = ((operand >> 39 & 31) + 1) << (5 * (operand >> 44 & 3) + 1);
    let level = (operand >> 37 & 3) as u8;
    Decoded {
        asid: None,
        range: Some((base, base.wrapping_add(pages << shift))),
        level: (level != 0).then_some(level),
        leaf_only: false,
        granule_ok: tg == granule.tg(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlbi(op: TlbiOp, operand: u64) -> Decoded {
        decode(&Tlbi { op, broadcast: true, operand }, Granule::K4)
    }

    #[test]
    fn a_page_of_either_half_is_found() {
        let user = tlbi(TlbiOp::Vale1, 7 << 48 | 0x12345);
        assert_eq!((user.asid, user.range), (Some(7), Some((0x1234_5000, 0x1234_6000))));
        assert!(user.leaf_only && user.level.is_none() && user.granule_ok);
        let kernel = tlbi(TlbiOp::Vaae1, 0x0ff8_0000_0123);
        assert_eq!(kernel.range, Some((0xffff_8000_0012_3000, 0xffff_8000_0012_4000)));
        assert!(kernel.asid.is_none() && !kernel.leaf_only);
    }

    #[test]
    fn hints_are_level_and_granule() {
        assert_eq!(tlbi(TlbiOp::Vae1, 0b0111 << 44).level, Some(3));
        assert_eq!(tlbi(TlbiOp::Vae1, 0b0100 << 44).level, None);
        let other = tlbi(TlbiOp::Vae1, 0b1011 << 44);
        assert!(!other.granule_ok);
        assert_eq!(tlbi(TlbiOp::Rvae1, 1 << 46 | 2 << 37).level, Some(2));
        assert!(!tlbi(TlbiOp::Rvae1, 2 << 46).granule_ok);
    }

    #[test]
    fn ranges_cover_what_their_fields_say() {
        let op = tlbi(TlbiOp::Rvale1, 5 << 48 | 1 << 46 | 1 << 44 | 2 << 39 | 0x100);
        assert_eq!(op.range, Some((0x10_0000, 0x10_0000 + 3 * 64 * 0x1000)));
        let kernel = tlbi(TlbiOp::Rvae1, 1 << 46 | ((1 << 37) - 1));
        assert_eq!(kernel.range.unwrap().0, 0xffff_ffff_ffff_f000);
        let k64 = decode(&Tlbi { op: TlbiOp::Rvae1, broadcast: true, operand: 3 << 46 | 1 }, Granule::K64);
        assert_eq!(k64.range, Some((0x1_0000, 0x3_0000)));
    }
}
