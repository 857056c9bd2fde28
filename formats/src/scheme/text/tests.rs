use super::*;
use crate::scheme::tcn;
use alloc::string::ToString;
use alloc::vec;

#[test]
fn dates_are_days() {
    for (date, day) in [
        ("1970-01-01", 0),
        ("1970-02-28", 58),
        ("1970-03-01", 59),
        ("2000-02-29", 11_016),
        ("2020-05-21", 18_403),
        ("2024-02-29", 19_782),
        ("2024-12-31", 20_088),
        ("2149-06-06", u16::MAX),
    ] {
        assert_eq!(day_of(date), Some(day), "{date}");
    }
    for day in 0..=u16::MAX {
        assert_eq!(day_of(&date_of(day)), Some(day));
    }
    for wrong in [
        "2023-02-29",
        "2100-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-04-31",
        "2026-01-00",
        "2026-1-01",
        "2026-01-1",
        "2026/01/01",
        "2026-01-01 ",
        "1969-12-31",
        "2149-06-07",
        "+026-01-01",
        "2026-01-01Z",
        "",
        "２０２６-01-01",
    ] {
        assert_eq!(day_of(wrong), None, "{wrong}");
    }
}

#[test]
fn units_are_read_as_they_are_written() {
    let key = gaen::Key {
        tek: [0xab; 16],
        rolling_start: 2_880_000,
        rolling_period: 60,
        transmission_risk: 3,
        days_since_onset: Some(-4),
    };
    let report = tcn::report(&[7; 32], &[8; 32], (1, 9), 2, b"memo").unwrap();
    for (scheme, unit) in [
        (Scheme::CX1, vec![1; 24]),
        (Scheme::CX2, vec![2; 48]),
        (Scheme::TCN, report.clone()),
        (
            Scheme::DP3T_LOWCOST,
            dp3t::lowcost_unit(&[3; 32], 20_000, 14),
        ),
        (
            Scheme::DP3T_HYBRID,
            dp3t::hybrid_unit(&[4; 16], 1_920_040, 8),
        ),
        (Scheme::GAEN, key.encode()),
        (
            Scheme::GAEN,
            gaen::Key {
                days_since_onset: None,
                ..key
            }
            .encode(),
        ),
        (Scheme::FANNY, [[5; 32].as_slice(), &[78, 32]].concat()),
    ] {
        let text = format(scheme, &unit).unwrap();
        assert_eq!(parse(scheme, &text), Ok(unit.clone()), "{text}");
        let upper = parse(scheme, &text.to_uppercase());
        assert_eq!(upper, Ok(unit), "{text}");
        let rule = |text: &str| parse(scheme, text).map_err(|error| error.rule());
        assert_eq!(
            rule(&[&text, " 1"].concat()).is_ok(),
            scheme == Scheme::GAEN && text.matches(' ').count() == 3
        );
        assert!(rule(&[&text, " x y z"].concat()).is_err());
        assert!(rule(&text.replacen(' ', "  ", 1)).is_err() || !text.contains(' '));
        assert!(rule(&[" ", &text].concat()).is_err());
        assert!(rule("").is_err() && rule(" ").is_err());
        for cut in 1..text.len() {
            let _ = rule(&text[..cut]);
        }
    }
    let seed = format_epoch(1_920_040, &[6; 32]);
    let unit = dp3t::unlinkable_unit(1_920_040, &[6; 32]);
    assert_eq!(parse(Scheme::DP3T_UNLINKABLE, &seed), Ok(unit));
    assert_eq!(parse(Scheme::TCN, &BASE64.encode(&report)), Ok(report));
}

#[test]
fn what_is_missing_has_a_usual_value() {
    let tek = "ab".repeat(16);
    let key = parse(Scheme::GAEN, &[&tek, " 2880000"].concat()).unwrap();
    let key = gaen::Key::decode(&key).unwrap();
    let rest = (
        key.rolling_period,
        key.transmission_risk,
        key.days_since_onset,
    );
    assert_eq!(rest, (144, 0, None));
    let day = parse(
        Scheme::DP3T_LOWCOST,
        &["33".repeat(32).as_str(), " 2024-10-04"].concat(),
    );
    assert_eq!(day, Ok(dp3t::lowcost_unit(&[0x33; 32], 20_000, 1)));
}

#[test]
fn what_is_wrong_is_named() {
    let tek = "ab".repeat(16);
    let gaen = |rest: &str| parse(Scheme::GAEN, &[&tek, rest].concat());
    for (found, rule) in [
        (gaen(""), "text-fields"),
        (gaen(" 1 2 3 4 5"), "text-fields"),
        (gaen(" x"), "text-number"),
        (gaen(" +1"), "text-number"),
        (gaen(" -1"), "text-number"),
        (gaen(" 4294967296"), "text-number"),
        (gaen(" 1 256"), "text-number"),
        (gaen(" 1 1 0 -129"), "text-number"),
        (gaen("ab 1"), "unit-length"),
        (gaen("a 1"), "text-bytes"),
        (gaen("zz 1"), "text-bytes"),
        (parse(Scheme::CX1, &"1".repeat(1025)), "text-length"),
        (parse(Scheme(9), "00"), "scheme"),
        (
            parse(
                Scheme::FANNY,
                &["55".repeat(32).as_str(), " 2026-02-30"].concat(),
            ),
            "text-date",
        ),
    ] {
        assert_eq!(
            found.map_err(|error| error.rule().to_string()),
            Err(rule.to_string())
        );
    }
}
