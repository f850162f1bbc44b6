//! The code of the components: that of the executable, or what the compiler makes of files.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use isotherm_bundle::Bundle;
use isotherm_host::components::Load;
use isotherm_host::manifest;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::signature::Key;

/// The compiler. It is beside this executable, which has none in it.
const COMPILER: &str = "isotherm-compile";

/// Where the code of the components comes from.
pub(crate) enum Code {
    /// The executable.
    Own(Mutex<Bundle>),
    /// Files that are compiled at the start.
    Files,
    /// The same, of which each has to be signed.
    Signed(Key),
}

impl Code {
    /// Whether it is the executable's.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    pub(crate) fn into_load(self) -> Load {
        Box::new(move |engine, component| self.load(engine, component))
    }

    fn load(&self, engine: &Engine, component: &manifest::Component) -> Result<Component> {
        let source = &component.source;
        let compiled = |content: Vec<u8>| {
            let code = compile(&compiler()?, &content)?;
            deserialize(engine, &code)
        };
        match self {
            Self::Own(bundle) => {
                let code = bundle.lock().unwrap_or_else(PoisonError::into_inner).code(component)?;
                deserialize(engine, &code).with_context(|| format!("component {}", component.id))
            }
            Self::Files => std::fs::read(source)
                .map_err(anyhow::Error::from)
                .and_then(compiled)
                .with_context(|| source.display().to_string()),
            Self::Signed(key) => key.verified(source).and_then(compiled),
        }
    }
}

/// Where the compiler is.
fn compiler() -> Result<PathBuf> {
    let own = std::env::current_exe().context("it does not know where its executable is")?;
    Ok(own.with_file_name(COMPILER))
}

/// What the compiler makes of a component, in a process of its own.
fn compile(compiler: &Path, component: &[u8]) -> Result<Vec<u8>> {
    let name = compiler.display();
    let mut command = Command::new(compiler);
    command.arg("component").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().with_context(|| {
        format!("{name} can't be started: it compiles what --from names, and a release has it as a file of its own")
    })?;
    // It reads all before it writes. One that ends meanwhile says why.
    let written = process.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(component));
    let output =
        process.wait_with_output().with_context(|| format!("{name} can't be waited for"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("it can't be compiled: {}: {}", output.status, said.trim());
    }
    written.with_context(|| format!("{name} has not read the component"))?;
    Ok(output.stdout)
}

#[expect(unsafe_code, reason = "code that was compiled ahead")]
fn deserialize(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: `code` is what `isotherm-compile` has made: it is part of the executable, or it comes
    // from the compiler beside it just now. Wasmtime checks its own release, the target and the
    // configuration. What can change one of the two files can run code anyway.
    let component = unsafe { Component::deserialize(engine, code) };
    Ok(component?)
}
