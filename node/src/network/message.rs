//! What nodes ask each other, and the answers. Pure: bytes in, values out. Source: spec §9.3.
//!
//! Both are maps with one key, in the deterministic CBOR of the formats. Envelopes and blocks are
//! bytes here; whoever asked verifies them.

use bellwether_formats::cbor::{Reader, Writer};
use bellwether_formats::cid::Cid;
use bellwether_formats::error::DecodeError;
use bellwether_formats::id::{FeedId, ProviderId, Zone};
use bellwether_formats::limit::{
    MAX_BATCH_BYTES, MAX_BLOCK_BYTES, MAX_DESCRIPTOR_BYTES, MAX_NUMBER,
};

/// Largest request, in bytes (64 KiB): [`MAX_HEADS`] feeds of the longest zone, with room.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Largest response, in bytes: a block, and room for what wraps it.
pub const MAX_RESPONSE_BYTES: usize = MAX_BLOCK_BYTES + 64 * 1024;

/// Most feeds in one question for heads, and most heads in one answer.
pub const MAX_HEADS: u64 = 256;

/// Where an answer of several envelopes is cut, in bytes (512 KiB): half of what a response may
/// be, so that the one that reaches past the cut still fits.
pub const MAX_LIST_BYTES: usize = 512 * 1024;

/// Most batches in one answer: more than [`MAX_LIST_BYTES`] holds of the smallest.
pub const MAX_BATCHES: u64 = 4096;

/// Most blocks in one question: as many chunks of the smaller size as an answer holds.
pub const MAX_BLOCKS: u64 = 128;

/// A question to a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SyncRequest {
    /// The batches of a feed that follow `seq`, oldest first.
    After {
        /// The feed.
        feed: FeedId,
        /// The newest batch that the asker has; 0 for none.
        seq: u64,
    },
    /// A block.
    Block(Cid),
    /// Several blocks, which should be small.
    Blocks(Vec<Cid>),
    /// The newest descriptor of a provider.
    Descriptor(ProviderId),
    /// The newest batch of each of these feeds.
    Heads(Vec<FeedId>),
}

/// What a peer answers.
#[derive(Clone, Eq, PartialEq)]
pub enum SyncResponse {
    /// Envelopes of consecutive batches, cut at [`MAX_LIST_BYTES`]; empty if there are none newer.
    Batches(Vec<Vec<u8>>),
    /// The block's bytes.
    Block(Vec<u8>),
    /// The bytes of those blocks that the peer has, in the order asked, cut at
    /// [`MAX_LIST_BYTES`].
    Blocks(Vec<Vec<u8>>),
    /// The descriptor's envelope.
    Descriptor(Vec<u8>),
    /// Envelopes of newest batches. Feeds that the peer does not know are left out, and so are
    /// those that no longer fit.
    Heads(Vec<Vec<u8>>),
    /// No answer.
    None(NoneReason),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoneReason {
    /// The peer does not have it.
    NotFound,
    /// The peer has too much to do; ask again later, or someone else.
    Busy,
}

impl SyncRequest {
    /// The request as it stands on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(1);
        match self {
            Self::After { feed, seq } => {
                writer.text("after").map(3);
                writer.text("seq").uint(*seq);
                writer.text("zone").text(feed.zone.as_str());
                writer.text("provider").bytes(feed.provider.as_bytes());
            }
            Self::Block(cid) => {
                writer.text("block").link(cid);
            }
            Self::Blocks(cids) => {
                writer.text("blocks").array(cids.len());
                for cid in cids {
                    writer.link(cid);
                }
            }
            Self::Descriptor(provider) => {
                writer.text("descriptor").bytes(provider.as_bytes());
            }
            Self::Heads(feeds) => {
                writer.text("heads").array(feeds.len());
                for feed in feeds {
                    writer.array(2);
                    writer
                        .bytes(feed.provider.as_bytes())
                        .text(feed.zone.as_str());
                }
            }
        }
        writer.finish()
    }

    /// Reads a request that fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for every other spelling, and for whatever is past its limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let after = map.optional("after", |value| {
            let mut map = value.map()?;
            let seq = map.field("seq", |value| value.uint("seq", MAX_NUMBER))?;
            let zone = map.field("zone", zone)?;
            let provider = map.field("provider", provider)?;
            map.end()?;
            Ok(Self::After {
                feed: FeedId { provider, zone },
                seq,
            })
        })?;
        let block = map.optional("block", |value| value.link().map(Self::Block))?;
        let heads = map.optional("heads", |value| {
            value.list("feeds", MAX_HEADS, feed).map(Self::Heads)
        })?;
        let blocks = map.optional("blocks", |value| {
            value
                .list("blocks", MAX_BLOCKS, Reader::link)
                .map(Self::Blocks)
        })?;
        let descriptor =
            map.optional("descriptor", |value| provider(value).map(Self::Descriptor))?;
        map.end()?;
        reader.finish()?;
        the_one([after, block, heads, blocks, descriptor])
    }

    /// What kind of answer this asks for.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::After { .. } => Kind::Batches,
            Self::Block(_) => Kind::Block,
            Self::Blocks(_) => Kind::Blocks,
            Self::Descriptor(_) => Kind::Descriptor,
            Self::Heads(_) => Kind::Heads,
        }
    }
}

