//! What goes into the replicator, and what comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Cid};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ObjectId, Zone};
use bellwether_formats::sealed::Shape;
use bellwether_formats::signed::Signed;

use crate::network::{NoneReason, PeerId, SyncRequest};
use crate::relay::RefuseError;
use crate::store::Disowning;

/// The time, twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// For rules: seconds of UTC.
    pub utc: u64,
    /// For waiting: since some start, never going back.
    pub at: Duration,
}

/// What the store knows of a feed.
#[derive(Clone, Debug)]
pub struct KnownFeed {
    /// The feed.
    pub feed: FeedId,
    /// Its newest batch.
    pub head: Option<Head>,
    /// Whether a proof of equivocation is kept.
    pub forked: bool,
    /// Whether this node publishes it.
    pub own: bool,
}

/// What happened outside.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are explained with their variants")]
pub enum Input {
    /// A peer is connected. `jitter` is any number, drawn for it.
    Connected { peer: PeerId, jitter: u32 },
    /// It is gone.
    Disconnected { peer: PeerId },
    /// A peer passed on a batch; it waits for its verdict under `token`.
    Gossip {
        peer: PeerId,
        token: u64,
        batch: Box<Signed<Batch>>,
    },
    /// What came of a question.
    Answer { tag: u64, answer: Answer },
    /// This node has published a batch; it is in the store.
    Published(Box<Signed<Batch>>),
    /// This node's own provider has a new descriptor; it is in the store.
    Renewed(Box<Signed<Descriptor>>),
    /// The head of a feed after [`Job::Commit`] or [`Job::Anchor`], whether or not that went well.
    Stored { feed: FeedId, head: Option<Head> },
    /// The blocks of [`Job::Lookup`] that the store does not have.
    Lacks {
        feed: FeedId,
        batch: ObjectId,
        cids: Vec<Cid>,
    },
    /// The chunks of [`Job::Chunks`] that the store does not have; none if the index block lists no
    /// chunks of such a part.
    Chunks {
        feed: FeedId,
        batch: ObjectId,
        part: usize,
        cids: Option<Vec<Cid>>,
    },
    /// Beginning of a feed ([`Job::Oldest`]), and how many bytes all blocks take.
    Oldest {
        feed: FeedId,
        oldest: Option<Oldest>,
        used: u64,
    },
    /// Tells whether a batch was kept ([`Job::CommitOlder`]), and how many bytes all blocks take.
    StoredOlder { feed: FeedId, kept: bool, used: u64 },
    /// A proof of equivocation is kept.
    Forked { feed: FeedId },
    /// Time has passed.
    Tick,
}

/// The oldest batch of a feed that is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Oldest {
    /// Its number.
    pub seq: u64,
    /// The batch before it.
    pub prev: ObjectId,
    /// Time when it was published, in seconds of UTC.
    pub published_at: u64,
}

/// An answer, verified as far as it can be without knowing the question's reason.
#[derive(Debug)]
pub enum Answer {
    /// Newest batches.
    Heads(Vec<Signed<Batch>>),
    /// Consecutive batches.
    Batches(Vec<Signed<Batch>>),
    /// The block that was asked for.
    Block(Block),
    /// Some of the blocks that were asked for, one at least.
    Blocks(Vec<Block>),
    /// A descriptor.
    Descriptor(Box<Signed<Descriptor>>),
    /// The peer has nothing to give.
    None(NoneReason),
    /// No answer came, or none could: nobody's fault.
    Failed,
    /// Bytes that no honest peer sends.
    Bad,
}

/// What the driver must do, in this order.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are explained with their variants")]
pub enum Output {
    /// Ask a peer; the outcome comes back under `tag`.
    Ask {
        peer: PeerId,
        tag: u64,
        request: SyncRequest,
    },
    /// What a gossiped batch is worth.
    Judged {
        token: u64,
        result: Result<(), RefuseError>,
    },
    /// Something for the store.
    Store(Job),
    /// A peer has a batch of this node's own feed that the store lacks.
    Fence { zone: Zone, order: (u64, u64) },
    /// Something that an operator should read.
    Note(Note),
}

