use super::*;

#[test]
fn what_is_not_ours_is_escaped() {
    let escaped = Escaped("<a b=\"c\" d='e'>&amp;é").to_string();
    assert_eq!(escaped, "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;é");
    let viewer = Viewer {
        user: "<b>".to_owned(),
        token: "\"".to_owned(),
    };
    let page = refused("<Board>", Some(&viewer), &Refusal::NotFound);
    assert!(!page.contains("<b>") && !page.contains("<Board>"), "{page}");
    let why = Login::Refused(&Refusal::Password, "\"><script>alert(1)</script>");
    let page = login("Board", &why);
    assert!(
        !page.contains("<script>") && page.contains("&lt;script&gt;"),
        "{page}"
    );
}

/// Our own words go into pages as they are.
#[test]
fn no_word_of_ours_needs_escaping() {
    let words = include_str!("../text.rs");
    let texts = words.split('"').skip(1).step_by(2);
    for text in texts {
        assert!(!text.contains(['<', '>', '&', '\'']), "{text}");
    }
}

#[test]
fn times_are_told_to_the_minute() {
    assert_eq!(
        time(1_800_000_059),
        "<time datetime=\"2027-01-15T08:00:59Z\">2027-01-15 08:00 UTC</time>"
    );
    assert!(time(u64::MAX).ends_with(" UTC</time>"));
    for (seconds, told) in [
        (0, "0 min 00 s"),
        (599, "9 min 59 s"),
        (3600, "1 h 00 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 day 0 h"),
        (604_799, "6 days 23 h"),
    ] {
        assert_eq!(text::left(seconds), told);
    }
}

#[test]
fn every_control_has_its_label_and_every_page_its_language() {
    let viewer = Viewer {
        user: "anna".to_owned(),
        token: "t".to_owned(),
    };
    let zones = ["gb".parse().unwrap(), "gb/sct".parse().unwrap()];
    let shown = Home {
        zones: &zones,
        codes: &CodesOf::default(),
        done: None,
        refusal: None,
        now: 0,
    };
    for page in [
        login("Board", &Login::Asked),
        home("Board", &viewer, &shown),
    ] {
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert_eq!(page.matches("<h1>").count(), 1);
        assert_eq!(page.matches("<main ").count(), 1);
        for place in ["<input type=\"", "<select "] {
            for control in page.split(place).skip(1) {
                let control = control.split('>').next().unwrap();
                if control.starts_with("hidden") || control.starts_with("radio") {
                    continue;
                }
                let (_, id) = control.split_once("id=\"").unwrap();
                let label = format!("<label for=\"{}\">", id.split('"').next().unwrap());
                assert!(page.contains(&label), "{control}");
            }
        }
    }
    let none = Home {
        zones: &[],
        ..shown
    };
    assert!(!home("Board", &viewer, &none).contains("name=\"level\""));
}

/// The colours of the style, by name: the light ones and then the dark ones.
fn colours() -> [std::collections::BTreeMap<String, [f64; 3]>; 2] {
    let style = include_str!("../style.css");
    let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
    [light, dark].map(|scheme| {
        let lines = scheme.lines().filter_map(|line| {
            let (name, colour) = line.trim().strip_prefix("--")?.split_once(": #")?;
            let bytes = HEXLOWER.decode(colour.trim_end_matches(';').as_bytes());
            let bytes: [u8; 3] = bytes.unwrap().try_into().unwrap();
            Some((name.to_owned(), bytes.map(|byte| f64::from(byte) / 255.0)))
        });
        lines.collect()
    })
}

/// Contrast of two colours, 1 to 21. Source: WCAG 2.2, "contrast ratio".
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let linear = colour.map(|part| {
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn everything_can_be_told_from_its_ground() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 0.001);
    for colours in colours() {
        assert_eq!(colours.len(), 12, "{colours:?}");
        // Text needs 4.5, the edge of a control 3.
        for (front, ground, least) in [
            ("ink", "ground", 4.5),
            ("ink", "card", 4.5),
            ("quiet", "card", 4.5),
            ("quiet", "bad-ground", 4.5),
            ("accent", "card", 4.5),
            ("accent", "ground", 4.5),
            ("on-accent", "accent", 4.5),
            ("bad", "bad-ground", 4.5),
            ("good", "good-ground", 4.5),
            ("line", "card", 3.0),
        ] {
            let found = contrast(colours[front], colours[ground]);
            assert!(found >= least, "{front} on {ground}: {found:.2}");
        }
    }
}