/// The kinds of answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Batches,
    Block,
    Blocks,
    Descriptor,
    Heads,
}

impl SyncResponse {
    /// The response as it stands on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(1);
        match self {
            Self::Batches(batches) => byte_strings(writer.text("batches"), batches),
            Self::Block(bytes) => writer.text("block").bytes(bytes),
            Self::Blocks(blocks) => byte_strings(writer.text("blocks"), blocks),
            Self::Descriptor(envelope) => writer.text("descriptor").bytes(envelope),
            Self::Heads(batches) => byte_strings(writer.text("heads"), batches),
            Self::None(reason) => writer.text("none").uint(reason.code()),
        };
        writer.finish()
    }

    /// Reads a response that fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for every other spelling, and for whatever is past its limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let none = map.optional("none", |value| {
            let offset = value.offset();
            match value.uint("reason", u64::MAX)? {
                0 => Ok(Self::None(NoneReason::NotFound)),
                1 => Ok(Self::None(NoneReason::Busy)),
                _ => Err(DecodeError::Value {
                    what: "a reason is 0 or 1",
                    offset,
                }),
            }
        })?;
        let block = map.optional("block", |value| {
            Ok(Self::Block(
                value.bytes("a block", MAX_BLOCK_BYTES)?.to_vec(),
            ))
        })?;
        let heads = map.optional("heads", |value| {
            value.list("heads", MAX_HEADS, envelope).map(Self::Heads)
        })?;
        let blocks = map.optional("blocks", |value| {
            value
                .list("blocks", MAX_BLOCKS, |value| {
                    Ok(value.bytes("a block", MAX_BLOCK_BYTES)?.to_vec())
                })
                .map(Self::Blocks)
        })?;
        let batches = map.optional("batches", |value| {
            value
                .list("batches", MAX_BATCHES, envelope)
                .map(Self::Batches)
        })?;
        let descriptor = map.optional("descriptor", |value| {
            Ok(Self::Descriptor(
                value.bytes("a descriptor", MAX_DESCRIPTOR_BYTES)?.to_vec(),
            ))
        })?;
        map.end()?;
        reader.finish()?;
        the_one([none, block, heads, blocks, batches, descriptor])
    }
}

impl SyncResponse {
    /// Whether this is an answer to what was asked, as far as its kind can tell.
    pub(super) fn answers(&self, asked: Kind) -> bool {
        match self {
            Self::Batches(_) => asked == Kind::Batches,
            Self::Block(_) => asked == Kind::Block,
            Self::Blocks(_) => asked == Kind::Blocks,
            Self::Descriptor(_) => asked == Kind::Descriptor,
            Self::Heads(_) => asked == Kind::Heads,
            Self::None(_) => true,
        }
    }
}

impl std::fmt::Debug for SyncResponse {
    /// Sizes, not bytes: a megabyte of numbers helps nobody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batches(batches) => write!(f, "Batches({})", batches.len()),
            Self::Block(bytes) => write!(f, "Block({} bytes)", bytes.len()),
            Self::Blocks(blocks) => write!(f, "Blocks({})", blocks.len()),
            Self::Descriptor(envelope) => write!(f, "Descriptor({} bytes)", envelope.len()),
            Self::Heads(batches) => write!(f, "Heads({})", batches.len()),
            Self::None(reason) => write!(f, "None({reason:?})"),
        }
    }
}

impl NoneReason {
    const fn code(self) -> u64 {
        match self {
            Self::NotFound => 0,
            Self::Busy => 1,
        }
    }
}

fn provider(value: &mut Reader<'_>) -> Result<ProviderId, DecodeError> {
    value.fixed("a provider").map(ProviderId::from_bytes)
}

fn zone(value: &mut Reader<'_>) -> Result<Zone, DecodeError> {
    let offset = value.offset();
    let text = value.text("a zone", Zone::MAX_LEN)?;
    text.parse().map_err(|_| DecodeError::Value {
        what: "not a zone",
        offset,
    })
}

fn feed(value: &mut Reader<'_>) -> Result<FeedId, DecodeError> {
    let offset = value.offset();
    match value.array("a feed", 2)? {
        2 => Ok(FeedId {
            provider: provider(value)?,
            zone: zone(value)?,
        }),
        _ => Err(DecodeError::Type {
            expected: "provider and zone",
            offset,
        }),
    }
}

fn envelope(value: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    Ok(value.bytes("a batch", MAX_BATCH_BYTES)?.to_vec())
}

fn byte_strings<'w>(writer: &'w mut Writer, list: &[Vec<u8>]) -> &'w mut Writer {
    writer.array(list.len());
    for bytes in list {
        writer.bytes(bytes);
    }
    writer
}

/// The one variant that was found; a message is a map with exactly one key.
fn the_one<T, const N: usize>(found: [Option<T>; N]) -> Result<T, DecodeError> {
    let mut found = found.into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(DecodeError::Value {
            what: "a message has exactly one field",
            offset: 0,
        }),
    }
}

#[cfg(test)]
mod tests;
