//! Questions and answers of `descriptor renew` and `descriptor disown`: what they ask and are told.

use bellwether_formats::descriptor::{Anchor, Descriptor};
use bellwether_formats::id::Zone;
use bellwether_formats::signed::Signed;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::published::{self, NobodyTook};
use super::{Admin, AdminError, time};
use crate::publisher::Closed;
use crate::store::Disowned;

impl Admin {
    /// The batch before number `from` of a zone, which an anchor is to name; number 0 and zeros for the
    /// beginning.
    pub(super) fn anchor(&self, zone: &str, from: u64) -> Result<Value, AdminError> {
        let zone: Zone = zone.parse()?;
        let mut own = self.config.own_feeds()?.into_iter();
        let Some(feed) = own.find(|feed| feed.zone == zone) else {
            return Err(AdminError::Zone { zone });
        };
        let newest = self.store.head(&feed)?.map_or(0, |head| head.head.seq);
        if from == 0 || from > newest {
            return Err(AdminError::NoBatch { zone, from, newest });
        }
        let seq = from - 1;
        let before = self.store.row(&feed, seq)?.map(|row| row.id());
        let first = self.store.row(&feed, from)?;
        let first = first
            .map(|row| self.store.batch(&row))
            .transpose()?
            .flatten();
        let id = match seq {
            0 => Some(Anchor::BEGINNING),
            _ => before.or_else(|| first?.prev),
        };
        let id = id.ok_or(AdminError::Deleted { zone, seq })?;
        Ok(json!({ "seq": seq, "id": HEXLOWER.encode(id.as_bytes()) }))
    }
}

/// Answer of `descriptor renew` and `descriptor disown`.
pub fn renewed(
    descriptor: &Signed<Descriptor>,
    disowned: &[Disowned],
    closed: &Closed,
    nobody: Option<NobodyTook>,
) -> Value {
    let disowned: Vec<Value> = { disowned.iter() }
        .map(|gone| {
            json!({
                "zone": gone.zone.as_str(), "from": gone.from, "batches": gone.batches,
                "pending": gone.again,
            })
        })
        .collect();
    let mut answer = json!({
        "epoch": descriptor.epoch,
        "cid": descriptor.cid().to_string(),
        "expires_at": time(descriptor.expires_at),
    });
    if let Some(members) = answer.as_object_mut() {
        if !disowned.is_empty() {
            members.insert("disowned".to_owned(), disowned.into());
        }
        members.extend(published::members(closed, nobody));
    }
    answer
}
