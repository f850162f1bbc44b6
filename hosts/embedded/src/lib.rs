//! An embedded runtime for Isotherm's components.
//!
//! It serves the same `.wasm` files as Spin, from the same `spin.toml`, with the host
//! interfaces that they import and Spin's semantics. `isotherm-gateway` is made of it; as
//! `isotherm-host` it is for tests, and for development where Spin is not installed.
//!
//! - [`manifest`]: `spin.toml`; [`variables`]: the application's; [`runtime_config`]: `runtime-config.toml`; [`origin`]: what may
//!   be called;
//! - [`redis`]: key-value in Redis; [`key_value`]: in a file of `isotherm-stores`, or there;
//!   [`libsql`]: SQLite on a server; [`database`]: in a file of `isotherm-stores`, or there;
//! - `bindings`: the stores as Spin's interfaces;
//! - [`faults`]: makes the stores fail;
//! - [`server`]: the components behind their routes, with a fresh instance for every request;
//!   [`front`]: connections; [`engine`]: Wasmtime's engine;
//! - [`beat`]: a timer that calls the application.
//!
//! Absent on purpose: everything that Isotherm's components don't import.

#![forbid(unsafe_code)]

pub mod beat;
mod bindings;
#[cfg(feature = "compiler")]
pub mod compiler;
pub mod components;
pub mod database;
mod engine;
pub mod faults;
pub mod front;
pub mod key_value;
pub mod libsql;
pub mod log;
pub mod manifest;
pub mod memory;
mod opened;
pub mod origin;
mod outbound;
mod prepared;
pub mod redis;
pub mod runtime_config;
pub mod server;
pub mod traces;
pub mod variables;

/// Returns when standard input has ended.
pub async fn end_of_stdin() {
    let (at_end, ended) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: the runtime does not wait for it when it ends for another reason.
    std::thread::spawn(move || {
        // An input that can't be read has ended, too.
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        drop(at_end);
    });
    drop(ended.await);
}
