//! What `deploy/` has: that it fits `spin.toml`, and that nothing of it lets anybody in.

mod names;
pub(crate) mod nginx;
mod objects;
mod readme;
mod release;
mod routes;
mod spinkube;
mod systemd;
mod variables;
