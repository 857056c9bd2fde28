//! Who may be asked for which half. Source: spec §11.7.
//!
//! An operator is whoever ends the TLS of a gateway. What can be known of that are names and
//! hosts: gateways that share either are one operator, and so is whatever they share one with.
//! Where a person named two operators, nobody else is asked: the provider, which names the others,
//! could be all of them.

use std::collections::BTreeSet;

use bellwether_formats::descriptor::Gateway;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ureq::http::Uri;

/// Most names and hosts remembered of those who may know a half, in items: those of several
/// descriptors. Who would be one too many is not asked.
const MAX_MARKS: usize = 128;

/// Names and hosts by which operators are told apart.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marks {
    names: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

/// An operator: its marks, and its gateways that can be asked in this sync, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Operator {
    pub(crate) marks: Marks,
    pub(crate) gateways: Vec<Gateway>,
}

/// The operators known for a provider, and which of their gateways can be asked for what a batch
/// names. A function of public data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Operators {
    list: Vec<Operator>,
    by_hand: bool,
}

/// The two halves of a query.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Half {
    /// The mask as drawn.
    A,
    /// The mask with the look's chunk flipped.
    B,
}

impl Half {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Who may know which half of a query: everybody that it was, or was about to be, sent to. The only
/// way to a sending is [`Halves::give`], and that never gives both halves to one operator.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Halves {
    a: Marks,
    b: Marks,
}

impl Marks {
    fn of(gateway: &Gateway) -> Self {
        Self {
            names: [name(&gateway.operator)].into(),
            hosts: [host(&gateway.url)].into(),
        }
    }

    /// Whether they may be one operator.
    pub(crate) fn meet(&self, other: &Self) -> bool {
        !self.names.is_disjoint(&other.names)
            || !self.hosts.is_disjoint(&other.hosts)
            || self.is_full()
            || other.is_full()
    }

    fn is_full(&self) -> bool {
        self.names.len() + self.hosts.len() > MAX_MARKS
    }

    fn contain(&self, other: &Self) -> bool {
        self.names.is_superset(&other.names) && self.hosts.is_superset(&other.hosts)
    }

    fn join(&mut self, other: &Self) {
        if !self.is_full() {
            self.names.extend(other.names.iter().cloned());
            self.hosts.extend(other.hosts.iter().cloned());
        }
    }
}

impl Operators {
    /// Who runs the gateways `known`; of these, those that are `eligible` can be asked.
    pub(crate) fn of(known: &[Gateway], eligible: impl Fn(&Gateway) -> bool) -> Self {
        let mut operators: Vec<Operator> = Vec::new();
        for gateway in known {
            let mut marks = Marks::of(gateway);
            let mut gateways = Vec::new();
            // A gateway can join operators that were two until now.
            operators.retain_mut(|operator| {
                let same = operator.marks.meet(&marks);
                if same {
                    marks.join(&operator.marks);
                    gateways.append(&mut operator.gateways);
                }
                !same
            });
            let is_there = gateways.iter().any(|other| other.url == gateway.url);
            gateways.extend((!is_there && eligible(gateway)).then(|| gateway.clone()));
            operators.push(Operator { marks, gateways });
        }
        Self {
            list: operators,
            by_hand: false,
        }
    }

    /// As [`of`](Self::of), where `pinned` were given by hand. If they are of two operators by
    /// themselves, only gateways on their hosts can be asked: a name alone is the provider's word,
    /// and it could lend itself two names of others. What it says can make operators one, though.
    pub(crate) fn with_pins(
        pinned: &[Gateway],
        known: &[Gateway],
        eligible: impl Fn(&Gateway) -> bool,
    ) -> Self {
        let by_hand = Self::of(pinned, |_| true).list.len() > 1;
        let hosts: BTreeSet<String> = pinned.iter().map(|pin| host(&pin.url)).collect();
        let operators = Self::of(known, |gateway| {
            eligible(gateway) && (!by_hand || hosts.contains(&host(&gateway.url)))
        });
        Self {
            by_hand,
            ..operators
        }
    }

    /// How many are known, whether or not they can be asked. Two that were given by hand stay two
    /// if the provider says that they are one: nothing is sent then, and nothing worse either.
    pub(crate) fn known(&self) -> usize {
        let known = self.list.len();
        if self.by_hand { known.max(2) } else { known }
    }

