//! The board: the conditions of a running node, shared by all its tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Condition, ConditionKind, Subject};

/// The conditions of a node. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<Board>>);

type Key = (ConditionKind, Subject);

#[derive(Debug, Default)]
struct Board {
    /// Conditions that tasks raised and did not clear.
    raised: BTreeMap<Key, Condition>,
    /// Those that were found when somebody last looked.
    computed: Vec<Condition>,
    /// The time of that look.
    computed_at: Option<u64>,
}

impl Conditions {
    /// Raises a condition. One that holds already keeps its time and gets the new text.
    pub fn raise(&self, kind: ConditionKind, subject: Subject, text: impl Into<String>, now: u64) {
        let text = text.into();
        let mut board = self.board();
        let entry = board.raised.entry((kind, subject.clone()));
        let condition = entry.or_insert_with(|| {
            tracing::warn!(condition = kind.name(), %subject, "{text}");
            Condition::new(kind, subject, "").since(now)
        });
        condition.text = text;
    }

    /// Clears a condition, if it holds.
    pub fn clear(&self, kind: ConditionKind, subject: &Subject) {
        let gone = self.board().raised.remove(&(kind, subject.clone()));
        if gone.is_some() {
            tracing::info!(condition = kind.name(), %subject, "is over");
        }
    }

    /// Everything that holds, errors first, each kind and subject together.
    pub fn list(&self) -> Vec<Condition> {
        let board = self.board();
        let mut list: Vec<_> = board.raised.values().chain(&board.computed).collect();
        list.sort_by_key(|condition| {
            let kind = condition.kind;
            (kind.severity(), kind, &condition.subject, &condition.text)
        });
        list.into_iter().cloned().collect()
    }

    /// Puts what was found now in the place of what was found before. A condition that was there
    /// already keeps its time; a new one, of which the begin is not known, begins now.
    pub(crate) fn replace(&self, found: Vec<Condition>, now: u64) {
        let mut board = self.board();
        let known: BTreeMap<Key, Option<u64>> = { board.computed.iter() }
            .map(|old| ((old.kind, old.subject.clone()), old.since))
            .collect();
        let dated = found.into_iter().map(|condition| {
            let key = (condition.kind, condition.subject.clone());
            let known = known.get(&key).copied().flatten();
            let since = condition.since.or(known).or(Some(now));
            Condition { since, ..condition }
        });
        board.computed = dated.collect();
        board.computed_at = Some(now);
    }

    /// Tells whether somebody looked less than so many seconds ago.
    pub(crate) fn is_fresh(&self, now: u64, seconds: u64) -> bool {
        let at = self.board().computed_at;
        at.and_then(|at| now.checked_sub(at))
            .is_some_and(|age| age < seconds)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
