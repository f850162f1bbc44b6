//! An embedded runtime for Isotherm's components.
//!
//! It serves the same `.wasm` files as Spin, from the same `spin.toml`, with the host
//! interfaces that they import and Spin's semantics. It is for tests, and for
//! development where Spin is not installed. Users deploy on Spin.
//!
//! - [`manifest`]: `spin.toml`; [`runtime_config`]: `runtime-config.toml`; [`origin`]: what may
//!   be called;
//! - [`stores`]: key-value and SQLite, in Spin's file formats; [`redis`]: key-value in
//!   Redis; [`key_value`]: either; [`libsql`]: SQLite on a server; [`database`]: either;
//! - `bindings`: the stores as Spin's interfaces;
//! - [`faults`]: makes the stores fail;
//! - [`server`]: HTTP, with a fresh instance for every request;
//! - [`beat`]: a timer that calls the application;
//! - [`native`]: the same stores without WebAssembly, for native tests.
//!
//! Absent on purpose: everything that Isotherm's components don't import.

#![forbid(unsafe_code)]

pub mod beat;
mod bindings;
pub mod database;
pub mod faults;
pub mod key_value;
pub mod libsql;
pub mod manifest;
pub mod memory;
pub mod native;
pub mod origin;
mod outbound;
pub mod random;
pub mod redis;
pub mod runtime_config;
pub mod server;
pub mod stores;
