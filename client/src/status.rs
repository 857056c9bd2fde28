//! What is known of the feeds followed, for people and scripts.

use std::collections::BTreeSet;

use bellwether_formats::descriptor::Gateway;
use bellwether_formats::sealed::Shape;
use serde::Serialize;

use crate::answers::{self, Observed, Unknown};
use crate::confirm::Operators;
use crate::horizon::Times;
use crate::policy::{self, MAX_WHOLE_BYTES, Policy};
use crate::sealed::Stage;
use crate::state::Followed;
use crate::trust::{Body, Feed, KnownPart};

/// A feed, in numbers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FeedStatus {
    /// Whose feed.
    pub provider: String,
    /// The provider's name for people, once its descriptor is known.
    pub name: Option<String>,
    /// The zone.
    pub zone: String,
    /// Number of the newest batch known.
    pub head: Option<u64>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// Seconds since it was published.
    pub age_s: Option<u64>,
    /// When a newer one is due, in seconds of UTC.
    pub next_by: Option<u64>,
    /// When a sync last reached the feed's end, in seconds of UTC.
    pub reached_at: Option<u64>,
    /// When an anchor last set the feed right, in seconds of UTC.
    pub anchored_at: Option<u64>,
    /// The provider signed two stories.
    pub forked: bool,
    /// From when on all is known, in seconds of UTC: 0 if there is no bound, `None` if nothing is
    /// known.
    pub covered_from: Option<u64>,
    /// Batches kept.
    pub batches: usize,
    /// Bodies kept.
    pub bodies: usize,
    /// Parts of a kind or scheme that this version does not read.
    pub unknown_parts: usize,
    /// Codes of schemes that this version does not know.
    pub unknown_schemes: Vec<u8>,
    /// Codes of kinds of parts that this version does not know.
    pub unknown_kinds: Vec<u64>,
    /// Sealed parts of which filter and index are kept.
    pub filters: usize,
    /// How hits in filters are confirmed.
    pub policy: &'static str,
    /// Operators that looks can be asked of: those given by hand where they are two or more, else
    /// all that are known.
    pub operators: usize,
    /// Who named these operators: `hand`, or `provider`, which may be two of them itself.
    pub operators_by: &'static str,
    /// All operators known of the provider's gateways, those of its descriptor included.
    pub relays: Vec<Relay>,
    /// What relays learn of this device with that policy and those operators.
    pub leaks: Vec<String>,
    /// The gateways given by hand.
    pub gateways: Vec<String>,
    /// What stands against a "none".
    pub doubts: Vec<String>,
}

/// An operator, as far as names and hosts tell.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Relay {
    /// Its names.
    pub names: Vec<String>,
    /// The addresses of its gateways.
    pub gateways: Vec<String>,
    /// Whether one of them was given by hand.
    pub by_hand: bool,
    /// Whether it can be asked for looks.
    pub asked: bool,
}

impl FeedStatus {
    pub(crate) fn of(
        followed: &Followed,
        feed: &Feed,
        policy: Policy,
        observed: Observed,
        times: Times,
    ) -> Self {
        let Times { now, horizon } = times;
        let id = feed.id();
        let descriptor = followed.descriptor.as_ref();
        let head = feed.head();
        let parts = || feed.batches().iter().flat_map(|batch| &batch.parts);
        let doubts = answers::doubts(feed, descriptor, policy, observed, times);
        let operators = Known::of(followed);
        let shapes = || parts().filter_map(held);
        let unknown = Unknown::of(feed, horizon);
        let large = |shape: &Shape| shape.body_bytes() > MAX_WHOLE_BYTES;
        Self {
            provider: id.provider.to_string(),
            name: descriptor.map(|descriptor| descriptor.name.clone()),
            zone: id.zone.to_string(),
            head: head.map(|head| head.seq),
            epoch: head.map(|head| head.epoch),
            age_s: head.map(|head| now.saturating_sub(head.published_at)),
            next_by: head.map(|head| head.next_by),
            reached_at: feed.reached_at(),
            anchored_at: feed.anchored_at(),
            forked: !feed.forks().is_empty(),
            covered_from: answers::coverage(feed, policy, observed, horizon)
                .map(|known| known.from),
            batches: feed.batches().len(),
            bodies: parts()
                .filter(|part| matches!(part.body, Body::Kept { .. }))
                .count(),
            unknown_parts: parts().filter(|part| part.body == Body::Unread).count(),
            unknown_schemes: unknown.schemes.into_iter().collect(),
            unknown_kinds: unknown.kinds.into_iter().collect(),
            filters: shapes().count(),
            policy: policy.name(),
            operators: operators.asked,
            operators_by: operators.by(),
            leaks: leaks(
                policy,
                &operators,
                shapes().count(),
                shapes().filter(large).count(),
            ),
            relays: operators.relays,
            gateways: followed.pins.iter().map(|pin| pin.url.clone()).collect(),
            doubts: doubts
                .iter()
                .map(|doubt| doubt.answer.to_string())
                .collect(),
        }
    }
}

