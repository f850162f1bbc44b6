//! An embedded runtime for Isotherm's components.
//!
//! It serves the same `.wasm` files as Spin, from the same `spin.toml`, with the host
//! interfaces that they import and Spin's semantics. `isotherm-gateway` is made of it; as
//! `isotherm-host` it is for tests, and for development where Spin is not installed.
//!
//! - [`manifest`]: `spin.toml`; [`variables`]: the application's; [`runtime_config`]: `runtime-config.toml`; [`origin`]: what may
//!   be called;
//! - [`stores`]: key-value (`key_value_file`) and SQLite, in Spin's file formats, with `group` commits and a `pool`; [`redis`]: key-value in
//!   Redis; [`key_value`]: either; [`libsql`]: SQLite on a server; [`database`]: either;
//! - `bindings`: the stores as Spin's interfaces;
//! - [`faults`]: makes the stores fail;
//! - [`server`]: the components behind their routes, with a fresh instance for every request;
//!   [`front`]: connections; [`engine`]: Wasmtime's engine;
//! - [`beat`]: a timer that calls the application;
//! - [`native`]: the same stores without WebAssembly, for native tests.
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
mod group;
pub mod key_value;
mod key_value_file;
pub mod libsql;
pub mod log;
pub mod manifest;
pub mod memory;
pub mod native;
mod opened;
pub mod origin;
mod outbound;
mod pool;
mod prepared;
pub mod random;
pub mod redis;
pub mod runtime_config;
pub mod server;
pub mod stores;
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
