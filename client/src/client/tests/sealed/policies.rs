//! Going from one policy to another.

use super::*;

/// What `lean` told relays is told. It must tell nothing of what comes after.
#[test]
fn after_lean_exposed_and_unexposed_ask_for_the_same() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    // More operators than are asked for the heads, unless looks are due.
    let mirrors = [Some(&mirror); 5];
    for (policy, queries) in [(Policy::Private, 2), (Policy::WholeBody, 0)] {
        let mut phones = [Phone::new(&world, 5), Phone::new(&world, 5)];
        // The exposed one, which has a second hit a day later, and the other.
        for (phone, numbers) in phones.iter_mut().zip([[7, 8], [9, 10]]) {
            phone.client.set_policy(Policy::Lean).unwrap();
            phone.observe(numbers[0], now - 3600, now);
            phone.sync(&mirrors, now);
            phone.observe(numbers[1], now - 3600, now);
            phone.sync(&mirrors, now + DAY_S);
        }
        let [exposed, other] = phones;
        let (mut exposed, mut other) = (exposed.reopen(), other.reopen());
        assert_eq!(exposed.levels(now).len(), 2);
        assert_eq!(exposed.doubts(now), []);
        exposed.client.set_policy(policy).unwrap();
        other.client.set_policy(policy).unwrap();
        for (after, looks) in [(60, 1), (120, 0), (DAY_S + 60, 1), (DAY_S + 120, 0)] {
            let at = now + DAY_S + after;
            assert_eq!(
                exposed.sync(&mirrors, at).seen(),
                other.sync(&mirrors, at).seen(),
                "{policy}, after {after} s"
            );
            assert_eq!(exposed.report, other.report);
            assert_eq!(exposed.report.pir_queries, looks * queries);
            assert_eq!((exposed.doubts(now), other.doubts(now)), (vec![], vec![]));
            assert_eq!(exposed.levels(now).len(), 2, "what was confirmed stays so");
            assert_eq!(other.levels(now), []);
        }
    }
}

/// Who has a bundle with the whole body looks next when others that have it do.
#[test]
fn a_bundle_makes_the_looks_of_lean_those_of_everybody() {
    let world = world();
    let (now, mirror) = (world.now, world.mirror());
    let mirrors = [Some(&mirror); 5];
    let mut giver = Phone::new(&world, 2);
    giver.client.set_policy(Policy::WholeBody).unwrap();
    giver.sync(&mirrors[..2], now);
    giver.client.end_sync().unwrap();
    let file = giver.folder.path().join("bundle.car");
    giver.client.export(&file).unwrap();
    let mut phones = [Phone::new(&world, 5), Phone::new(&world, 5)];
    for (phone, number) in phones.iter_mut().zip([7, 9]) {
        phone.client.set_policy(Policy::Lean).unwrap();
        phone.observe(number, now - 3600, now);
        phone.sync(&mirrors, now + 3600);
        phone.client.import(&file).unwrap();
        phone.client.set_policy(Policy::Private).unwrap();
    }
    let [mut exposed, mut other] = phones;
    for at in [now + 3660, now + DAY_S + 1800] {
        assert_eq!(
            exposed.sync(&mirrors, at).seen(),
            other.sync(&mirrors, at).seen()
        );
    }
    assert_eq!(exposed.report.pir_queries, 2, "the second look");
    assert_eq!(exposed.levels(now), [Level::DIAGNOSED]);
}
