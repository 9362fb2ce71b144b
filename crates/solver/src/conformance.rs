//! What every cache storage must do. To be called by the tests of those that implement one.
//!
//! Nothing here sleeps. Where something must not happen, it is given many turns to happen.

use std::error::Error;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use graph::{MergeOp, Op};

use crate::cache_storage::CacheStorage;
use crate::keys::{CacheKey, DefinitionKey, KeyParts};

/// How many turns the other side gets to do what it must not do.
const TURNS: usize = 100;

/// A storage that is to be checked.
pub trait Subject {
    /// The storage.
    type Storage: CacheStorage;

    /// The storage; each time as another process would open it, where there are such.
    fn storage(&self) -> Arc<Self::Storage>;

    /// A usable output, another one for each number.
    fn output(&self, number: u32) -> <Self::Storage as CacheStorage>::Output;

    /// The number of an output that [`output`](Self::output) or the storage gave.
    fn number(&self, output: &<Self::Storage as CacheStorage>::Output) -> u32;
}

/// What a storage does wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError<E: Error + 'static> {
    /// It fails.
    #[error("the storage fails")]
    Storage(#[from] E),
    /// It breaks a rule.
    #[error("broken rule: {0}")]
    Broken(&'static str),
}

type Checked<S> = Result<(), ConformanceError<<<S as Subject>::Storage as CacheStorage>::Error>>;

/// Checks everything. The storage is empty at first.
///
/// # Errors
/// What the storage does wrong.
pub async fn check<S: Subject>(subject: &S) -> Checked<S> {
    what_was_not_saved_is_not_there(subject).await?;
    what_was_saved_is_there(subject).await?;
    the_last_save_counts(subject).await?;
    aliases_lead_to_keys(subject).await?;
    records_of_many_writers_are_kept_apart(subject).await?;
    a_lock_is_held_until_it_is_dropped(subject).await?;
    locks_of_two_keys_are_independent(subject).await?;
    who_gives_up_waiting_leaves_nothing_behind(subject).await
}

async fn what_was_not_saved_is_not_there<S: Subject>(subject: &S) -> Checked<S> {
    let storage = subject.storage();
    let nothing = storage.load(key(0)).await?.is_none();
    rule(nothing, "a key without a record has no record")?;
    let nothing = storage.canonical(definition(0)).await?.is_none();
    rule(nothing, "an unknown definition leads nowhere")
}

async fn what_was_saved_is_there<S: Subject>(subject: &S) -> Checked<S> {
    for (number, outputs) in [(1, vec![]), (2, vec![7]), (3, vec![8, 9, 8])] {
        save(subject, key(number), &outputs).await?;
        let loaded = load(subject, key(number)).await?;
        rule(
            loaded == Some(outputs),
            "a record has the outputs that were saved, in their order, for every process",
        )?;
    }
    Ok(())
}

async fn the_last_save_counts<S: Subject>(subject: &S) -> Checked<S> {
    save(subject, key(4), &[1, 2]).await?;
    save(subject, key(4), &[3]).await?;
    let loaded = load(subject, key(4)).await?;
    rule(loaded == Some(vec![3]), "the last save replaces the record")
}

async fn aliases_lead_to_keys<S: Subject>(subject: &S) -> Checked<S> {
    let storage = subject.storage();
    for target in [5, 6] {
        storage.alias(definition(5), key(target)).await?;
        let found = subject.storage().canonical(definition(5)).await?;
        rule(
            found == Some(key(target)),
            "a definition leads to the last key that was noted, with or without a record",
        )?;
    }
    let record = load(subject, key(5)).await?;
    rule(record.is_none(), "an alias is no record")
}

async fn records_of_many_writers_are_kept_apart<S: Subject>(subject: &S) -> Checked<S> {
    let numbers = 32..64;
    let writes = numbers.clone().map(|number: u8| async move {
        save(subject, key(number), &[u32::from(number)]).await?;
        let storage = subject.storage();
        Ok(storage.alias(definition(number), key(number)).await?)
    });
    let done: Checked<S> = join_all(writes).await.into_iter().collect();
    done?;
    for number in numbers {
        let loaded = load(subject, key(number)).await?;
        let found = subject.storage().canonical(definition(number)).await?;
        rule(
            loaded == Some(vec![u32::from(number)]) && found == Some(key(number)),
            "writers at the same time do not disturb one another",
        )?;
    }
    Ok(())
}

async fn a_lock_is_held_until_it_is_dropped<S: Subject>(subject: &S) -> Checked<S> {
    let (first, second) = (subject.storage(), subject.storage());
    let guard = first.lock(key(8)).await?;
    let order = std::sync::Mutex::new(Vec::new());
    let note = |what| {
        if let Ok(mut order) = order.lock() {
            order.push(what);
        }
    };
    let wait = async {
        let guard = second.lock(key(8)).await?;
        note("taken");
        drop(guard);
        Checked::<S>::Ok(())
    };
    let hold = async {
        turns().await;
        note("dropped");
        drop(guard);
    };
    join(wait, hold).await.0?;
    let right = order.lock().is_ok_and(|o| *o == ["dropped", "taken"]);
    rule(right, "a key has one guard at a time")
}

async fn locks_of_two_keys_are_independent<S: Subject>(subject: &S) -> Checked<S> {
    let (first, second) = (subject.storage(), subject.storage());
    let one = first.lock(key(9)).await?;
    let other = second.lock(key(10)).await?;
    save(subject, key(9), &[1]).await?;
    let loaded = load(subject, key(9)).await?;
    drop((one, other));
    rule(loaded == Some(vec![1]), "a guard keeps nobody from records")
}

async fn who_gives_up_waiting_leaves_nothing_behind<S: Subject>(subject: &S) -> Checked<S> {
    let (first, second) = (subject.storage(), subject.storage());
    let guard = first.lock(key(11)).await?;
    {
        let waits = std::pin::pin!(second.lock(key(11)));
        let gives_up = std::pin::pin!(turns());
        futures_util::future::select(waits, gives_up).await;
    }
    drop(guard);
    drop(subject.storage().lock(key(11)).await?);
    Ok(())
}

async fn save<S: Subject>(subject: &S, key: CacheKey, numbers: &[u32]) -> Checked<S> {
    let outputs: Vec<_> = numbers.iter().map(|&n| subject.output(n)).collect();
    let parts = KeyParts {
        name: "a step".to_owned(),
        written: None,
        op: Op::Merge(MergeOp),
        inputs: Vec::new(),
    };
    let storage = subject.storage();
    Ok(storage.save(key, &outputs, &parts).await?)
}

type Loaded<S> =
    Result<Option<Vec<u32>>, ConformanceError<<<S as Subject>::Storage as CacheStorage>::Error>>;

async fn load<S: Subject>(subject: &S, key: CacheKey) -> Loaded<S> {
    let record = subject.storage().load(key).await?;
    Ok(record.map(|outputs| outputs.iter().map(|o| subject.number(o)).collect()))
}

async fn turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

fn rule<E: Error>(kept: bool, rule: &'static str) -> Result<(), ConformanceError<E>> {
    if kept {
        Ok(())
    } else {
        Err(ConformanceError::Broken(rule))
    }
}

const fn key(number: u8) -> CacheKey {
    CacheKey([number; 32])
}

/// Other bytes than those of the key with the same number.
const fn definition(number: u8) -> DefinitionKey {
    DefinitionKey([!number; 32])
}

#[cfg(test)]
mod tests;
