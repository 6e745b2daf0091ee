//! Values as columns of a row, each validated when it is read. Knows no tables.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use quiver_protocol::{ClientName, FilePath, Fingerprint, OfferId, Timestamp};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Result, Row};

use crate::address::ServerAddress;

/// A valid value that was read from a column.
#[derive(Debug)]
pub(super) struct ColumnValue<T>(pub(super) T);

/// The value of a column that is never null.
pub(super) fn value<T>(row: &Row<'_>, column: &str) -> Result<T>
where
    ColumnValue<T>: FromSql,
{
    Ok(row.get::<_, ColumnValue<T>>(column)?.0)
}

/// The value of a column that may be null.
pub(super) fn optional<T>(row: &Row<'_>, column: &str) -> Result<Option<T>>
where
    ColumnValue<T>: FromSql,
{
    Ok(row.get::<_, Option<ColumnValue<T>>>(column)?.map(|ColumnValue(value)| value))
}

/// A time in microseconds since 1970.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.0.timestamp_micros()
}

/// A path as bytes: it need not be UTF-8.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> FromSqlError {
    FromSqlError::Other(Box::new(error))
}

impl FromSql for ColumnValue<u64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_i64()?.cast_unsigned()))
    }
}

impl FromSql for ColumnValue<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        let time = DateTime::from_timestamp_micros(micros);
        Ok(Self(Timestamp(time.ok_or(FromSqlError::OutOfRange(micros))?)))
    }
}

impl FromSql for ColumnValue<Fingerprint> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(Fingerprint(FromSql::column_result(value)?)))
    }
}

impl FromSql for ColumnValue<OfferId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(OfferId(FromSql::column_result(value)?)))
    }
}

impl FromSql for ColumnValue<ClientName> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        ClientName::parse(value.as_str()?).map(Self).map_err(invalid)
    }
}

impl FromSql for ColumnValue<FilePath> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FilePath::parse(value.as_str()?).map(Self).map_err(invalid)
    }
}

impl FromSql for ColumnValue<ServerAddress> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(invalid)
    }
}

impl FromSql for ColumnValue<PathBuf> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let path = PathBuf::from(OsStr::from_bytes(value.as_bytes()?));
        let is_valid = path.is_absolute() && !path_bytes(&path).contains(&0);
        if is_valid { Ok(Self(path)) } else { Err(FromSqlError::InvalidType) }
    }
}
