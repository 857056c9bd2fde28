//! What all schemes have in common: the table of §7, and units side by side.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::{Units, Width};

use super::walk::table;
use crate::units::most;

#[test]
fn the_specifications_table_of_schemes_is_what_the_code_does() {
    let rows = table("7-schemes/README.md", "| code | name | family |");
    assert_eq!(rows.len(), Scheme::ALL.len());
    for (scheme, row) in Scheme::ALL.into_iter().zip(rows) {
        let rules = scheme.rules().unwrap();
        assert_eq!(row[0], scheme.0.to_string());
        assert_eq!(row[1], format!("`{scheme}`"));
        assert_eq!(row[2], format!("`{}`", rules.family()));
        let width = match rules.width() {
            Width::Fixed(width) => width.to_string(),
            Width::Listed { min, max } => format!("{min}..{max}"),
        };
        assert_eq!(row[3].rsplit(' ').next().unwrap(), width, "{scheme}");
        let unit = most(scheme);
        let count = rules.check(&unit).unwrap().identifiers;
        assert_eq!(row[5], count.to_string(), "{scheme}");
        assert_eq!(row[6] == "yes", rules.timed(), "{scheme}");
        assert_eq!(row[7] == "never", rules.always_sealed(), "{scheme}");
        let units = Units::of(rules.width(), [unit.as_slice()]);
        rules.expand(&units, &mut |_, identifier, span| {
            assert_eq!(row[4], format!("{} bytes", identifier.len()), "{scheme}");
            assert_eq!(span.is_some(), rules.timed(), "{scheme}");
        });
    }
}

#[test]
fn units_are_cut_as_they_were_put_together() {
    let listed = Width::Listed { min: 1, max: 3 };
    let some: [&[u8]; 4] = [b"a", b"bcd", b"", b"toolong"];
    let units = Units::of(listed, some);
    assert_eq!(units.len(), 2, "those of another width are left out");
    assert_eq!(units.iter().collect::<Vec<_>>(), [&b"a"[..], b"bcd"]);
    assert_eq!((units.get(1), units.get(2)), (Some(&b"bcd"[..]), None));
    let fixed = Units::concatenated(2, b"aabbcc".to_vec()).unwrap();
    assert_eq!(fixed.iter().collect::<Vec<_>>(), [b"aa", b"bb", b"cc"]);
    assert_eq!((fixed.get(3), fixed.get(usize::MAX)), (None, None));
    assert_eq!(Units::concatenated(2, b"aab".to_vec()), None);
    assert_eq!(Units::concatenated(0, Vec::new()), None);
    assert!(Units::new(listed).is_empty() && Units::new(Width::Fixed(2)).is_empty());
}
