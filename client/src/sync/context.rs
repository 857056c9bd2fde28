//! What all stages of a provider's sync share: whom to ask, what was decided, what went wrong.

use std::collections::{BTreeSet, VecDeque};

use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::{Descriptor, Gateway};
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::limit;
use bellwether_formats::signed::Signed;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{Answer, Keep, Listing, Problem, Report, Request, Step};
use crate::confirm::Operators;
use crate::horizon::Times;
use crate::policy;
use crate::state::Followed;
use crate::trust::{self, DescriptorError, Feed};

/// What all stages of a provider's sync share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) now: u64,
    /// The time to take for now when something is left or deleted for its age.
    pub(super) horizon: u64,
    pub(super) random: u64,
    pub(super) provider: ProviderId,
    pub(super) pins: Vec<Gateway>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) descriptor: Option<Signed<Descriptor>>,
    /// Addresses that did not answer. They are not waited for again in this sync.
    pub(super) dead: BTreeSet<String>,
    pub(super) steps: VecDeque<Step>,
    pub(super) report: Report,
    pub(super) listings: Vec<Listing>,
}

impl Context {
    pub(super) const fn times(&self) -> Times {
        Times {
            now: self.now,
            horizon: self.horizon,
        }
    }

    pub(super) fn new(now: u64, random: u64) -> Self {
        Self {
            now,
            horizon: now,
            random,
            provider: ProviderId::from_bytes([0; 32]),
            pins: Vec::new(),
            gateways: Vec::new(),
            descriptor: None,
            dead: BTreeSet::new(),
            steps: VecDeque::new(),
            report: Report::default(),
            listings: Vec::new(),
        }
    }

    /// Turns to a provider; gives its feeds.
    pub(super) fn start(&mut self, followed: Followed) -> VecDeque<Feed> {
        self.provider = followed.provider;
        self.descriptor = followed.descriptor;
        self.pins = followed.pins.iter().map(Gateway::from).collect();
        self.gateways.clear();
        self.find_gateways();
        if self.gateways.is_empty() {
            let message = "no gateway is known".to_owned();
            self.blame(None, None, "unreachable", message);
        }
        followed.feeds.into()
    }

    /// Adds gateways that the descriptor names and that were not known; the others keep their place.
    pub(super) fn find_gateways(&mut self) {
        let named = self
            .descriptor
            .as_ref()
            .map_or(&[][..], |held| &held.gateways);
        if self.gateways.is_empty() {
            self.gateways = policy::order(&self.pins, named, self.random);
        } else {
            self.gateways = policy::again(&self.gateways, named, self.random);
        }
    }

    /// Numbers of the gateways that can be asked, in order.
    pub(super) fn alive(&self) -> Vec<usize> {
        policy::witnesses(&self.gateways, |gateway| self.dead.contains(&gateway.url))
    }

    pub(super) fn is_dead(&self, gateway: usize) -> bool {
        self.gateways
            .get(gateway)
            .is_none_or(|gateway| self.dead.contains(&gateway.url))
    }

    /// Tells whether a gateway's address is one of `urls`.
    pub(super) fn is_one_of(&self, gateway: usize, urls: &[&str]) -> bool {
        let gateway = self.gateways.get(gateway);
        gateway.is_some_and(|gateway| urls.contains(&gateway.url.as_str()))
    }

    /// Who runs the gateways known; of these, those `listed` can be asked.
    fn operators(&self, listed: &[usize]) -> Operators {
        let listed: BTreeSet<&str> = listed
            .iter()
            .filter_map(|gateway| Some(self.gateways.get(*gateway)?.url.as_str()))
            .collect();
        Operators::of(&self.gateways, |known| listed.contains(known.url.as_str()))
    }

    /// How many operators run the gateways `listed`.
    pub(super) fn operators_of(&self, listed: &[usize]) -> usize {
        self.operators(listed).drawn(&[0; 16]).len()
    }

    /// Takes note of the number of the feed's newest batch at each gateway that named one.
    pub(super) fn list(&mut self, feed: &FeedId, heads: &[(usize, u64)]) {
        let gateway = |index: usize| self.gateways.get(index).cloned();
        self.listings.push(Listing {
            feed: feed.clone(),
            known: self.gateways.clone(),
            heads: heads
                .iter()
                .filter_map(|(index, seq)| Some((gateway(*index)?.url, *seq)))
                .collect(),
        });
    }

