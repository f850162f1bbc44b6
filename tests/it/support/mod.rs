//! What several test files share.
//!
//! - `service`: a service over a real socket (`isotherm_it::Service`), and what a test
//!   expects of it;
//! - `bare`: requests over a bare connection; `gzip`: bodies as clients compress them;
//! - `node`: the application in this process, over a real SQLite, with its clock;
//! - `tables`: what the database has, by names;
//! - `faulty`, `strict`: hosts whose calls fail, or that have less than SQLite; `wrapped`: hosts
//!   with stores of a test's own;
//! - `hrana`, `redis`: servers of libSQL's protocol and of Redis;
//! - `libsql`: statements as libSQL's clients render them, in which every `node` runs them;
//! - `readings`: readings and times;
//! - `assert`: what must be true of an answer.

pub(crate) mod assert;
pub(crate) mod bare;
pub(crate) mod faulty;
pub(crate) mod gzip;
pub(crate) mod hrana;
pub(crate) mod libsql;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod readings;
pub(crate) mod redis;
pub(crate) mod relay;
pub(crate) mod service;
pub(crate) mod sources;
pub(crate) mod strict;
pub(crate) mod tables;
pub(crate) mod wrapped;
