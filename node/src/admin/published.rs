//! Answers of `publish`, `descriptor renew` and `descriptor disown` about the batches that they published.

use bellwether_formats::batch::Batch;
use bellwether_formats::signed::Signed;
use serde_json::{Map, Value, json};

use crate::publisher::Closed;

/// Reason why no relay has taken what was published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NobodyTook {
    /// None is connected.
    NoPeer,
    /// The node does not run: relays ask it when it does.
    NotRunning,
}

impl NobodyTook {
    const fn text(self) -> &'static str {
        match self {
            Self::NoPeer => {
                "no relay took it: none is connected; relays get it when one is connected again"
            }
            Self::NotRunning => {
                "no relay took it: the node does not run; relays get it when it does"
            }
        }
    }
}

/// Answer of `publish`: the batches, why a zone has none, and why no relay has them.
pub fn published(closed: &Closed, nobody: Option<NobodyTook>) -> Value {
    Value::Object(members(closed, nobody))
}

/// The members of an answer that say so.
pub(super) fn members(closed: &Closed, nobody: Option<NobodyTook>) -> Map<String, Value> {
    let published: Vec<Value> = closed.batches.iter().map(batch).collect();
    let nobody = nobody.filter(|_| !published.is_empty());
    let mut members = Map::new();
    members.insert("published".to_owned(), published.into());
    let failed = closed.failed.as_ref();
    members.extend(failed.map(|error| {
        let failed = json!({ "error": error.to_string(), "hint": error.hint() });
        ("failed".to_owned(), failed)
    }));
    members.extend(nobody.map(|nobody| ("not_relayed".to_owned(), nobody.text().into())));
    members
}

fn batch(batch: &Signed<Batch>) -> Value {
    json!({ "zone": batch.zone.as_str(), "seq": batch.seq, "cid": batch.cid().to_string() })
}
