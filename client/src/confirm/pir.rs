//! One query of two operators, until its chunk is there or nobody is left to ask. Source: spec
//! §11.7.

use bellwether_formats::cid::{Cid, Codec};
use bellwether_formats::descriptor::Gateway;
use bellwether_formats::pir::{self, Mask};

use super::operators::{Half, Halves, Operator};
use super::{Context, MAX_SENDINGS, Next, Task, What};
use crate::sealed::Kind;
use crate::sync::{Answer, Request};

/// Most gateways of one operator that are sent the same half in one sync: others should have their
/// turn.
const MAX_OF_ONE_OPERATOR: usize = 2;

/// A query in this sync.
#[derive(Debug)]
pub(super) struct Pir {
    index: Cid,
    number: usize,
    chunk: Cid,
    chunk_bytes: usize,
    halves: Halves,
    /// Those who can be asked, in the order drawn.
    operators: Vec<Operator>,
    a: Side,
    b: Side,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Start,
    Going,
    /// A sending that was persisted, or needs not be.
    Send(Sending),
    /// A sending whose answer is awaited.
    Sent(Sending),
    Found(Vec<u8>),
    Over,
}

/// Which half goes to which operator's gateway.
#[derive(Clone, Debug)]
struct Sending {
    half: Half,
    operator: usize,
    gateway: Gateway,
}

/// What was done about one half in this sync.
#[derive(Debug)]
struct Side {
    mask: Vec<u8>,
    sent: Vec<Sending>,
    /// Operators that answered, and what; nothing if it cannot be an answer.
    answers: Vec<(Sending, Option<Vec<u8>>)>,
}

impl Pir {
    pub(super) fn of(task: Task) -> Option<Self> {
        let Kind::Pir {
            chunk: number,
            mask,
            order,
            halves,
        } = task.kind
        else {
            return None;
        };
        let mask = Mask::decode(&mask, task.shape.chunks()).ok()?;
        let flipped = mask.flipped(number).ok()?;
        let operators = task.operators.drawn(&order);
        Some(Self {
            index: task.index,
            number,
            chunk: task.chunks.cid(number)?,
            chunk_bytes: task.shape.chunk_bytes(),
            halves,
            operators: operators.into_iter().cloned().collect(),
            a: Side::of(&mask),
            b: Side::of(&flipped),
            stage: Stage::Start,
        })
    }

    pub(super) fn next(&mut self, context: &mut Context) -> Next {
        match std::mem::replace(&mut self.stage, Stage::Going) {
            Stage::Start => self.start(context),
            Stage::Going | Stage::Sent(_) => self.go_on(context),
            Stage::Send(sending) => self.send(context, sending),
            Stage::Found(bytes) => {
                context.verified(1);
                self.stage = Stage::Over;
                Next::Keep(What::Verified([(self.number, bytes)].into()))
            }
            Stage::Over => {
                self.stage = Stage::Over;
                Next::Over
            }
        }
    }

    pub(super) fn answer(&mut self, context: &mut Context, answer: Answer) {
        let Stage::Sent(sending) = std::mem::replace(&mut self.stage, Stage::Going) else {
            return;
        };
        let Some(bytes) = context.body(&sending.gateway, answer) else {
            return;
        };
        let (found, expected) = (bytes.len(), self.chunk_bytes);
        if found != expected {
            let message = format!("an answer of {found} bytes to a query, expected {expected}");
            context.blame(Some(&sending.gateway), "pir", message);
            self.side_mut(sending.half).answers.push((sending, None));
            return;
        }
        let half = sending.half;
        let right = self.side(half.other()).bodies().find_map(|(_, other)| {
            let chunk = pir::combine(&bytes, other).ok()?;
            (Cid::of(Codec::Raw, &chunk) == self.chunk).then(|| (chunk, other.to_vec()))
        });
        if let Some((chunk, other)) = right {
            self.name_liars(context, half, &bytes);
            self.name_liars(context, half.other(), &other);
            self.stage = Stage::Found(chunk);
        }
        let answer = (sending, Some(bytes));
        self.side_mut(half).answers.push(answer);
    }

    /// Decides who gets which half first, so that neither half takes the only operator of the
    /// other.
    fn start(&mut self, context: &mut Context) -> Next {
        let (first, second) = (self.order(Half::A, context), self.order(Half::B, context));
        let mut pairs = first
            .iter()
            .flat_map(|a| second.iter().map(move |b| (*a, *b)));
        let pair = pairs.find(|(a, b)| a != b);
        let Some(news) = pair.and_then(|(a, b)| self.give_both(a, b)) else {
            let message = "fewer than two operators can be asked now".to_owned();
            context.blame(None, "unreachable", message);
            self.stage = Stage::Over;
            return Next::Over;
        };
        if news {
            Next::Keep(What::Sending(self.halves.clone()))
        } else {
            self.go_on(context)
        }
    }

