//! Asks for what looks were drawn. A machine without I/O, as [`crate::sync`] is. Source: spec §11.7.
//!
//! It is given looks, and neither observations nor candidates: whether a chunk was wanted cannot
//! show in what is asked, of whom, in which order, or how often.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bellwether_formats::cid::Cid;
use bellwether_formats::descriptor::Gateway;
use bellwether_formats::id::{ObjectId, ProviderId, Zone};
use bellwether_formats::sealed::{Index, Shape};

use crate::sealed::{Kind, SealedPart, Which};
use crate::sync::{Answer, Problem, Request};
use pir::Pir;
use plain::Plain;

mod operators;
mod pir;
mod plain;

pub(crate) use operators::{Half, Halves, Operators};

/// Most sendings of the same thing in one sync, in items. What is still missing is asked for in the
/// next one.
const MAX_SENDINGS: usize = 4;

/// How often a gateway may fail to answer before it is left alone for the rest of a sync: each time
/// may cost the whole time that a request has.
const MAX_FAILURES: usize = 2;

/// Which part. In this order parts are asked for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) provider: ProviderId,
    pub(crate) zone: Zone,
    pub(crate) seq: u64,
    pub(crate) batch: ObjectId,
    /// Its position in the batch.
    pub(crate) part: usize,
}

/// A look that is to be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    key: Key,
    which: Which,
    kind: Kind,
    index: Cid,
    chunks: Arc<Index>,
    shape: Shape,
    operators: Arc<Operators>,
}

/// What to do next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Ask, then call [`Confirm::answer`].
    Fetch(Request),
    /// Give this to the part ([`SealedPart::apply`]) and persist it, then go on.
    Keep(Box<Record>),
    /// Nothing is left to do.
    Done,
}

/// What is to be persisted of a look.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) key: Key,
    pub(crate) which: Which,
    pub(crate) what: What,
}

/// What came of a look, or is about to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// Who will have been sent which half after the next request.
    Sending(Halves),
    /// All that was asked for is there: numbers of chunks, and their bytes. Their CIDs were checked.
    Verified(Vec<(usize, Vec<u8>)>),
}

/// What came of all looks so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Totals {
    /// Halves sent.
    pub(crate) pir_queries: u64,
    /// Chunks whose CID was checked.
    pub(crate) chunks: u64,
    /// What went wrong on the way.
    pub(crate) errors: Vec<Problem>,
}

/// Asks for every open look.
#[derive(Debug)]
pub(crate) struct Confirm {
    tasks: VecDeque<Task>,
    running: Option<Run>,
    steps: VecDeque<Step>,
    context: Context,
}

/// A look that is being asked for.
#[derive(Debug)]
enum Run {
    Pir(Box<Pir>),
    Plain(Plain),
}

/// What a look that is being asked for wants next.
#[derive(Debug)]
enum Next {
    Ask(Request),
    Keep(What),
    /// It is there, or not to be had in this sync.
    Over,
}

/// What all looks of a sync share.
#[derive(Debug, Default)]
struct Context {
    /// The part whose look is being asked for.
    about: Option<(Key, Which)>,
    /// How often each address failed to answer.
    failures: BTreeMap<String, usize>,
    totals: Totals,
}

impl Task {
    /// The task of every look of `part` that is open; `index` lists its chunks.
    pub(crate) fn of(
        part: &SealedPart,
        key: &Key,
        index: &Arc<Index>,
        operators: &Arc<Operators>,
    ) -> Vec<Self> {
        let Ok(shape) = part.shape() else {
            return Vec::new();
        };
        let task = |(which, kind): (Which, &Kind)| Self {
            key: key.clone(),
            which,
            kind: kind.clone(),
            index: part.index,
            chunks: Arc::clone(index),
            shape,
            operators: Arc::clone(operators),
        };
        part.open_looks().map(task).collect()
    }
}

impl Confirm {
    /// Starts on looks that were persisted as they stand.
    pub(crate) fn new(mut tasks: Vec<Task>) -> Self {
        tasks.sort_by(|a, b| (&a.key, a.which).cmp(&(&b.key, b.which)));
        Self {
            tasks: tasks.into(),
            running: None,
            steps: VecDeque::new(),
            context: Context::default(),
        }
    }

