//! What to fetch next, and what not to. A machine without I/O: an app may drive it with its own
//! HTTP stack, as [`crate::Client::sync`] does with this crate's. Source: spec §11.2.
//!
//! It knows the feeds followed and their trust state, and never an observation: what it asks for
//! is a function of public data and chance.

use std::collections::{BTreeMap, VecDeque};

use bellwether_formats::cid::Block;
use bellwether_formats::descriptor::{Descriptor, Gateway};
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::signed::Signed;
use serde::Serialize;

use crate::confirm::{self, Confirm, Record, Totals};
use crate::state::Followed;
use crate::trust::Feed;
use context::Context;
use feed::FeedSync;

mod context;
mod feed;
pub(crate) mod parts;
mod read;

/// How many gateways are asked for the descriptor and for the heads, where as many are known: a
/// single one could show everybody a story of its own. Source: spec §1.4, §11.2.
const WITNESSES: usize = 2;

/// Something to ask a gateway for: an HTTP GET, or a POST where there is something to send, without
/// cookies, cache or redirects, with the same headers for every installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Whom to ask.
    pub gateway: Gateway,
    /// What for; to be put behind the gateway's address.
    pub path: String,
    /// Most bytes that a right answer has. Stop reading beyond.
    pub max_bytes: usize,
    /// The value of `If-None-Match`, if that header is to be sent.
    pub validator: Option<String>,
    /// What to POST, as `application/octet-stream`; a GET without.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// The whole address.
    pub fn url(&self) -> String {
        format!("{}{}", self.gateway.url, self.path)
    }
}

/// What came of a [`Request`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Status 200, with a body.
    Body(Vec<u8>),
    /// Status 304.
    NotModified,
    /// Status 404.
    NotFound,
    /// No answer, any other status, or too many bytes; with what to tell people.
    Failed(String),
}

/// What to do next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Ask, then call [`Sync::answer`].
    Fetch(Request),
    /// Match and persist this ([`Client::keep`](crate::Client::keep)), then go on. If that fails,
    /// stop: do not poll on, for what is sent next must have been persisted.
    Keep(Box<Keep>),
    /// All feeds are through: draw the looks at sealed parts
    /// ([`Client::draw`](crate::Client::draw)), then go on. If that fails, stop.
    Draw,
    /// Nothing is left to do.
    Done,
}

/// What was verified and is to be kept, in one commit.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Whose it is.
    pub provider: ProviderId,
    /// A descriptor that replaces the one held.
    pub descriptor: Option<Signed<Descriptor>>,
    /// The feed's new trust state.
    pub feed: Option<Feed>,
    /// The envelopes and bodies that the state names.
    pub blocks: Vec<Block>,
    /// What came of a look, or is about to.
    pub(crate) look: Option<Record>,
}

/// Which gateways have a feed, as they said in this sync.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Listing {
    pub(crate) feed: FeedId,
    /// All gateways known for its provider, in the order drawn.
    pub(crate) known: Vec<Gateway>,
    /// Addresses of those that named a newest batch, and its number.
    pub(crate) heads: BTreeMap<String, u64>,
}

/// What came of a sync so far.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Batches that are new.
    pub batches: u64,
    /// Bodies that are new.
    pub bodies: u64,
    /// Filters that are new, with their indexes.
    pub filters: u64,
    /// Halves of queries sent.
    pub pir_queries: u64,
    /// Chunks of sealed parts that are new.
    pub chunks: u64,
    /// What went wrong on the way. A feed may have been reached nevertheless.
    pub errors: Vec<Problem>,
    /// The feeds followed.
    pub feeds: Vec<Outcome>,
}

/// Something that went wrong.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The gateway that was asked, if one is to blame or was out of reach.
    pub gateway: Option<String>,
    /// Whose feed.
    pub provider: String,
    /// Which feed, if it was about one.
    pub zone: Option<String>,
    /// The broken rule's name, as in the spec; `unreachable`, `not-found`, `old-answer` or `anchor`
    /// for what is no rule of a format.
    pub rule: &'static str,
    /// What to tell people.
    pub message: String,
}

/// Whether a feed was reached.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// Whose feed.
    pub provider: String,
    /// Its zone.
    pub zone: String,
    /// Whether a gateway answered with what is not older than the own head, and gave all that leads to the newest batch it named.
    pub reached: bool,
    /// Number of the newest batch known now.
    pub head: Option<u64>,
}

/// A sync of everything that is followed.
#[derive(Debug)]
pub struct Sync {
    context: Context,
    providers: VecDeque<Followed>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Provider,
    Descriptor(Witnesses, VecDeque<Feed>),
    Feed(Box<FeedSync>, VecDeque<Feed>),
    Draw,
    Looks(Box<Confirm>),
    Done,
}

/// Gateways still to be asked for something that two should say.
#[derive(Debug, Default)]
struct Witnesses {
    to_ask: VecDeque<usize>,
    asking: usize,
    answered: usize,
}

impl Sync {
    /// Starts a sync at `now` (seconds of UTC); `random` decides which gateways are asked first.
    pub fn new(followed: Vec<Followed>, now: u64, random: u64) -> Self {
        Self {
            context: Context::new(now, random),
            providers: followed.into(),
            stage: Stage::Provider,
        }
    }

