//! A known batch, and what became of its parts.

use bellwether_formats::batch::Window;
use bellwether_formats::chain::Head;
use bellwether_formats::cid::Cid;
use bellwether_formats::id::ObjectId;
use serde::{Deserialize, Serialize};

use super::ranges::Choice;
use crate::sealed::{SealedPart, Stage};
use crate::serial;

/// A batch that was believed and processed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the batch, spec §4.2")]
pub struct KnownBatch {
    pub seq: u64,
    #[serde(with = "serial::object")]
    pub id: ObjectId,
    #[serde(with = "serial::maybe_object")]
    pub prev: Option<ObjectId>,
    pub epoch: u64,
    pub published_at: u64,
    pub next_by: u64,
    /// The envelope's block.
    #[serde(with = "serial::text")]
    pub cid: Cid,
    /// It is on another branch than the head.
    pub side: bool,
    /// The batches whose live content it has again, first and last. An older state lacks it, and
    /// has it in the sealed parts alone.
    #[serde(default)]
    pub covers: Option<(u64, u64)>,
    /// What is done with its sealed parts, once that is chosen.
    #[serde(default)]
    pub choice: Option<Choice>,
    pub parts: Vec<KnownPart>,
}

/// A part of a known batch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPart {
    /// The scheme's code; of a part of an unknown kind, none.
    pub scheme: Option<u8>,
    /// The kind's code, of a part of an unknown kind; an older state does not say.
    #[serde(default)]
    pub kind: Option<u64>,
    /// First second of the window.
    pub from: u64,
    /// First second after the window.
    pub to: u64,
    /// What became of it.
    pub body: Body,
}

/// What became of a part.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Body {
    /// Its body is kept, and was tested against all observations below a number.
    Kept {
        /// The body's block.
        #[serde(with = "serial::text")]
        cid: Cid,
        /// The number of the first observation that it was not tested against.
        tested: u64,
    },
    /// It was kept, and its block is gone or damaged. The next sync fetches it again.
    Lost {
        /// The body's block.
        #[serde(with = "serial::text")]
        cid: Cid,
        /// The number of the first observation that it was not tested against.
        tested: u64,
    },
    /// A version before this one could not read it, or it was past the retention when it came. The
    /// next sync fetches it, if something can still match it.
    Unfetched {
        /// The body's block.
        #[serde(with = "serial::text")]
        cid: Cid,
        /// The block's size, in bytes, as the part says.
        size: u64,
        /// How many notifications it holds, as the part says.
        count: u64,
    },
    /// The provider published a body that breaks a rule. What it says is not known.
    Broken,
    /// It is sealed: its filter says what is possible, and looks at its body what is true.
    Sealed(Box<SealedPart>),
    /// Of a kind, scheme, fold or rung of the ladder that this version does not read.
    Unread,
}

impl KnownBatch {
    /// What the rules of the chain need to know of it.
    pub const fn as_head(&self) -> Head {
        Head {
            seq: self.seq,
            id: self.id,
            epoch: self.epoch,
            published_at: self.published_at,
            next_by: self.next_by,
        }
    }
}

impl Body {
    /// The blocks that are kept of it.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Cid> + use<> {
        let blocks = match self {
            Self::Kept { cid, .. } => [Some(*cid), None],
            Self::Sealed(sealed) if sealed.stage == Stage::Held => {
                [Some(sealed.filter), Some(sealed.index)]
            }
            Self::Lost { .. }
            | Self::Unfetched { .. }
            | Self::Broken
            | Self::Sealed(_)
            | Self::Unread => [None, None],
        };
        blocks.into_iter().flatten()
    }
}

impl KnownPart {
    /// The observation times that it speaks of.
    pub const fn window(&self) -> Window {
        Window {
            from: self.from,
            to: self.to,
        }
    }
}
