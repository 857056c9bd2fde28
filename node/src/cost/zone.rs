//! How a zone of this provider stands: what it costs, what it hides, and what to do about it.

use bellwether_formats::batch::Part;
use bellwether_formats::id::{FeedId, Zone};

use super::{ClientDay, Cost, DAY_S, MUCH_BYTES, client_day};
use crate::store::{Mode, Store, StoreError, patients};

/// Most batches of a zone that are looked at, newest first: two weeks at one in five minutes.
const MAX_BATCHES: usize = 4096;

/// How far back a mode counts as still being published, in seconds: for so long clients keep it.
const MODE_S: u64 = 14 * DAY_S;

/// Fewer patients than this in a sealed batch hide badly among each other.
pub(crate) const FEW_PATIENTS: usize = 10;

/// What was published in a zone lately.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lately {
    /// What it costs a client a day; nothing before the first batch.
    pub(crate) day: Option<ClientDay>,
    /// Open parts, in the last two weeks.
    pub(crate) open: bool,
    /// Sealed parts, in the last two weeks.
    pub(crate) sealed: bool,
    /// Sealed parts, in the last day, of a scheme that can be open.
    pub(crate) could_be_open: bool,
}

impl Lately {
    /// Looks at the zone's newest batches.
    pub(crate) fn of(
        store: &Store,
        feed: &FeedId,
        interval_s: u64,
        now: u64,
    ) -> Result<Self, StoreError> {
        let day = now.saturating_sub(DAY_S);
        let modes = now.saturating_sub(MODE_S);
        let mut rows = store.rows_since(feed, modes, MAX_BATCHES)?;
        let before = rows.iter().any(|row| row.published_at <= day);
        rows.retain(|row| row.published_at > modes);
        let (mut batches, mut could_be_open) = (Vec::new(), false);
        for row in rows.iter().filter(|row| row.published_at > day) {
            if let Some(batch) = store.batch(row)? {
                batches.push((row.published_at, Cost::of(&batch).total()));
                could_be_open |= batch.parts.iter().any(can_be_open);
            }
        }
        Ok(Self {
            day: client_day(&batches, before, interval_s, now),
            open: rows
                .iter()
                .any(|row| row.bodies().is_ok_and(|bodies| !bodies.is_empty())),
            sealed: rows.iter().any(|row| !row.sealed().is_empty()),
            could_be_open,
        })
    }

    /// The mode that is still published beside `mode`, if so.
    pub(crate) fn beside(&self, mode: Mode) -> Option<Mode> {
        match mode {
            Mode::Open => self.sealed.then_some(Mode::Sealed),
            Mode::Sealed => self.open.then_some(Mode::Open),
        }
    }

    /// What to say if it costs clients much.
    pub(crate) fn advice(&self) -> Option<String> {
        let day = self.day.filter(|day| day.bytes > MUCH_BYTES)?;
        let linkable = match self.could_be_open {
            true => ", or `privacy = \"linkable\"`, cost",
            false => " cost",
        };
        Some(format!(
            "costs a client {} a day ({}); smaller zones, a longer interval{linkable} less",
            megabytes(day.bytes),
            day.basis.name()
        ))
    }
}

/// Whether a part is sealed because its zone is, and not because its scheme always is.
fn can_be_open(part: &Part) -> bool {
    let Part::Sealed(part) = part else {
        return false;
    };
    let rules = part.scheme.rules();
    rules.is_some_and(|rules| !rules.always_sealed())
}

/// Who stands in the newest batch that speaks of somebody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Newest {
    /// Its number.
    pub(crate) seq: u64,
    /// How many patients its notifications are of; nothing if they are not known: of a batch that
    /// came back after a restore the store may have none.
    pub(crate) patients: Option<usize>,
    /// Whether they are sealed.
    pub(crate) sealed: bool,
}

impl Newest {
    /// The newest sealed batch or revision of a zone, and who is left in it; in a zone without, the
    /// newest open batch that published something new. Folds do not count: they hold several.
    pub(crate) fn of(store: &Store, zone: &Zone) -> Result<Option<Self>, StoreError> {
        let ranges = store.ranges(zone)?;
        let sealed = ranges.iter().filter(|range| !range.is_fold());
        if let Some(range) = sealed.max_by_key(|range| range.row.seq) {
            let notes = store.sealed_notes(zone, range.first, range.last)?;
            let left = notes.iter().map(|(_, note)| note);
            let left = left.filter(|note| note.is_published_live());
            return Ok(Some(Self {
                seq: range.row.seq,
                patients: (!notes.is_empty()).then(|| patients(left)),
                sealed: true,
            }));
        }
        let Some(seq) = store.newest_content(zone)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            seq,
            patients: Some(store.patients(zone, seq)?),
            sealed: false,
        }))
    }

    /// What to say if they hide badly among each other.
    pub(crate) fn advice(&self) -> Option<String> {
        // None at all are those that were revoked, or whose time is over.
        let few = |patients: &usize| self.sealed && (1..FEW_PATIENTS).contains(patients);
        let patients = self.patients.filter(few)?;
        Some(few_patients(self.seq, patients))
    }
}

/// What a sealed batch of few patients tells.
pub(crate) fn few_patients(seq: u64, patients: usize) -> String {
    let (who, odds) = match patients {
        1 => ("one patient".to_owned(), "knows".to_owned()),
        _ => (
            format!("{patients} patients"),
            format!("knows with a probability of at least 1/{patients}"),
        ),
    };
    format!(
        "sealed batch {seq} speaks of {who}: who opened two entries of it {odds} that they are one \
         patient's; a longer interval or a larger zone hides them better"
    )
}

/// Bytes as people read them.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