    /// Takes another time than `now` when it deletes what is past the retention, or leaves it.
    pub(crate) fn deleting_at(mut self, horizon: u64) -> Self {
        self.context.horizon = horizon;
        self
    }

    /// The next thing to do. A request is given again until it is answered.
    pub fn poll(&mut self) -> Step {
        loop {
            match self.context.steps.front() {
                Some(Step::Fetch(request)) => return Step::Fetch(request.clone()),
                Some(Step::Keep(_) | Step::Draw | Step::Done) => {
                    return self.context.steps.pop_front().unwrap_or(Step::Done);
                }
                None => {}
            }
            if let Stage::Looks(confirm) = &mut self.stage {
                match confirm.poll() {
                    confirm::Step::Fetch(request) => return Step::Fetch(request),
                    confirm::Step::Keep(record) => return Step::Keep(Box::new(Keep::of(*record))),
                    confirm::Step::Done => {
                        self.context.report.add(confirm.totals());
                        self.stage = Stage::Done;
                    }
                }
            }
            if !self.advance() {
                return Step::Done;
            }
        }
    }

    /// Takes the answer to the request that [`poll`](Self::poll) gave last. Unasked ones are
    /// dropped.
    pub fn answer(&mut self, answer: Answer) {
        if let Stage::Looks(confirm) = &mut self.stage {
            return confirm.answer(answer);
        }
        if !matches!(self.context.steps.front(), Some(Step::Fetch(_))) {
            return;
        }
        let request = self.context.steps.pop_front();
        match &mut self.stage {
            Stage::Provider | Stage::Draw | Stage::Looks(_) | Stage::Done => {}
            Stage::Descriptor(witnesses, _) => {
                let asked_again = matches!(
                    request,
                    Some(Step::Fetch(Request {
                        validator: Some(_),
                        ..
                    }))
                );
                if self
                    .context
                    .descriptor_answer(witnesses.asking, asked_again, answer)
                {
                    witnesses.answered += 1;
                }
            }
            Stage::Feed(feed, _) => feed.answer(&mut self.context, answer),
        }
    }

    /// When it was started, in seconds of UTC.
    pub(crate) const fn now(&self) -> u64 {
        self.context.now
    }

    /// Who has a feed, if a gateway was found that does.
    pub(crate) fn listing(&self, feed: &FeedId) -> Option<&Listing> {
        let mut listings = self.context.listings.iter();
        listings.find(|listing| listing.feed == *feed)
    }

    /// Goes on with looks, which were persisted as drawn.
    pub(crate) fn look(&mut self, confirm: Confirm) {
        if matches!(self.stage, Stage::Draw) {
            self.stage = Stage::Looks(Box::new(confirm));
        }
    }

    /// What came of it so far, without what is wrong inside chunks:
    /// [`Client::end_sync`](crate::Client::end_sync) gives that.
    pub const fn report(&self) -> &Report {
        &self.context.report
    }

    /// Goes on to the next step; false at the end.
    fn advance(&mut self) -> bool {
        let context = &mut self.context;
        match &mut self.stage {
            Stage::Draw | Stage::Looks(_) | Stage::Done => return false,
            Stage::Provider => {
                let Some(next) = self.providers.pop_front() else {
                    self.stage = Stage::Draw;
                    context.steps.push_back(Step::Draw);
                    return true;
                };
                let feeds = context.start(next);
                self.stage = Stage::Descriptor(Witnesses::new(context.alive()), feeds);
            }
            Stage::Descriptor(witnesses, feeds) => match witnesses
                .next(|gateway| context.is_dead(gateway))
            {
                Some(gateway) => context.ask_descriptor(gateway),
                None => {
                    context.find_gateways();
                    let mut feeds = std::mem::take(feeds);
                    self.stage = match feeds.pop_front() {
                        Some(feed) => Stage::Feed(Box::new(FeedSync::new(feed, context)), feeds),
                        None => Stage::Provider,
                    };
                }
            },
            Stage::Feed(feed, feeds) => {
                if !feed.advance(context) {
                    match feeds.pop_front() {
                        Some(next) => **feed = FeedSync::new(next, context),
                        None => self.stage = Stage::Provider,
                    }
                }
            }
        }
        true
    }
}

impl Keep {
    fn of(record: Record) -> Self {
        Self {
            provider: record.key.provider,
            descriptor: None,
            feed: None,
            blocks: Vec::new(),
            look: Some(record),
        }
    }
}

impl Report {
    fn add(&mut self, looks: &Totals) {
        self.pir_queries += looks.pir_queries;
        self.chunks += looks.chunks;
        self.errors.extend(looks.errors.iter().cloned());
    }
}

impl Witnesses {
    fn new(to_ask: Vec<usize>) -> Self {
        Self {
            to_ask: to_ask.into(),
            ..Self::default()
        }
    }

    /// The next gateway to ask, until enough have answered.
    fn next(&mut self, dead: impl Fn(usize) -> bool) -> Option<usize> {
        if self.answered >= WITNESSES {
            return None;
        }
        self.asking =
            std::iter::from_fn(|| self.to_ask.pop_front()).find(|gateway| !dead(*gateway))?;
        Some(self.asking)
    }
}

#[cfg(test)]
mod tests;
