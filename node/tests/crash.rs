//! The store's disk fails at its n-th write operation, for all n from creation on, in four ways.
//! What is found afterwards is the state before or after the interrupted commit, all that was
//! acknowledged is there, and the node goes on to the same end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_node::store::Store;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

mod disk;
mod script;

use disk::{Disk, Loss};
use script::{Provider, SCRIPT, SEALED, Step};

/// Every row of every table.
type State = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// The states that the model allows: `[i]` after the first `i` steps.
struct Model {
    script: &'static [Step],
    states: Vec<State>,
    signed: usize,
    operations: u64,
}

#[test]
fn the_failing_write_is_kept() {
    every_write_may_fail(Loss::FailingKept);
}

#[test]
fn the_failing_write_is_lost() {
    every_write_may_fail(Loss::FailingLost);
}

#[test]
fn all_since_the_last_sync_is_lost() {
    every_write_may_fail(Loss::UnsyncedLost);
}

#[test]
fn half_of_what_came_since_the_last_sync_is_lost() {
    every_write_may_fail(Loss::UnsyncedTorn);
}

/// A sealed batch has hundreds of writes, most of them blocks: every one in so many fails, in each
/// way another one.
#[test]
fn some_writes_of_sealed_batches_fail() {
    let model = model(&SEALED);
    let losses = [
        Loss::FailingKept,
        Loss::FailingLost,
        Loss::UnsyncedLost,
        Loss::UnsyncedTorn,
    ];
    for (first, loss) in (1..).zip(losses) {
        writes_fail(&model, first, SEALED_STRIDE, loss);
    }
}

/// How many writes lie between two that fail, in the script of sealed batches.
const SEALED_STRIDE: u64 = 53;

fn every_write_may_fail(loss: Loss) {
    writes_fail(&model(&SCRIPT), 1, 1, loss);
}

/// Lets every `stride`-th write fail, from the `first` on.
fn writes_fail(model: &Model, first: u64, stride: u64, loss: Loss) {
    let mut n = first;
    while survives(model, n, loss) {
        n += stride;
    }
    let operations = model.operations;
    eprintln!("{loss:?}: {operations} write operations, every {stride}. failed");
    assert!(
        (operations + 1..=operations + stride).contains(&n),
        "the failures reach every write of the script"
    );
}

/// Runs a script without a failure.
fn model(script: &'static [Step]) -> Model {
    let dir = scratch();
    let mut provider = Provider::new(dir.path());
    let disk = Disk::default();
    let store = Store::with_backend(disk.clone()).unwrap();
    let mut states = vec![read(&disk.survivors())];
    for step in script {
        provider.run(*step, &store).unwrap();
        states.push(read(&disk.survivors()));
        assert_eq!(store.faults().unwrap(), Vec::<String>::new(), "{step:?}");
    }
    for (i, pair) in states.windows(2).enumerate() {
        assert_ne!(pair[0], pair[1], "step {i} does something");
    }
    drop(store);
    Model {
        script,
        states,
        signed: provider.signed.len(),
        operations: disk.operations(),
    }
}

/// Lets write operation `n` fail and goes on afterwards. False if the script has fewer.
fn survives(model: &Model, n: u64, loss: Loss) -> bool {
    let what = format!("operation {n}, {loss:?}");
    let dir = scratch();
    let mut provider = Provider::new(dir.path());
    let disk = Disk::default();
    disk.fail_at(n, loss);
    let acknowledged = match Store::with_backend(disk.clone()) {
        Ok(store) => {
            let mut acknowledged = 0;
            while let Some(step) = model.script.get(acknowledged) {
                match provider.run(*step, &store) {
                    Ok(()) => acknowledged += 1,
                    Err(error) => {
                        assert!(disk.has_failed(), "{what}: {step:?}: {error}");
                        let next = store.set_meta("name", b"value").unwrap_err();
                        assert!(next.is_fatal(), "{what}: {next}");
                        break;
                    }
                }
            }
            Some(acknowledged)
        }
        Err(_) => None,
    };
    if !disk.has_failed() {
        return false;
    }
    let Some(acknowledged) = acknowledged else {
        // A store that was not made is not there: it gets its name last. `init` begins anew.
        return true;
    };
    let bytes = fail_again(disk.survivors(), n, loss);
    let found = read(&bytes);
    let done = usize::from(found != model.states[acknowledged]);
    let expected = model.states.get(acknowledged + done);
    assert!(
        expected == Some(&found),
        "{what}: {acknowledged} steps acknowledged"
    );
    finish(model, &mut provider, bytes, acknowledged, done, &what);
    true
}

/// The power fails once more while the store is being repaired.
fn fail_again(bytes: Vec<u8>, n: u64, loss: Loss) -> Vec<u8> {
    let disk = Disk::with_bytes(bytes);
    disk.fail_at(1 + n % 5, loss);
    drop(Store::with_backend(disk.clone()));
    disk.survivors()
}

/// Goes on after the failure. What was interrupted is asked for again, whether it was done or not.
fn finish(
    model: &Model,
    provider: &mut Provider,
    bytes: Vec<u8>,
    acknowledged: usize,
    done: usize,
    what: &str,
) {
    let disk = Disk::with_bytes(bytes);
    let store = Store::with_backend(disk.clone()).unwrap();
    assert_eq!(store.faults().unwrap(), Vec::<String>::new(), "{what}");
    for (i, step) in model.script.iter().enumerate().skip(acknowledged) {
        if i < acknowledged + done && !step.is_repeatable() {
            continue;
        }
        provider
            .run(*step, &store)
            .unwrap_or_else(|error| panic!("{what}: then {step:?}: {error}"));
    }
    assert_eq!(store.faults().unwrap(), Vec::<String>::new(), "{what}");
    drop(store);
    let end = read(&disk.survivors());
    assert!(model.states.last() == Some(&end), "{what}: another end");
    assert_eq!(provider.signed.len(), model.signed, "{what}");
}

/// Reads all rows, past the store's own code. Since when a block is loose is the machine's clock.
fn read(bytes: &[u8]) -> State {
    let disk = Disk::with_bytes(bytes.to_vec());
    let db = Database::builder().create_with_backend(disk).unwrap();
    let tx = db.begin_read().unwrap();
    let mut state = State::new();
    for table in tx.list_tables().unwrap() {
        let name = table.name().to_owned();
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
        for entry in tx.open_table(table).unwrap().iter().unwrap() {
            let (key, value) = entry.unwrap();
            let key = (name.clone(), key.value().to_vec());
            // Since when a block is loose is read from the clock.
            let by_clock = name == "loose";
            let value = if by_clock { &[] } else { value.value() };
            state.insert(key, value.to_vec());
        }
    }
    state
}

/// A directory for the signer; in memory where there is such a file system, for it is synced often.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
