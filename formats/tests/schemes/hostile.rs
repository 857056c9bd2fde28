//! Units of every scheme, made by nobody who means well.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::{Units, Width, dp3t, fanny, gaen, tcn};

use crate::walk::table;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 255).unwrap()
    }
}

fn good(scheme: Scheme) -> Vec<u8> {
    match scheme {
        Scheme::CX1 => vec![7; 24],
        Scheme::CX2 => vec![7; 48],
        Scheme::TCN => tcn::report(&[7; 32], &[8; 32], (3, 26), 0, b"memo").unwrap(),
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&[7; 32], 20_000, 2),
        Scheme::DP3T_UNLINKABLE => dp3t::unlinkable_unit(1_920_000, &[7; 32]),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&[7; 16], 1_920_000, 16),
        Scheme::GAEN => gaen::Key {
            tek: [7; 16],
            rolling_start: 2_880_000,
            rolling_period: 144,
            transmission_risk: 0,
            days_since_onset: None,
        }
        .encode(),
        Scheme::FANNY => fanny::unit(&[7; 32], 20_010, &[8; 16]),
        other => panic!("{other}"),
    }
}

#[test]
fn whatever_stands_in_a_unit_its_work_is_bounded() {
    let mut random = Random(20);
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        let (mut refused, mut taken) = (0, 0);
        for round in 0..400 {
            let mut unit = good(scheme);
            for _ in 0..random.next() % 4 {
                let at = usize::try_from(random.next()).unwrap() % unit.len();
                unit[at] = random.byte();
            }
            match random.next() % 8 {
                0 => unit.truncate(usize::try_from(random.next()).unwrap() % 60),
                1 => unit.push(random.byte()),
                2 => unit.fill_with(|| random.byte()),
                _ => {}
            }
            let checked = rules.check(&unit);
            assert!(rules.check_at(&unit, random.next() << 10).is_ok() <= checked.is_ok());
            let units = Units::of(rules.width(), [unit.as_slice()]);
            let mut count = 0_u32;
            // CX is slow where nothing is optimised, and always the same.
            if rules.family().name() != "cx" || round < 4 {
                rules.expand(&units, &mut |_, _, _| count += 1);
                assert!(count <= 4096, "{scheme}: {count}");
                if let Ok(facts) = checked {
                    assert_eq!(count, facts.identifiers, "{scheme}");
                }
            }
            match checked {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
            if let Some(dummy) = rules.dummy(&unit, &mut |bytes| bytes.fill_with(|| random.byte()))
            {
                assert!(rules.width().takes(dummy.len()), "{scheme}");
            }
        }
        assert!(
            taken > 20 && refused > 20,
            "{scheme}: {taken} taken, {refused} refused"
        );
    }
}

#[test]
fn dummies_are_units_like_the_one_they_hide() {
    let mut random = Random(21);
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        let like = good(scheme);
        let Some(dummy) = rules.dummy(&like, &mut |bytes| bytes.fill_with(|| random.byte())) else {
            assert!(rules.always_sealed(), "{scheme}");
            continue;
        };
        assert_ne!(dummy, like);
        assert_eq!(dummy.len(), like.len(), "{scheme}");
        assert_eq!(rules.check(&dummy), rules.check(&like), "{scheme}");
        assert_ne!(
            rules.key_material(&dummy),
            rules.key_material(&like),
            "{scheme}"
        );
        assert_eq!(
            rules.dummy(&[], &mut |_| {}).is_some(),
            rules.family().name() == "cx"
        );
    }
}

/// The unit of a scheme that stands for the most identifiers.
fn most(scheme: Scheme) -> Vec<u8> {
    match scheme {
        Scheme::TCN => tcn::report(&[7; 32], &[8; 32], (1, 4096), 0, b"").unwrap(),
        Scheme::DP3T_LOWCOST => dp3t::lowcost_unit(&[7; 32], 20_000, dp3t::MAX_DAYS),
        Scheme::DP3T_HYBRID => dp3t::hybrid_unit(&[7; 16], 1_920_000, dp3t::EPOCHS),
        other => good(other),
    }
}

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
