use std::cell::Cell;

use bellwether_formats::id::Level;

use super::*;
use crate::fixture::{Provider, part};
use crate::observations::{ContactId, Family, Observation};
use crate::sync::parts;
use crate::trust::Place;

/// Lets the process die before its n-th step of writing.
#[derive(Debug, Default)]
pub(super) struct Steps {
    taken: Cell<u32>,
    die_at: Cell<Option<u32>>,
    pub(super) hasty: Cell<bool>,
}

impl Steps {
    pub(super) fn step(&self) -> io::Result<()> {
        let taken = self.taken.get();
        self.taken.set(taken + 1);
        match self.die_at.get() {
            Some(at) if taken >= at => Err(io::Error::other("died")),
            _ => Ok(()),
        }
    }
}

const NOW: u64 = 1_795_253_400;

/// A state that follows a feed of `seqs` batches, the last with a body; and its blocks.
fn state(seqs: u64) -> (State, Vec<Block>) {
    let provider = Provider::new(1, NOW);
    let (part, body) = part(NOW - 60, &[(7, Level::DIAGNOSED)]);
    let heartbeats = provider.heartbeats(seqs - 1, NOW - 120);
    let last = provider.batch(heartbeats.last(), NOW - 60, vec![part.clone()]);
    let mut feed = Feed::new(provider.feed());
    let mut blocks = vec![body.clone()];
    for batch in heartbeats.iter().chain([&last]) {
        let (parts, problems) = parts::judge(batch, NOW, |_| Some(&body));
        assert_eq!(problems, []);
        feed.accept(batch, Place::Next, parts);
        blocks.extend(parts::envelope(batch));
    }
    let mut state = State::default();
    let observation = Observation {
        id: ContactId::from([7; 16]),
        at: NOW,
        family: Family::Cx,
    };
    state.observations.record(&[observation], NOW).unwrap();
    state.followed.push(Followed {
        provider: provider.id(),
        pins: vec![Pin {
            url: "https://a.example".into(),
            operator: "A".into(),
        }],
        descriptor: Some(provider.signed()),
        feeds: vec![feed],
    });
    (state, blocks)
}

fn bytes(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(state, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_kept_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("phone");
    let (state, blocks) = state(3);
    let (store, empty) = Store::open(&dir).unwrap();
    assert!(empty.followed.is_empty());
    store.put(&blocks).unwrap();
    store.save(&state).unwrap();
    drop(store);
    let (store, read) = Store::open(&dir).unwrap();
    assert_eq!(bytes(&read), bytes(&state));
    for cid in read.blocks() {
        assert!(store.block(&cid).is_some());
    }
    fs::write(
        dir.join("blocks").join(blocks[0].cid().to_string()),
        b"spoilt",
    )
    .unwrap();
    assert!(store.block(&blocks[0].cid()).is_none());
    store.put(&blocks).unwrap();
    assert!(
        store.block(&blocks[0].cid()).is_some(),
        "a spoilt block is written again"
    );
}

/// A sync's commit — blocks, state, sweep — dies before each of its steps in turn: what is read
/// then is the old state or the new one, with all the blocks that it names.
#[test]
fn a_crash_at_any_step_leaves_the_old_state_or_the_new() {
    let mut seen = [0, 0];
    for die_at in 0.. {
        let (old, old_blocks) = state(2);
        let (mut new, new_blocks) = state(4);
        let other = Observation {
            id: ContactId::from([8; 16]),
            at: NOW,
            family: Family::Cx,
        };
        new.observations.record(&[other], NOW).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        store.put(&old_blocks).unwrap();
        store.save(&old).unwrap();
        store.steps.taken.set(0);
        store.steps.die_at.set(Some(die_at));
        let done = store
            .put(&new_blocks)
            .and_then(|()| store.save(&new))
            .and_then(|()| store.sweep(&new));
        drop(store);

        let (store, read) = Store::open(folder.path()).unwrap();
        let is_new = bytes(&read) == bytes(&new);
        let count = read.observations.since(0).count();
        assert_eq!(count, if is_new { 2 } else { 1 }, "step {die_at}");
        assert!(is_new || bytes(&read) == bytes(&old), "step {die_at}");
        for cid in read.blocks() {
            assert!(
                store.block(&cid).is_some(),
                "step {die_at}: {cid} is missing"
            );
        }
        seen[usize::from(is_new)] += 1;
        store
            .put(&new_blocks)
            .and_then(|()| store.save(&new))
            .and_then(|()| store.sweep(&new))
            .unwrap();
        let files = fs::read_dir(folder.path().join("blocks")).unwrap().count();
        assert_eq!(files, new.blocks().count(), "nothing is left over");
        if done.is_ok() {
            break;
        }
    }
    assert!(seen[0] > 10 && seen[1] > 1, "{seen:?}");
}

#[test]
fn another_format_and_broken_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.cbor");
    let right = bytes(&state(2).0);
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Store::open(folder.path()).map(|_| ()).unwrap_err()
    };
    let next = State {
        format: 2,
        ..State::default()
    };
    assert!(matches!(
        open(&bytes(&next)),
        StateError::Format { found: 2, .. }
    ));
    assert!(matches!(
        open(&[&right[..], b"x"].concat()),
        StateError::Malformed { .. }
    ));
    for cut in (0..right.len()).step_by(7) {
        assert!(
            matches!(open(&right[..cut]), StateError::Malformed { .. }),
            "cut at {cut}"
        );
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("phone");
    let (store, _) = Store::open(&dir).unwrap();
    store.save(&state(2).0).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("state.cbor"))), (0o700, 0o600));
}

#[test]
fn a_sync_does_not_write_the_observations_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut state, _) = state(3);
    let (store, _) = Store::open(folder.path()).unwrap();
    let files = || -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("observations")).collect()
    };
    store.save(&state).unwrap();
    let first = files();
    assert_eq!(first.len(), 1);
    fs::remove_file(folder.path().join(&first[0])).unwrap();
    store.save(&state.clone()).unwrap();
    assert_eq!(files(), [""; 0], "what is written is not written again");
    let other = Observation {
        id: ContactId::from([8; 64]),
        at: NOW,
        family: Family::Fanny,
    };
    state.observations.record(&[other], NOW).unwrap();
    store.save(&state).unwrap();
    let second = files();
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    drop(store);
    let (store, read) = Store::open(folder.path()).unwrap();
    let kept: Vec<&Observation> = read.observations.since(0).collect();
    assert_eq!(kept, state.observations.since(0).collect::<Vec<_>>());
    drop(store);
    fs::write(folder.path().join(&second[0]), b"\x01other").unwrap();
    let refused = Store::open(folder.path()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StateError::Malformed { .. }));
}