    /// Whether only those given by hand can be asked.
    pub(crate) const fn by_hand(&self) -> bool {
        self.by_hand
    }

    /// All, in the order in which they became known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Operator> {
        self.list.iter()
    }

    /// Whether two gateways are, as far as is known, of one operator.
    pub(crate) fn are_one(&self, one: &Gateway, other: &Gateway) -> bool {
        let (one, other) = (Marks::of(one), Marks::of(other));
        let mut list = self.list.iter().map(|operator| &operator.marks);
        one.meet(&other) || list.any(|marks| marks.meet(&one) && marks.meet(&other))
    }

    /// Those that can be asked, in the order that `seed` draws.
    pub(crate) fn drawn(&self, seed: &[u8; 16]) -> Vec<&Operator> {
        let mut operators: Vec<&Operator> = self.askable().collect();
        operators.sort_by_key(|operator| operator.marks.rank(seed));
        operators
    }

    /// The gateways that can be asked, in the order in which their operators became known.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.list.iter().flat_map(|operator| &operator.gateways)
    }

    fn askable(&self) -> impl Iterator<Item = &Operator> {
        self.list
            .iter()
            .filter(|operator| !operator.gateways.is_empty())
    }
}

impl Marks {
    /// Where it stands in the order that `seed` draws of any operators: so the order is fixed
    /// before it is known who will be there.
    fn rank(&self, seed: &[u8; 16]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(seed);
        for mark in [self.names.first(), self.hosts.first()] {
            let mark = mark.map_or(&[][..], |mark| mark.as_bytes());
            hash.update(u64::try_from(mark.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(mark);
        }
        hash.finalize().into()
    }
}

impl Halves {
    /// Whether `operator` may be given `half`: it cannot have the other.
    pub(crate) fn may(&self, half: Half, operator: &Operator) -> bool {
        !self.of(half.other()).meet(&operator.marks)
    }

    /// Notes that `operator` is about to be sent `half`. Gives whether that is news, to be persisted
    /// before the sending; nothing if it must not be sent.
    pub(crate) fn give(&mut self, half: Half, operator: &Operator) -> Option<bool> {
        if !self.may(half, operator) {
            return None;
        }
        let news = !self.of(half).contain(&operator.marks);
        self.of_mut(half).join(&operator.marks);
        // Full: it could not be noted whole, so nothing is sent on the strength of it.
        self.of(half).contain(&operator.marks).then_some(news)
    }

    /// Whether `operator`, or whoever is one with it, was given `half` before.
    pub(crate) fn has(&self, half: Half, operator: &Operator) -> bool {
        self.of(half).meet(&operator.marks)
    }

    /// Learns which names and hosts turned out to be those of operators that were given a half.
    /// Gives whether anything is new.
    pub(crate) fn learn(&mut self, operators: &Operators) -> bool {
        let mut news = false;
        for half in Half::BOTH {
            for operator in &operators.list {
                let marks = self.of_mut(half);
                if marks.meet(&operator.marks) && !marks.contain(&operator.marks) {
                    let before = marks.clone();
                    marks.join(&operator.marks);
                    news |= *marks != before;
                }
            }
        }
        news
    }

    const fn of(&self, half: Half) -> &Marks {
        match half {
            Half::A => &self.a,
            Half::B => &self.b,
        }
    }

    const fn of_mut(&mut self, half: Half) -> &mut Marks {
        match half {
            Half::A => &mut self.a,
            Half::B => &mut self.b,
        }
    }
}

/// An operator's name as it is compared: how it is spaced and capitalised makes no other operator.
fn name(operator: &str) -> String {
    operator.trim().to_lowercase()
}

/// Where a gateway is, in lower case: its host. On this very machine, which alone is asked by plain
/// `http`, the port counts too: relays side by side in a test, or tunnels to elsewhere.
fn host(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    let host = match uri.as_ref().and_then(Uri::scheme_str) {
        Some("http") => authority.map(|authority| authority.as_str()),
        _ => authority.map(|authority| authority.host()),
    };
    host.unwrap_or(url).trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests;
