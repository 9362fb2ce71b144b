//! Tables, and how an older database becomes a newer one.
//!
//! `user_version` counts the migrations that were applied. A database that has more than we know
//! belongs to a newer kiln.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Result, StoreError};

const MIGRATIONS: &[&str] = &[
    include_str!("v1.sql"),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
];

/// How the schema compares with ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// The same.
    Current,
    /// Migrations are missing.
    Older,
}

/// Compares the schema with ours.
pub(crate) fn check(connection: &Connection) -> Result<Age> {
    let applied = applied(connection)?;
    match applied.cmp(&newest()) {
        std::cmp::Ordering::Equal => Ok(Age::Current),
        std::cmp::Ordering::Less => Ok(Age::Older),
        std::cmp::Ordering::Greater => Err(StoreError::Schema {
            found: applied,
            known: newest(),
        }),
    }
}

/// Applies what is missing, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied = applied(&transaction)?;
    for (version, migration) in (1..).zip(MIGRATIONS) {
        if version > applied {
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
        }
    }
    Ok(transaction.commit()?)
}

fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

fn applied(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_databases_become_new_ones_with_what_they_hold() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO record (key, created, used, layers, value, parts)
                 VALUES (x'01', 1, 2, x'', x'03', x'')",
            )
            .unwrap();
        assert_eq!(check(&connection).unwrap(), Age::Older);
        migrate(&mut connection).unwrap();
        assert_eq!(check(&connection).unwrap(), Age::Current);
        let select = "SELECT value, kind, description FROM record";
        let row: (Vec<u8>, String, String) = connection
            .query_row(select, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, (vec![3], "regular".to_owned(), String::new()));
    }
}
