use proptest::prelude::*;

use super::*;

fn gateway(url: &str, operator: &str) -> Gateway {
    Gateway {
        url: url.to_owned(),
        operator: operator.to_owned(),
    }
}

fn of(known: &[(&str, &str)]) -> Operators {
    let known: Vec<Gateway> = known.iter().map(|(url, name)| gateway(url, name)).collect();
    Operators::of(&known, |_| true)
}

#[test]
fn a_name_or_a_host_in_common_makes_one_operator() {
    for (known, expected) in [
        (&[][..], 0),
        (&[("https://a", "A")][..], 1),
        (&[("https://a", "A"), ("https://b", "B")], 2),
        (&[("https://a", "A"), ("https://b", "A")], 1),
        (&[("https://a/x", "A"), ("https://A:8443/y", "B")], 1),
        (
            &[("https://a.example.", "A"), ("https://a.example", "B")],
            1,
        ),
        // The third joins the first two.
        (
            &[("https://a", "A"), ("https://b", "B"), ("https://a", "B")],
            1,
        ),
        (&[("https://a", "A"), ("https://b", "a")], 1),
        (
            &[("https://a", "Relay Aid"), ("https://b", "\trelay aid ")],
            1,
        ),
        (&[("https://a", "Äther"), ("https://b", "äther")], 1),
        (
            &[("https://a", "Relay Aid"), ("https://b", "Relay Aide")],
            2,
        ),
        (&[("https://a", ""), ("https://b", "")], 1),
        (
            &[("http://127.0.0.1:1", "A"), ("http://127.0.0.1:2", "B")],
            2,
        ),
        (
            &[("https://127.0.0.1:1", "A"), ("https://127.0.0.1:2", "B")],
            1,
        ),
    ] {
        assert_eq!(of(known).known(), expected, "{known:?}");
    }
}

#[test]
fn only_those_who_can_be_asked_are_drawn() {
    let known = [
        gateway("https://a", "A"),
        gateway("https://b", "B"),
        gateway("https://c", "B"),
    ];
    let operators = Operators::of(&known, |gateway| gateway.url == "https://c");
    assert_eq!(operators.known(), 2);
    let drawn = operators.drawn(&[0; 16]);
    assert_eq!(drawn.len(), 1);
    assert_eq!(drawn[0].gateways, [gateway("https://c", "B")]);
    assert_eq!(operators.gateways().count(), 1);
}

fn gateways(known: &[(&str, &str)]) -> Vec<Gateway> {
    known.iter().map(|(url, name)| gateway(url, name)).collect()
}

/// How many are known, and the addresses of those that can be asked.
fn asked(pinned: &[(&str, &str)], named: &[(&str, &str)]) -> (usize, Vec<String>) {
    let (pinned, named) = (gateways(pinned), gateways(named));
    let known = [pinned.clone(), named].concat();
    let operators = Operators::with_pins(&pinned, &known, |_| true);
    let mut urls: Vec<String> = operators.gateways().map(|g| g.url.clone()).collect();
    urls.sort();
    (operators.known(), urls)
}

#[test]
fn where_two_were_given_by_hand_the_providers_are_not_asked() {
    let pinned = [("https://a", "A"), ("https://b", "B")];
    let both = ["https://a".to_owned(), "https://b".to_owned()];
    // Two of the provider's own, under names of their own, or under those of the two.
    for named in [
        [("https://evil1", "E"), ("https://evil2", "F")],
        [("https://evil1", "A"), ("https://evil2", "B")],
        [("https://evil1", ""), ("http://127.0.0.1:1", "a ")],
    ] {
        assert_eq!(asked(&pinned, &named).1, both, "{named:?}");
    }
    // One that is on a host given by hand is of that operator.
    let (known, urls) = asked(&pinned, &[("https://a:8443", "C"), ("https://c", "C")]);
    assert_eq!((known, urls.len()), (2, 3), "{urls:?}");
    assert!(!urls.contains(&"https://c".to_owned()));
    // Fewer than two by hand: the provider's are taken too.
    for (pinned, expected) in [
        (&[][..], 2),
        (&pinned[..1], 3),
        (&[("https://a", "A"), ("https://b", "a")], 3),
    ] {
        let (known, urls) = asked(pinned, &[("https://evil1", "E"), ("https://evil2", "F")]);
        assert_eq!(known, expected, "{urls:?}");
        assert!(urls.contains(&"https://evil1".to_owned()), "{urls:?}");
    }
}

#[test]
fn a_provider_that_calls_two_one_gains_no_other_way_of_asking() {
    let pinned = gateways(&[("https://a", "A"), ("https://b", "B")]);
    let named = gateways(&[
        ("https://a", "X"),
        ("https://b", "X"),
        ("https://evil1", "E"),
        ("https://evil2", "F"),
    ]);
    let known = [pinned.clone(), named].concat();
    let operators = Operators::with_pins(&pinned, &known, |_| true);
    assert!(operators.by_hand() && operators.known() > 1);
    let drawn = operators.drawn(&[0; 16]);
    assert_eq!(drawn.len(), 1, "nobody for the other half");
    // Without the other two, it is one operator, and still no decoys are due.
    let operators = Operators::with_pins(&pinned, &known[..4], |_| true);
    assert_eq!((operators.iter().count(), operators.known()), (1, 2));
    // An address that is said twice is asked once.
    assert_eq!(operators.gateways().count(), 2);
}

