//! Sealed parts: units become identifiers, identifiers entries, entries blocks. Source: spec §5.
//!
//! Memory is 35 bytes an identifier, and some 25 MB for each of two parts that are being made. Peaks
//! of the whole process, measured: 169 MB at 1000 notifications, 394 MB at 4000. The blocks (68 MB in
//! 8 parts, 272 MB in 32) go to the disk as they come; it needs about six times as much while a batch
//! is prepared and published, for each block is written twice, and takes up to twice its size there.

use std::thread;

use bellwether_formats::batch::{BlockRef, SealedPart, Window};
use bellwether_formats::cid::Block;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme::{Rules, Span, Units};
use bellwether_formats::sealed::{BuildError, BuiltPart, Entry, IdHash, Payload, Plan};
use sha2::{Digest, Sha256};

use super::{Content, DraftError};
use crate::store::NoteRow;

/// Threads that build at once: a node serves others meanwhile.
const THREADS: usize = 2;

/// What all sealed parts of a batch have in common.
pub(super) struct Maker {
    /// The batch's.
    pub(super) salt: [u8; 16],
    /// Bits of a filter's fingerprints.
    pub(super) bits: u8,
    /// The observation times of which the parts speak.
    pub(super) window: Window,
}

impl Maker {
    /// Makes the sealed parts of a batch that is published at `at`; their blocks go to `sink`.
    pub(super) fn parts<E: From<DraftError>>(
        &self,
        content: &Content,
        at: u64,
        random: &mut impl FnMut(&mut [u8]),
        mut sink: impl FnMut(Vec<Block>) -> Result<(), E>,
    ) -> Result<Vec<SealedPart>, E> {
        let mut parts = Vec::new();
        for (scheme, notes) in &content.sealed {
            let entries = self.entries(*scheme, notes, at)?;
            let plan = Plan::new(entries).map_err(DraftError::from)?;
            let numbers: Vec<usize> = (0..plan.parts()).collect();
            for numbers in numbers.chunks(THREADS) {
                let streams: Vec<(usize, Stream)> = numbers
                    .iter()
                    .map(|number| (*number, Stream::new(random)))
                    .collect();
                for part in self.build(&plan, streams).map_err(DraftError::from)? {
                    parts.push(self.part(*scheme, &part));
                    sink(vec![part.filter, part.index])?;
                    sink(part.chunks)?;
                }
            }
        }
        Ok(parts)
    }

    /// Builds some parts at once.
    fn build(
        &self,
        plan: &Plan,
        streams: Vec<(usize, Stream)>,
    ) -> Result<Vec<BuiltPart>, BuildError> {
        let build = |(number, mut stream): (usize, Stream)| {
            plan.part(number, self.bits, &mut |bytes| stream.fill(bytes))
        };
        in_parallel(streams, build).into_iter().collect()
    }

    fn part(&self, scheme: Scheme, part: &BuiltPart) -> SealedPart {
        let size = u64::try_from(part.filter.bytes().len()).unwrap_or(u64::MAX);
        SealedPart {
            scheme,
            window: self.window,
            filter: BlockRef {
                cid: part.filter.cid(),
                size,
            },
            index: part.index.cid(),
            ids: part.ids,
        }
    }

    /// The entries of all identifiers of some notifications.
    fn entries(
        &self,
        scheme: Scheme,
        notes: &[NoteRow],
        at: u64,
    ) -> Result<Vec<Entry>, DraftError> {
        let rules = scheme.rules().ok_or(DraftError::Scheme { scheme })?;
        // The first share has room for the others, so that nothing is copied to and fro.
        let shares = notes.chunks(notes.len().div_ceil(THREADS).max(1));
        let rooms = std::iter::once(notes).chain(shares.clone().skip(1));
        let expand = |(room, notes)| self.expand(rules, notes, room, at);
        let mut shares = in_parallel(rooms.zip(shares).collect(), expand).into_iter();
        let mut all = shares.next().unwrap_or_default();
        for mut share in shares {
            all.append(&mut share);
        }
        Ok(all)
    }

    /// The entries of some notifications, with room for those of others.
    fn expand(
        &self,
        rules: &dyn Rules,
        notes: &[NoteRow],
        room: &[NoteRow],
        at: u64,
    ) -> Vec<Entry> {
        let width = rules.width();
        let whole = || notes.iter().filter(|note| width.takes(note.unit.len()));
        let units = Units::of(width, whole().map(|note| note.unit.as_slice()));
        let payloads: Vec<Payload> = whole().map(|note| payload(note, at)).collect();
        let room: u64 = room.iter().map(|note| u64::from(note.identifiers())).sum();
        let mut entries = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        let (scheme, salt) = (rules.scheme(), &self.salt);
        rules.expand(&units, &mut |unit, identifier, span: Option<Span>| {
            let hash = IdHash::of(scheme, salt, span.map(|span| span.day), identifier);
            let span = span.map(|span| (span.from, span.to));
            let payload = payloads.get(unit).copied();
            entries.extend(payload.map(|payload| Entry::seal(&hash, Payload { span, ..payload })));
        });
        entries
    }
}

/// What the entries of a notification say; their spans are their own.
fn payload(note: &NoteRow, at: u64) -> Payload {
    Payload {
        level: Level(note.level),
        grade_step: Payload::step_of(note.grade_now()),
        observed_before: note.observed_before_at(at),
        span: None,
    }
}

/// Does some work on a thread for each item, and waits for all. The results are in order.
fn in_parallel<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    if items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

/// Random bytes for the padding of one part, from 32 of the system's: parts that are built at the
/// same time need no turn at it.
struct Stream {
    key: [u8; 32],
    block: u64,
}

impl Stream {
    fn new(random: &mut impl FnMut(&mut [u8])) -> Self {
        let mut key = [0; 32];
        random(&mut key);
        Self { key, block: 0 }
    }

    /// Writes the next bytes: hashes of the key and a counter.
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(32) {
            let hash = Sha256::new()
                .chain_update(self.key)
                .chain_update(self.block.to_be_bytes())
                .finalize();
            self.block += 1;
            piece.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
        }
    }
}
