//! Versions of a range that are unusual: without parts, or in parts that this version cannot read.

use bellwether_formats::batch::Part;

use super::*;

impl World {
    /// Publishes a batch that says of a range that nothing of it is live any more.
    fn publish_empty(&mut self, at: u64, covers: (u64, u64)) {
        let key = &self.provider.keys[0];
        let batch = self.provider.batch(self.chain.last(), at, Vec::new());
        let mut batch = (*batch).clone();
        batch.covers = Some(covers);
        self.chain.push(Signed::sign(&batch, key).unwrap());
    }
}

#[test]
fn a_revision_without_parts_withdraws_all() {
    let mut world = world();
    let now = world.now;
    let first = world.mirror();
    world.publish_empty(now - 200, (3, 3));
    let second = world.mirror();
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&first), Some(&first)], now);
    assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
    phone.sync(&[Some(&second), Some(&second)], now + 60);
    assert_eq!((phone.levels(now), phone.doubts(now)), (vec![], vec![]));
    assert_eq!(phone.choices()[2..], [Some(Choice::Taken); 2]);
    let mut phone = phone.reopen();
    phone.sync(&[Some(&second), Some(&second)], now + DAY_S);
    assert_eq!(phone.report.pir_queries, 0, "nothing is left to look at");
    assert_eq!(phone.levels(now), []);

    // Who sees both at once needs no filter of what is withdrawn.
    let mut late = Phone::new(&world, 2);
    late.observe(7, now - 3600, now);
    late.sync(&[Some(&second), Some(&second)], now);
    assert_eq!((late.levels(now), late.doubts(now)), (vec![], vec![]));
    assert_eq!((late.report.filters, late.report.pir_queries), (0, 0));

    // What is said later of the same range counts again.
    let again = Sealed {
        observed_before: Some(now - 300),
        ..diagnosed(7).covers(3, 3)
    };
    world.publish(now + 120, &again);
    let third = world.mirror();
    for phone in [&mut phone, &mut late] {
        phone.sync(&[Some(&third), Some(&third)], now + DAY_S);
        assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
    }
}

#[test]
fn a_fold_without_parts_withdraws_for_those_who_took_it() {
    let mut world = world();
    let now = world.now;
    world.publish(now - 250, &diagnosed(9));
    let fold = Sealed {
        observed_before: Some(now - 300),
        ..diagnosed(7).covers(3, 4)
    };
    let single = world.mirror();
    world.publish(now - 200, &fold);
    let folded = world.mirror();
    world.publish_empty(now - 100, (3, 4));
    let empty = world.mirror();
    let mut early = Phone::new(&world, 2);
    let mut late = Phone::new(&world, 2);
    for (phone, mirror) in [(&mut early, &single), (&mut late, &folded)] {
        phone.observe(7, now - 3600, now);
        phone.sync(&[Some(mirror), Some(mirror)], now);
        assert_eq!(phone.levels(now), [Level::DIAGNOSED]);
        phone.sync(&[Some(&empty), Some(&empty)], now + 60);
    }
    assert_eq!(late.levels(now), []);
    assert_eq!(
        early.levels(now),
        [Level::DIAGNOSED],
        "who took the single ones hears of them by their own revisions"
    );
}

#[test]
fn a_size_that_is_no_rung_is_left_to_a_later_version() {
    let mut world = World::new();
    let now = world.now;
    let (batch, blocks) = world
        .provider
        .sealed(world.chain.last(), now - 300, &diagnosed(7));
    let mut batch = (*batch).clone();
    for part in &mut batch.parts {
        if let Part::Sealed(part) = part {
            part.ids = 9000;
        }
    }
    world
        .chain
        .push(Signed::sign(&batch, &world.provider.keys[0]).unwrap());
    world.blocks.extend(blocks);
    let mirror = world.mirror();
    let mut phone = Phone::new(&world, 2);
    phone.observe(7, now - 3600, now);
    phone.sync(&[Some(&mirror), Some(&mirror)], now);
    assert_eq!(phone.rules(), ["ladder"]);
    assert!(phone.report.feeds[0].reached);
    assert_eq!(phone.doubts(now), [update(&[], &[])]);
    let mut phone = phone.reopen();
    phone.sync(&[Some(&mirror), Some(&mirror)], now + 60);
    assert_eq!((phone.levels(now), phone.rules()), (vec![], vec![]));
    assert_eq!(phone.doubts(now), [update(&[], &[])]);
    assert_eq!(phone.report.pir_queries, 0);
}
