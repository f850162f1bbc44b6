//! Links the component with a small stack.

/// 256 KiB instead of the usual mebibyte, because a runtime clears an instance's memory
/// after every request. The deepest use, JSON nested 128 times, takes a sixth of it.
/// The stack lies first in memory, so an overflow is a trap.
const STACK_BYTES: u32 = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
