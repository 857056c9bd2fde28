//! A code as a QR code in SVG: dark on light in any colour scheme, with its quiet zone.
//! Source: spec §10.8.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the symbol, as ISO/IEC 18004 wants them.
const QUIET: i32 = 4;

/// The QR code of a text, which holds exactly its bytes. `title` is what a screen reader says, and
/// must not need escaping. None if the text has more bytes than a QR code takes: no code has.
pub(super) fn svg(text: &str, title: &str) -> Option<String> {
    let symbol = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = symbol.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..symbol.size() {
        for x in (0..symbol.size()).filter(|x| symbol.get_module(*x, y)) {
            write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET).ok()?;
        }
    }
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0,0h{side}v{side}h-{side}z\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it says is read back by `tests/browser`; here is that it is drawn, and how large.
    #[test]
    fn a_code_is_drawn_with_its_quiet_zone() {
        let svg = svg("1234-5678-9012-3456", "a title").unwrap();
        assert!(svg.contains("viewBox=\"0 0 29 29\""), "version 1: {svg}");
        assert!(svg.contains("aria-label=\"a title\""));
        let modules = svg.split("fill=\"#000\" d=\"").nth(1).unwrap();
        let at = modules.split('M').skip(1);
        let at = at.map(|module| module.split_once('h').unwrap().0.split_once(',').unwrap());
        let at: Vec<(u32, u32)> = at
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert!(
            at.iter()
                .all(|(x, y)| (4..25).contains(x) && (4..25).contains(y))
        );
        // The corners of the three finder patterns, and where there is none.
        for corner in [(4, 4), (24, 4), (4, 24)] {
            assert!(at.contains(&corner), "{corner:?}");
        }
        assert!((150..290).contains(&at.len()), "{}", at.len());
        assert_ne!(svg, super::svg("1234-5678-9012-3457", "a title").unwrap());
    }

    #[test]
    fn the_longest_code_fits() {
        assert!(svg(&"é".repeat(32), "").is_some());
        assert!(svg(&"é".repeat(5000), "").is_none());
    }
}
