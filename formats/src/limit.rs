//! Every bound of the wire, in one place: value, unit, reason. Source: spec §2.6 "Limits".

/// Largest block, in bytes (1 MiB): one block fits one answer of every exchange protocol, Bitswap
/// included.
pub const MAX_BLOCK_BYTES: usize = 1024 * 1024;

/// Largest batch envelope, in bytes (8 KiB): 32 parts with room, and small enough to gossip.
pub const MAX_BATCH_BYTES: usize = 8 * 1024;

/// Largest descriptor envelope, in bytes (32 KiB): every list below at its limit with usual texts.
pub const MAX_DESCRIPTOR_BYTES: usize = 32 * 1024;

/// Most parts in a batch, in items. A provider with more closes a batch early.
pub const MAX_PARTS: u64 = 32;

/// Most links that a part of an unknown kind may hold, in items.
pub const MAX_PART_LINKS: usize = 64;

/// Deepest nesting inside a part of an unknown kind, in levels.
pub const MAX_DEPTH: u8 = 8;

/// Most entries of a map whose keys are not known in advance, in items.
pub const MAX_UNKNOWN_ENTRIES: u64 = 64;

/// Times, sequence numbers and epochs stay below this (2^53), so that every language has them as
/// exact numbers.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Most a descriptor's epoch may grow in one renewal.
pub const MAX_EPOCH_STEP: u64 = 1000;

/// Longest life of a descriptor, in seconds (400 days).
pub const MAX_DESCRIPTOR_LIFE_S: u64 = 400 * 86_400;

/// Latest promise of a next batch, in seconds after `published_at` (7 days).
pub const MAX_NEXT_BY_S: u64 = 7 * 86_400;

/// Latest polite poll hint, in seconds after `published_at` (24 hours).
pub const MAX_NEXT_AFTER_S: u64 = 86_400;

/// A batch published further ahead than this, in seconds, is ignored: some clock is wrong.
pub const MAX_FUTURE_S: u64 = 600;

/// Longest provider name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 128;

/// Longest gateway address, in bytes.
pub const MAX_URL_BYTES: usize = 256;

/// Longest operator name, in bytes of UTF-8.
pub const MAX_OPERATOR_BYTES: usize = 64;

/// Most signing keys of a descriptor, in items.
pub const MAX_KEYS: u64 = 8;

/// Most zones, anchors or peers of a descriptor, in items.
pub const MAX_ZONES: u64 = 64;

/// Most gateways of a descriptor, in items.
pub const MAX_GATEWAYS: u64 = 16;

/// Most notifications of an open part, in items.
pub const MAX_COUNT: u64 = 1 << 20;

/// Fewest padded identifiers of a sealed part, in items.
pub const MIN_SEALED_IDS: u64 = 1 << 13;

/// Most padded identifiers of a sealed part, in items.
pub const MAX_SEALED_IDS: u64 = 1 << 18;

/// Most chunks of a sealed part's body, in items: ceil(2^18 / 545).
pub const MAX_SEALED_CHUNKS: usize = 481;

/// Longest mask of a PIR query, in bytes: a bit for each of the most chunks.
pub const MAX_MASK_BYTES: usize = MAX_SEALED_CHUNKS.div_ceil(8);

/// Most groups of an open body, in items.
pub const MAX_GROUPS: u64 = 4096;

/// Highest grade.
pub const MAX_GRADE: u64 = 100;

/// Size at which a gateway cuts a CAR, in bytes (4 MiB); one more block may follow it.
pub const MAX_CAR_BYTES: usize = 4 * 1024 * 1024;

/// Most roots of a CAR, in items: batches of one answer, or heads of a zone.
pub const MAX_CAR_ROOTS: u64 = 8192;

/// Longest share string, in bytes.
pub const MAX_SHARE_BYTES: usize = 4096;
