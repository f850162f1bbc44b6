//! An application behind the executable that serves it: a ZIP archive with the manifest, the
//! components compiled ahead, and the files that they read. `unzip -l` lists it.
//!
//! `isotherm-compile` writes it, and `isotherm-gateway` reads it. Code that was compiled ahead is run
//! as it is: it is trusted as the executable is, of which it is a part.

#![forbid(unsafe_code)]

mod read;
mod write;

pub use read::{Bundle, remove_others};
pub use write::write;

const MANIFEST: &str = "spin.toml";

/// Below this are the components, by their ids.
const COMPONENTS: &str = "components/";

/// Below this are the files that components read, by their paths in the manifest.
const FILES: &str = "files/";