    /// The next thing to do. A request is given again until it is answered.
    pub(crate) fn poll(&mut self) -> Step {
        loop {
            match self.steps.front() {
                Some(Step::Fetch(request)) => return Step::Fetch(request.clone()),
                Some(Step::Keep(_) | Step::Done) => {
                    return self.steps.pop_front().unwrap_or(Step::Done);
                }
                None => {}
            }
            if !self.advance() {
                return Step::Done;
            }
        }
    }

    /// Takes the answer to the request that [`poll`](Self::poll) gave last. Unasked ones are
    /// dropped.
    pub(crate) fn answer(&mut self, answer: Answer) {
        if !matches!(self.steps.front(), Some(Step::Fetch(_))) {
            return;
        }
        self.steps.pop_front();
        match &mut self.running {
            Some(Run::Pir(run)) => run.answer(&mut self.context, answer),
            Some(Run::Plain(run)) => run.answer(&mut self.context, answer),
            None => {}
        }
    }

    /// What came of it so far.
    pub(crate) const fn totals(&self) -> &Totals {
        &self.context.totals
    }

    /// Goes on to the next step; false at the end.
    fn advance(&mut self) -> bool {
        let next = match &mut self.running {
            Some(Run::Pir(run)) => run.next(&mut self.context),
            Some(Run::Plain(run)) => run.next(&mut self.context),
            None => {
                let Some(task) = self.tasks.pop_front() else {
                    return false;
                };
                self.context.about = Some((task.key.clone(), task.which));
                self.running = Run::of(task);
                return true;
            }
        };
        match next {
            Next::Ask(request) => self.steps.push_back(Step::Fetch(request)),
            Next::Keep(what) => {
                if let Some((key, which)) = self.context.about.clone() {
                    let record = Record { key, which, what };
                    self.steps.push_back(Step::Keep(Box::new(record)));
                }
            }
            Next::Over => self.running = None,
        }
        true
    }
}

impl Run {
    fn of(task: Task) -> Option<Self> {
        match &task.kind {
            Kind::Pir { .. } => Some(Self::Pir(Box::new(Pir::of(task)?))),
            Kind::Whole | Kind::Decoys { .. } | Kind::Lean { .. } => {
                Some(Self::Plain(Plain::of(task)))
            }
        }
    }
}

impl Context {
    /// Whether the gateway is left alone for the rest of the sync.
    fn is_dead(&self, gateway: &Gateway) -> bool {
        self.failures.get(&gateway.url).copied().unwrap_or(0) >= MAX_FAILURES
    }

    fn blame(&mut self, gateway: Option<&Gateway>, rule: &'static str, message: String) {
        let Some((key, _)) = &self.about else { return };
        let problem = Problem {
            gateway: gateway.map(|gateway| gateway.url.clone()),
            provider: key.provider.to_string(),
            zone: Some(key.zone.to_string()),
            rule,
            message,
        };
        // The same may be wrong with every part of a feed; once is enough.
        if !self.totals.errors.contains(&problem) {
            self.totals.errors.push(problem);
        }
    }

    /// Takes note of a gateway that did not answer, or has not what was asked for; gives the body
    /// otherwise.
    fn body(&mut self, gateway: &Gateway, answer: Answer) -> Option<Vec<u8>> {
        let (rule, message) = match answer {
            Answer::Body(bytes) => return Some(bytes),
            Answer::Failed(message) => {
                *self.failures.entry(gateway.url.clone()).or_default() += 1;
                ("unreachable", message)
            }
            Answer::NotFound => ("not-found", "the gateway does not have it".to_owned()),
            Answer::NotModified => ("not-found", "status 304 to no validator".to_owned()),
        };
        self.blame(Some(gateway), rule, message);
        None
    }

    fn verified(&mut self, chunks: usize) {
        let chunks = u64::try_from(chunks).unwrap_or(u64::MAX);
        self.totals.chunks = self.totals.chunks.saturating_add(chunks);
    }
}

#[cfg(test)]
mod tests;