    fn give_both(&mut self, a: usize, b: usize) -> Option<bool> {
        let mut halves = self.halves.clone();
        let a = halves.give(Half::A, self.operators.get(a)?)?;
        let b = halves.give(Half::B, self.operators.get(b)?)?;
        self.halves = halves;
        Some(a || b)
    }

    /// Chooses what is sent next: a half without an answer; else, since somebody lied, either half
    /// to somebody else, which may show who.
    fn go_on(&mut self, context: &mut Context) -> Next {
        let missing = |half: &Half| self.side(*half).bodies().next().is_none();
        let missing = Half::BOTH.into_iter().find(missing);
        let turns = match missing {
            Some(half) => vec![half],
            None if self.a.sent.len() <= self.b.sent.len() => vec![Half::A, Half::B],
            None => vec![Half::B, Half::A],
        };
        for half in turns {
            if let Some((sending, news)) = self.choose(half, context) {
                if news {
                    self.stage = Stage::Send(sending);
                    return Next::Keep(What::Sending(self.halves.clone()));
                }
                return self.send(context, sending);
            }
        }
        if missing.is_none() {
            self.name_suspects(context);
        }
        self.stage = Stage::Over;
        Next::Over
    }

    /// Who gets `half` next, and whether that is to be persisted first.
    fn choose(&mut self, half: Half, context: &Context) -> Option<(Sending, bool)> {
        if self.side(half).sent.len() >= MAX_SENDINGS {
            return None;
        }
        let operator = self.order(half, context).into_iter().next()?;
        let gateway = self.untried(half, operator, context)?;
        let news = self.halves.give(half, self.operators.get(operator)?)?;
        let sending = Sending {
            half,
            operator,
            gateway,
        };
        Some((sending, news))
    }

    fn send(&mut self, context: &mut Context, sending: Sending) -> Next {
        let totals = &mut context.totals;
        totals.pir_queries = totals.pir_queries.saturating_add(1);
        let request = Request {
            gateway: sending.gateway.clone(),
            path: format!("/v1/pir/{}", self.index),
            max_bytes: self.chunk_bytes,
            validator: None,
            body: Some(self.side(sending.half).mask.clone()),
        };
        self.side_mut(sending.half).sent.push(sending.clone());
        self.stage = Stage::Sent(sending);
        Next::Ask(request)
    }

    /// The operators that can be given `half` now: those who had it before, then the others, both
    /// in the order drawn.
    fn order(&self, half: Half, context: &Context) -> Vec<usize> {
        let can = |(number, operator): &(usize, &Operator)| {
            self.halves.may(half, operator) && self.untried(half, *number, context).is_some()
        };
        let operators = self.operators.iter().enumerate().filter(can);
        let (had, new): (Vec<_>, Vec<_>) =
            operators.partition(|(_, operator)| self.halves.has(half, operator));
        had.into_iter()
            .chain(new)
            .map(|(number, _)| number)
            .collect()
    }

    /// A gateway of an operator that was not sent `half` in this sync, unless the operator answered
    /// already.
    fn untried(&self, half: Half, operator: usize, context: &Context) -> Option<Gateway> {
        let side = self.side(half);
        let answered = side
            .answers
            .iter()
            .any(|(sent, _)| sent.operator == operator);
        let sent = || side.sent.iter().filter(|sent| sent.operator == operator);
        if answered || sent().count() >= MAX_OF_ONE_OPERATOR {
            return None;
        }
        let untried = |gateway: &&Gateway| {
            !context.is_dead(gateway) && sent().all(|sent| sent.gateway.url != gateway.url)
        };
        let gateways = &self.operators.get(operator)?.gateways;
        gateways.iter().find(untried).cloned()
    }

    /// Answers to one half are equal, or somebody lied.
    fn name_liars(&self, context: &mut Context, half: Half, right: &[u8]) {
        for (sending, bytes) in self.side(half).bodies() {
            if bytes != right {
                let message = "its answer to a query was wrong".to_owned();
                context.blame(Some(&sending.gateway), "pir", message);
            }
        }
    }

    /// No two answers make the chunk, so of every two at least one is wrong.
    fn name_suspects(&self, context: &mut Context) {
        for half in Half::BOTH {
            for (sending, _) in self.side(half).bodies() {
                let message = "its answer to a query, or the other operator's, was wrong";
                context.blame(Some(&sending.gateway), "pir", message.to_owned());
            }
        }
    }

    const fn side(&self, half: Half) -> &Side {
        match half {
            Half::A => &self.a,
            Half::B => &self.b,
        }
    }

    const fn side_mut(&mut self, half: Half) -> &mut Side {
        match half {
            Half::A => &mut self.a,
            Half::B => &mut self.b,
        }
    }
}

impl Side {
    fn of(mask: &Mask) -> Self {
        Self {
            mask: mask.as_bytes().to_vec(),
            sent: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The answers that may be right.
    fn bodies(&self) -> impl Iterator<Item = (&Sending, &[u8])> {
        let answers = self.answers.iter();
        answers.filter_map(|(sending, bytes)| Some((sending, bytes.as_deref()?)))
    }
}
