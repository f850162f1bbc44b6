//! How much a host returns from one call.

use rusqlite::types::Value;

use crate::Failure;

/// The most bytes that the host returns from one call, as in Spin.
pub const RESULT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What a call fails with that would return more.
pub fn too_large() -> Failure {
    format!("query result exceeds limit of {RESULT_BYTES_MAX} bytes")
}

/// The bytes that count for a value.
pub fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 8,
    }
}