/// Work for the store.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are explained with their variants")]
pub enum Job {
    /// Keep a descriptor, the newest of its provider.
    Descriptor(Box<Signed<Descriptor>>),
    /// Say which of these blocks are missing: [`Input::Lacks`].
    Lookup {
        feed: FeedId,
        batch: ObjectId,
        cids: Vec<Cid>,
    },
    /// Say which chunks of a sealed part are missing: [`Input::Chunks`].
    Chunks(Box<List>),
    /// Keep blocks ahead of their batch.
    Keep(Vec<Block>),
    /// Keep a batch with the blocks that were missing: [`Input::Stored`]. The chunks of sealed parts
    /// at the positions in `broken` are not kept, but the one that shows why.
    Commit {
        batch: Box<Signed<Batch>>,
        blocks: Vec<Block>,
        broken: BTreeMap<usize, Cid>,
    },
    /// Say where a feed begins: [`Input::Oldest`].
    Oldest(FeedId),
    /// Keep a batch with the blocks that were missing as the oldest of its feed:
    /// [`Input::StoredOlder`].
    CommitOlder {
        batch: Box<Signed<Batch>>,
        blocks: Vec<Block>,
        broken: BTreeMap<usize, Cid>,
    },
    /// Drop all batches of a feed.
    Forget(FeedId),
    /// Drop the batches that an anchor disowns, if the head is one: then [`Input::Stored`].
    Anchor { feed: FeedId, disowning: Disowning },
    /// Keep the proof that a provider signed two batches of one number.
    Fork {
        one: Box<Signed<Batch>>,
        other: Box<Signed<Batch>>,
    },
    /// Keep the proof if the store has another batch of this number: then [`Input::Forked`].
    Compare(Box<Signed<Batch>>),
}

/// A sealed part of which the chunks are to be listed.
#[derive(Debug)]
pub struct List {
    /// The feed of the batch.
    pub feed: FeedId,
    /// The batch.
    pub batch: ObjectId,
    /// The part's position in it.
    pub part: usize,
    /// The part's index block.
    pub index: Cid,
    /// The same with its bytes, if the store does not have it yet.
    pub block: Option<Block>,
    /// What the part's `ids` decide.
    pub shape: Shape,
}

/// What an operator should read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields are explained with their variants")]
pub enum Note {
    /// An anchor disowned the head.
    Anchored { feed: FeedId, seq: u64 },
    /// A provider signed two batches of one number.
    Forked { feed: FeedId },
    /// Nobody has the batches after the head any more; the chain starts anew, at `seq`.
    Restarted { feed: FeedId, seq: u64 },
    /// Batches or blocks were not found; the next round tries again.
    GaveUp { feed: FeedId, what: &'static str },
    /// A batch is larger than all blocks together may be: the feed stays where it is.
    TooLarge { feed: FeedId, seq: u64, bytes: u64 },
    /// A peer broke the rules of the exchange.
    Blamed { peer: PeerId, what: &'static str },
}

/// What was done since the start; for `status` and metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Gossiped batches that count and were passed on.
    pub accepted: u64,
    /// Gossiped batches ignored: nobody is to blame.
    pub ignored: u64,
    /// Batches committed.
    pub committed: u64,
    /// Batches committed below the oldest that was kept.
    pub filled: u64,
    /// Batches or blocks given up until the next round.
    pub fetch_failures: u64,
    /// Answers that no honest peer sends.
    pub bad_answers: u64,
    /// Proofs of equivocation.
    pub forks: u64,
    /// Bodies that are not of the size which their batch says: the provider's fault.
    pub wrong_sizes: u64,
    /// Answers to questions for heads.
    pub heads_answered: u64,
}

/// How a feed is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeedStatus {
    /// The newest batch in the store.
    pub head: Option<Head>,
    /// Number of the newest batch seen at a peer, if it is not here yet.
    pub behind: Option<u64>,
    /// When a peer last showed its newest batch or a newer one, in seconds of UTC.
    pub seen_at: Option<u64>,
    /// Whether a proof of equivocation is kept.
    pub forked: bool,
    /// Number of the batch after the head, if that is larger than the disk cap.
    pub too_large: Option<u64>,
    /// Time since when no peer has shown what is published here, in seconds of UTC, if that is three
    /// rounds of anti-entropy or more.
    pub not_relayed: Option<u64>,
}
