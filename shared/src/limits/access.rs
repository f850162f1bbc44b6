//! The bounds of access control: of credentials, keys and sessions.

/// The longest id of a token, in bytes.
pub const TOKEN_ID_BYTES_MAX: usize = 32;

/// The most tokens in the variable `tokens`, and the most in key-value: each is two keys,
/// which every listing of the store has.
pub const TOKENS_MAX: usize = 1_000;

/// For how long nobody else makes a token of an id that a request has claimed, in
/// milliseconds: it may have been killed before it stored it.
pub const TOKEN_CLAIM_MS: u64 = 10_000;

/// The most scopes of a credential.
pub const SCOPES_MAX: usize = 32;

/// The largest header `authorization`, in bytes: a JWT and its scheme.
pub const AUTHORIZATION_BYTES_MAX: usize = JWT_BYTES_MAX + 16;

/// The most bytes of cookies that are looked at: as many as browsers keep for a host.
pub const COOKIES_BYTES_MAX: usize = 16 * 1024;

/// The largest JWT, in bytes.
pub const JWT_BYTES_MAX: usize = 4_096;

/// The most keys in the variable `jwt_keys`.
pub const JWT_KEYS_MAX: usize = 8;

/// The shortest key of HS256, in bytes: as long as its digest (RFC 7518, 3.2).
pub const JWT_SECRET_BYTES_MIN: usize = 32;

/// How far the clocks of an issuer and a node may differ, in milliseconds.
pub const JWT_LEEWAY_MS: i64 = 60_000;

/// How far ahead a JWT may expire, in milliseconds: it can't be revoked.
pub const JWT_LIFE_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// How long a session of the page lasts, in milliseconds.
pub const SESSION_MS: i64 = 8 * 60 * 60 * 1_000;

/// The shortest variable `session_key`, in characters.
pub const SESSION_KEY_CHARS_MIN: usize = 32;

/// The most origins in the variable `cors_origins`.
pub const ORIGINS_MAX: usize = 16;
