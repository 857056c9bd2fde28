//! What one batch says, before it has bytes. Source: spec §4.5, §4.7, §5.6.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::Window;
use bellwether_formats::id::{Level, RecordId, Scheme};
use bellwether_formats::limit;

use super::open::MAX_BODY_BYTES;
use super::plan;
use crate::store::{Mode, NoteRow, Range, Statement};

/// What one batch says.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The batches whose content it repeats.
    pub(super) covers: Option<(u64, u64)>,
    /// The observation times of which its parts speak; none: as the policy says.
    pub(super) window: Option<Window>,
    /// Notifications that are published as their units.
    pub(super) open: Vec<(RecordId, NoteRow)>,
    /// Notifications that are published as their identifiers, by scheme. A scheme that has none
    /// left has a part all the same, of padding.
    pub(super) sealed: BTreeMap<Scheme, Vec<NoteRow>>,
    /// What it says of each.
    pub(super) says: Vec<(RecordId, Statement)>,
}

impl Content {
    /// What is new, and open notifications whose level changed: as much of what is pending as fits
    /// one batch. A heartbeat if nothing is.
    pub fn new(pending: &[(RecordId, NoteRow)]) -> Self {
        let mut content = Self::default();
        let mut room = Room::default();
        for (record, note) in pending {
            if !room.takes(note) {
                continue;
            }
            content.says.push((*record, note.statement()));
            match note.mode {
                Mode::Open => content.open.push((*record, note.clone())),
                Mode::Sealed => content.seal(note.clone()),
            }
        }
        content
    }

    /// The live content of a sealed batch again, each notification at its level of now. `notes` are
    /// all that the batch published first.
    pub fn revision(range: &Range, notes: &[(RecordId, NoteRow)]) -> Self {
        let mut content = Self::of(range, notes);
        for (record, note) in notes {
            content.says.push((*record, note.statement()));
            if note.is_live() {
                content.seal(note.clone());
            }
        }
        content
    }

    /// The live content of the sealed batches of a range again, each notification at the level that
    /// was published last: a fold says nothing that is new. `notes` are all that the batches
    /// published first.
    pub fn fold(range: &Range, notes: &[(RecordId, NoteRow)]) -> Self {
        let mut content = Self::of(range, notes);
        for (_, note) in notes {
            let published = note.published_level.unwrap_or(Level::NO_ALERT.0);
            if Level(published).alerts() {
                content.seal(NoteRow {
                    level: published,
                    next_grade: None,
                    ..note.clone()
                });
            }
        }
        content
    }

    /// Nothing yet, in every scheme that the range has: what is left of it must not be told by the
    /// parts that there are.
    fn of(range: &Range, notes: &[(RecordId, NoteRow)]) -> Self {
        let (from, to) = range.row.window;
        let schemes = range.row.identifiers().into_keys();
        let schemes = schemes.chain(notes.iter().map(|(_, note)| note.scheme));
        let mut sealed: BTreeMap<Scheme, Vec<NoteRow>> =
            schemes.map(|scheme| (Scheme(scheme), Vec::new())).collect();
        if sealed.is_empty() {
            sealed.insert(Scheme::CX1, Vec::new());
        }
        Self {
            covers: Some((range.first, range.last)),
            window: Some(Window { from, to }),
            sealed,
            ..Self::default()
        }
    }

    fn seal(&mut self, note: NoteRow) {
        let notes = self.sealed.entry(Scheme(note.scheme)).or_default();
        notes.push(note);
    }

    /// How many notifications it holds.
    pub fn notifications(&self) -> usize {
        let sealed: usize = self.sealed.values().map(Vec::len).sum();
        self.open.len() + sealed
    }

    /// How many patients its sealed notifications are of; none if it has no sealed parts.
    pub fn sealed_patients(&self) -> Option<usize> {
        let issues = self.sealed.values().flatten().map(|note| note.issue);
        let patients = issues.collect::<BTreeSet<_>>().len();
        (!self.sealed.is_empty()).then_some(patients)
    }
}

/// How much of a batch is taken: its parts are few.
#[derive(Debug, Default)]
struct Room {
    open: BTreeMap<Scheme, u64>,
    /// Identifiers.
    sealed: BTreeMap<u8, u64>,
    full: bool,
}

impl Room {
    /// Takes a notification if the batch then still has no more parts than it may. Once it is full
    /// it takes no more sealed ones.
    fn takes(&mut self, note: &NoteRow) -> bool {
        let ids = u64::from(note.identifiers());
        match note.mode {
            Mode::Open => *self.open.entry(Scheme(note.scheme)).or_default() += 1,
            Mode::Sealed if self.full => return false,
            Mode::Sealed => *self.sealed.entry(note.scheme).or_default() += ids,
        }
        if self.sealed.is_empty() || self.parts() <= limit::MAX_PARTS {
            return true;
        }
        match note.mode {
            Mode::Open => {
                let count = self.open.entry(Scheme(note.scheme)).or_default();
                *count -= 1;
                if *count == 0 {
                    self.open.remove(&Scheme(note.scheme));
                }
            }
            Mode::Sealed => {
                self.full = true;
                let sum = self.sealed.entry(note.scheme).or_default();
                *sum = sum.saturating_sub(ids);
                if *sum == 0 {
                    self.sealed.remove(&note.scheme);
                }
            }
        }
        false
    }

    fn parts(&self) -> u64 {
        let open = self.open.iter().map(|(scheme, count)| {
            let width = scheme.rules().map(|rules| rules.width().max());
            let unit = width.unwrap_or(MAX_BODY_BYTES).max(1);
            let per_part = u64::try_from(MAX_BODY_BYTES / unit).unwrap_or(1).max(1);
            count.div_ceil(per_part)
        });
        open.sum::<u64>() + plan::parts(&self.sealed)
    }
}