    /// Asks the next of `others` that can be asked for a block of at most `max` bytes; gives whom.
    pub(super) fn fetch_block(
        &mut self,
        others: &mut VecDeque<usize>,
        cid: &Cid,
        max: usize,
    ) -> Option<usize> {
        let gateway =
            std::iter::from_fn(|| others.pop_front()).find(|other| !self.is_dead(*other))?;
        self.fetch(gateway, format!("/ipfs/{cid}?format=raw"), max, None);
        Some(gateway)
    }

    pub(super) fn fetch(
        &mut self,
        gateway: usize,
        path: String,
        max_bytes: usize,
        validator: Option<String>,
    ) {
        if let Some(gateway) = self.gateways.get(gateway).cloned() {
            self.steps.push_back(Step::Fetch(Request {
                gateway,
                path,
                max_bytes,
                validator,
                body: None,
            }));
        }
    }

    pub(super) fn keep(
        &mut self,
        descriptor: Option<Signed<Descriptor>>,
        feed: Option<Feed>,
        blocks: Vec<Block>,
    ) {
        self.steps.push_back(Step::Keep(Box::new(Keep {
            provider: self.provider,
            descriptor,
            feed,
            blocks,
            look: None,
        })));
    }

    pub(super) fn blame(
        &mut self,
        gateway: Option<usize>,
        feed: Option<&FeedId>,
        rule: &'static str,
        message: String,
    ) {
        let gateway = gateway.and_then(|gateway| self.gateways.get(gateway));
        self.report.errors.push(Problem {
            gateway: gateway.map(|gateway| gateway.url.clone()),
            provider: self.provider.to_string(),
            zone: feed.map(|feed| feed.zone.to_string()),
            rule,
            message,
        });
    }

    /// Takes note of a gateway that did not answer, or has not what was asked for; gives the body
    /// otherwise.
    pub(super) fn body(
        &mut self,
        gateway: usize,
        feed: Option<&FeedId>,
        answer: Answer,
    ) -> Option<Vec<u8>> {
        match answer {
            Answer::Body(bytes) => return Some(bytes),
            Answer::Failed(message) => {
                let url = self
                    .gateways
                    .get(gateway)
                    .map(|gateway| gateway.url.clone());
                self.dead.extend(url);
                self.blame(Some(gateway), feed, "unreachable", message);
            }
            Answer::NotFound => {
                self.blame(
                    Some(gateway),
                    feed,
                    "not-found",
                    "the gateway does not have it".to_owned(),
                );
            }
            Answer::NotModified => {
                self.blame(
                    Some(gateway),
                    feed,
                    "not-found",
                    "status 304 to no validator".to_owned(),
                );
            }
        }
        None
    }

    pub(super) fn ask_descriptor(&mut self, gateway: usize) {
        let path = format!("/v1/providers/{}/descriptor", self.provider);
        // The hash is our own, of public bytes: it tells the gateway nothing about this device.
        let validator = self
            .descriptor
            .as_ref()
            .map(|held| format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(held.envelope()))));
        self.fetch(gateway, path, limit::MAX_DESCRIPTOR_BYTES, validator);
    }

    /// Whether the answer counts as a witness's.
    pub(super) fn descriptor_answer(
        &mut self,
        gateway: usize,
        asked_again: bool,
        answer: Answer,
    ) -> bool {
        if asked_again && answer == Answer::NotModified {
            return true;
        }
        let Some(bytes) = self.body(gateway, None, answer) else {
            return false;
        };
        let taken = match Signed::open(&bytes) {
            Ok(descriptor) => self
                .offer_descriptor(descriptor)
                .map_err(|error| (error.rule(), error.to_string())),
            Err(error) => Err((error.rule(), error.to_string())),
        };
        if let Err((rule, message)) = taken {
            self.blame(Some(gateway), None, rule, message);
            return false;
        }
        true
    }

    pub(super) fn offer_descriptor(
        &mut self,
        new: Signed<Descriptor>,
    ) -> Result<(), DescriptorError> {
        if trust::replaces(self.descriptor.as_ref(), self.provider, &new, self.now)? {
            self.descriptor = Some(new.clone());
            self.keep(Some(new), None, Vec::new());
        }
        Ok(())
    }
}
