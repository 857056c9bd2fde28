//! The phones of Bob, who was near two patients, and Carol, who was near none.

use std::path::{Path, PathBuf};

use bellwether_client::Client;
use bellwether_client::error::ClientError;
use bellwether_client::observations::Observation;
use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::cid::Cid;
use bellwether_formats::id::Scheme;
use bellwether_formats::sealed::{IdHash, Shape};
use bellwether_formats::share::Share;
use bellwether_formats::signed::Signed;
use serde_json::json;

use super::ear::Ears;
use super::saw::Seen;
use super::story::Story;
use super::{CliError, millis, now, wrong};

/// A phone, and what it should find out.
pub(super) struct Phone {
    name: &'static str,
    state: PathBuf,
    /// Zone, level and batch of each alert, by zone.
    expected: Vec<(&'static str, &'static str, String)>,
    /// How many sealed parts it looks at.
    sealed: u64,
}

impl Phone {
    /// A phone that follows `share` and recorded `heard`.
    pub(super) fn new(
        folder: &Path,
        name: &'static str,
        share: &Share,
        heard: [Observation; 2],
    ) -> Result<Self, CliError> {
        let state = folder.join(name.to_lowercase());
        let mut client = Client::open(&state).map_err(phone_error)?;
        client.follow(share).map_err(phone_error)?;
        client.observe(&heard).map_err(phone_error)?;
        Ok(Self {
            name,
            state,
            expected: Vec::new(),
            sealed: 1,
        })
    }

    /// What it should be alerted of: a zone, a level, and the batch that says so.
    pub(super) fn expect(&mut self, zone: &'static str, level: &'static str, batch: &str) {
        self.expected.push((zone, level, batch.to_owned()));
        self.expected.sort();
    }

    /// That so many zones have a sealed part.
    pub(super) const fn expect_sealed(&mut self, parts: u64) {
        self.sealed = parts;
    }

    /// Syncs from the relays; fails unless it found what it should, and in the way it should.
    pub(super) fn sync(&self, ears: &Ears, story: &mut Story) -> Result<Seen, CliError> {
        let name = self.name;
        let mut phone = Client::open(&self.state).map_err(phone_error)?;
        let began = now();
        let synced = phone.sync().map_err(phone_error)?;
        let alerts = phone.alerts().map_err(phone_error)?;
        let ms = millis(began.elapsed().as_millis());
        let mut found: Vec<(&str, &str, String)> = alerts
            .matches
            .iter()
            .map(|found| {
                let zone = found.feed.zone.as_str();
                (zone, found.level.name(), found.batch.to_string())
            })
            .collect();
        found.sort();
        let told: Vec<String> = found
            .iter()
            .map(|(zone, level, _)| format!("somebody {level} ({zone})"))
            .collect();
        let told = match told.as_slice() {
            [] => "is not alerted".to_owned(),
            told => format!("is ALERTED: near {}", told.join(" and ")),
        };
        let report = &synced.report;
        story.tell(
            &format!(
                "{name}'s phone syncs: {} bytes in {} requests, {ms} ms; among it a filter and \
                 both halves of a query.\n{name} {told}.",
                synced.bytes_down, synced.requests
            ),
            json!({
                "step": "phone", "name": name, "bytes_down": synced.bytes_down,
                "requests": synced.requests, "ms": ms, "filters": report.filters,
                "pir_queries": report.pir_queries, "chunks": report.chunks,
                "alerts": found.iter().map(|(zone, level, _)| json!({ "zone": zone, "level": level }))
                    .collect::<Vec<_>>(),
            }),
        )?;
        let expected = self.expected.iter();
        let expected: Vec<_> = expected.map(|(z, l, b)| (*z, *l, b.clone())).collect();
        let looked = (report.filters, report.pir_queries, report.chunks);
        let look = (self.sealed, 2 * self.sealed, self.sealed);
        if found != expected || !alerts.doubts.is_empty() || looked != look {
            let doubts = alerts.doubts.first().map(|doubt| doubt.answer.to_string());
            return Err(wrong(format!(
                "{name} got {found:?} and {doubts:?} from filters, halves and chunks {looked:?}, \
                 where {expected:?} was right; {:?}",
                report.errors
            )));
        }
        Ok(Seen {
            name,
            heard: ears.take(),
        })
    }

    /// How many chunks the sealed part of a batch has, and in which of them an identifier's entry
    /// would be, for all that may stand for it.
    pub(super) fn chunk_of(
        &self,
        batch: &str,
        scheme: Scheme,
        seen: &Observation,
    ) -> Result<(usize, Vec<usize>), CliError> {
        let phone = Client::open(&self.state).map_err(phone_error)?;
        let cid: Cid = batch.parse().map_err(wrong)?;
        let envelope = phone.block(&cid).ok_or_else(|| wrong("no such batch"))?;
        let batch: Signed<Batch> = Signed::open(envelope.bytes()).map_err(wrong)?;
        let part = batch.parts.iter().find_map(|part| match part {
            Part::Sealed(part) => Some(part),
            Part::Open(_) | Part::Unknown(_) => None,
        });
        let part = part.ok_or_else(|| wrong("no sealed part"))?;
        let chunks = Shape::of(part.ids).map_err(wrong)?.chunks();
        let rules = scheme.rules().ok_or_else(|| wrong("no such scheme"))?;
        let (mut at, provider) = (Vec::new(), batch.provider);
        rules.look_ups(seen.id.as_bytes(), seen.at, &provider, &mut |day, id| {
            let hashed = day.filter(|_| rules.timed());
            let hash = IdHash::of(scheme, &batch.salt, hashed, id);
            at.push(hash.tag().chunk(1, chunks));
        });
        Ok((chunks, at))
    }
}

fn phone_error(error: ClientError) -> CliError {
    wrong(error)
}