/// The shape of a sealed part that is held.
fn held(part: &KnownPart) -> Option<Shape> {
    match &part.body {
        Body::Sealed(sealed) if sealed.stage == Stage::Held => sealed.shape().ok(),
        _ => None,
    }
}

/// Who runs the gateways known.
struct Known {
    relays: Vec<Relay>,
    by_hand: bool,
    /// How many can be asked, whoever is there now.
    asked: usize,
}

impl Known {
    fn of(followed: &Followed) -> Self {
        let pinned: Vec<Gateway> = followed.pins.iter().map(Gateway::from).collect();
        let named = followed
            .descriptor
            .as_ref()
            .map_or(&[][..], |held| &held.gateways);
        let usable = named
            .iter()
            .filter(|gateway| policy::usable(&gateway.url).is_ok());
        let known: Vec<Gateway> = pinned.iter().chain(usable).cloned().collect();
        let asked = Operators::with_pins(&pinned, &known, |_| true);
        // The same operators in the same order, with all their gateways.
        let all = Operators::of(&known, |_| true);
        let relays = all.iter().zip(asked.iter()).map(|(all, asked)| {
            let urls: Vec<String> = all.gateways.iter().map(|own| own.url.clone()).collect();
            let own = known.iter().filter(|gateway| urls.contains(&gateway.url));
            let names: BTreeSet<&str> = own.map(|gateway| gateway.operator.trim()).collect();
            Relay {
                names: names.into_iter().map(str::to_owned).collect(),
                by_hand: pinned.iter().any(|pin| urls.contains(&pin.url)),
                gateways: urls,
                asked: !asked.gateways.is_empty(),
            }
        });
        let relays: Vec<Relay> = relays.collect();
        Self {
            asked: relays.iter().filter(|relay| relay.asked).count(),
            relays,
            by_hand: asked.by_hand(),
        }
    }

    const fn by(&self) -> &'static str {
        if self.by_hand { "hand" } else { "provider" }
    }
}

/// What relays learn of a device; of `parts` sealed parts held, `large` are too large to be fetched
/// whole where one operator is known. Source: spec §11.7.
fn leaks(policy: Policy, known: &Known, parts: usize, large: usize) -> Vec<String> {
    let mut leaks =
        vec!["every relay asked learns this device's IP address and the zones it reads".to_owned()];
    let private = "`private`: no single relay learns anything of what was observed; two relays that \
                   collude learn which chunk was asked for, and may guess from it who was near to \
                   somebody";
    let texts = match (policy, known.by_hand, known.asked) {
        (Policy::Lean, ..) => vec![
            "`lean`: a relay that is asked for a chunk learns that this device was probably near \
             to somebody, and which other devices were near to the same",
        ],
        (Policy::WholeBody, ..) => vec!["`whole-body`: nothing of what was observed"],
        (Policy::Private, true, 0 | 1) => vec![
            "`private`: the gateways given by hand are of one operator, as the provider says: \
             fewer than two operators are known, and nothing is asked for; add a gateway of \
             another operator, or use `whole-body`",
        ],
        (Policy::Private, false, 0 | 1) => {
            leaks.push(format!(
                "`private`, but fewer than two operators are known: bodies up to 512 KiB are \
                 fetched whole, which tells nothing; of the sealed parts held now: {} of {parts}",
                parts.saturating_sub(large)
            ));
            leaks.push(format!(
                "larger bodies (now {large} of {parts}) are asked for by decoys, eight chunks each \
                 time: the relay can guess who was near to somebody, better than chance; add a \
                 gateway of another operator, or use `whole-body`"
            ));
            vec![]
        }
        (Policy::Private, true, _) => vec![private, "operators given by hand"],
        (Policy::Private, false, _) => vec![
            private,
            "operators named by the provider: if it runs two of them itself, it can learn what a \
             single relay cannot; give gateways of two operators that you know by hand",
        ],
    };
    leaks.extend(texts.into_iter().map(str::to_owned));
    leaks
}