#[test]
fn chance_draws_the_order_and_newcomers_do_not_change_it() {
    let two = of(&[("https://a", "A"), ("https://b", "B")]);
    let three = of(&[("https://c", "C"), ("https://b", "B"), ("https://a", "A")]);
    let names = |operators: &Operators, seed: u8| -> Vec<String> {
        let drawn = operators.drawn(&[seed; 16]);
        drawn
            .iter()
            .map(|o| o.marks.names.first().unwrap().clone())
            .collect()
    };
    let mut firsts = 0;
    for seed in 0..200 {
        let (two, mut three) = (names(&two, seed), names(&three, seed));
        three.retain(|name| name != "c");
        assert_eq!(two, three);
        firsts += u32::from(two[0] == "a");
    }
    assert!((60..140).contains(&firsts), "{firsts}");
}

#[test]
fn who_has_a_half_never_gets_the_other_and_may_get_the_same_again() {
    let operators = of(&[("https://a", "A"), ("https://b", "B")]);
    let [a, b] = [0, 1].map(|number| &operators.list[number]);
    let mut halves = Halves::default();
    assert_eq!(halves.give(Half::A, a), Some(true));
    assert_eq!(halves.give(Half::A, a), Some(false));
    assert_eq!(halves.give(Half::B, a), None);
    assert_eq!(halves.give(Half::B, b), Some(true));
    assert_eq!(halves.give(Half::A, b), None);
    // The same under another name, or at another place.
    for renamed in [("https://a", "New"), ("https://new", "A")] {
        let operators = of(&[renamed]);
        assert_eq!(halves.clone().give(Half::B, &operators.list[0]), None);
        assert_eq!(halves.clone().give(Half::A, &operators.list[0]), Some(true));
    }
}

#[test]
fn what_is_learnt_of_an_operator_is_remembered_when_it_is_no_longer_said() {
    let mut halves = Halves::default();
    halves
        .give(Half::A, &of(&[("https://a", "A")]).list[0])
        .unwrap();
    assert!(halves.learn(&of(&[("https://a", "A2"), ("https://c", "A2")])));
    assert!(!halves.learn(&of(&[("https://a", "A2")])));
    let later = of(&[("https://c", "C")]);
    assert!(!halves.may(Half::B, &later.list[0]));
    // Two that turn out to be one, after both were asked, are asked no more.
    let mut halves = Halves::default();
    halves
        .give(Half::A, &of(&[("https://a", "A")]).list[0])
        .unwrap();
    halves
        .give(Half::B, &of(&[("https://b", "B")]).list[0])
        .unwrap();
    let merged = of(&[("https://a", "B")]);
    assert!(halves.learn(&merged));
    for half in Half::BOTH {
        assert!(!halves.may(half, &merged.list[0]));
    }
}

#[test]
fn names_without_end_end_the_sendings() {
    let mut halves = Halves::default();
    let mut given = 0;
    for number in 0..500 {
        let operators = of(&[(&format!("https://{number}"), &number.to_string())]);
        given += usize::from(halves.give(Half::A, &operators.list[0]).is_some());
    }
    assert!((MAX_MARKS / 2..MAX_MARKS).contains(&given));
    assert!(!halves.may(Half::B, &of(&[("https://new", "New")]).list[0]));
}

/// Gateways that could be anybody's, a few at a time.
fn world() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..6_u8, 0..6_u8), 1..6)
}

proptest! {
    /// Over many syncs with ever other gateways, where names and hosts change hands: nobody who
    /// could have been known to be one operator when a half was sent has both.
    #[test]
    fn no_operator_has_both_halves(
        syncs in prop::collection::vec((world(), prop::collection::vec((any::<bool>(), 0..6_usize), 0..6)), 1..8)
    ) {
        let mut halves = Halves::default();
        // Who was sent what, with all that was ever said of it.
        let mut sent: Vec<(Half, BTreeSet<String>)> = Vec::new();
        for (known, sendings) in syncs {
            let known: Vec<Gateway> = known
                .iter()
                .map(|(host, name)| gateway(&format!("https://h{host}"), &format!("n{name}")))
                .collect();
            let operators = Operators::of(&known, |_| true);
            halves.learn(&operators);
            let marks = |gateway: &Gateway| -> BTreeSet<String> {
                [gateway.url.replace("https://", ""), gateway.operator.clone()].into()
            };
            let now: Vec<BTreeSet<String>> = known.iter().map(marks).collect();
            for (first, number) in sendings {
                let half = if first { Half::A } else { Half::B };
                let number = number % operators.list.len();
                let operator = &operators.list[number];
                if halves.give(half, operator).is_some() {
                    let marks = one_operator(marks(&operator.gateways[0]), &now);
                    for (other, had) in &sent {
                        prop_assert!(
                            *other == half || one_operator(had.clone(), &now).is_disjoint(&marks),
                            "{half:?} to {marks:?}, {other:?} was sent to {had:?}"
                        );
                    }
                    sent.push((half, marks));
                }
            }
            // What is known of those who were sent something grows with every sync.
            for (_, had) in &mut sent {
                *had = one_operator(had.clone(), &now);
            }
        }
    }
}

/// Everything that is one operator with `marks`, by plain repetition.
fn one_operator(mut marks: BTreeSet<String>, said: &[BTreeSet<String>]) -> BTreeSet<String> {
    for _ in 0..=said.len() {
        for pair in said {
            if !pair.is_disjoint(&marks) {
                marks.extend(pair.iter().cloned());
            }
        }
    }
    marks
}
