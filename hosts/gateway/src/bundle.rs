//! What the executable holds behind its own code: a ZIP archive with the application's manifest,
//! its components compiled ahead, and the files that they read. `unzip -l` lists it.
//!
//! Components are stored as they are, so that a start only copies them. Code that was compiled ahead
//! is run as it is: it is trusted as the executable is, of which it is a part.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use isotherm_host::compiler::precompile;
use isotherm_host::manifest::{self, Application};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const MANIFEST: &str = "spin.toml";

/// Below this are the components, by their ids.
const COMPONENTS: &str = "components/";

/// Below this are the files that components read, by their paths in the manifest.
const FILES: &str = "files/";

/// The archive of an executable.
pub(crate) struct Bundle {
    archive: ZipArchive<BufReader<File>>,
}

impl Bundle {
    /// Of the executable that runs; `None` if it has none, as after `cargo build`.
    pub(crate) fn own() -> Result<Option<Self>> {
        // It may have been replaced on disk meanwhile; this is the one that runs.
        let own = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        let file = BufReader::new(File::open(own).context("the executable can't be read")?);
        // Without an archive it is the executable alone, as cargo makes it.
        let Ok(mut archive) = ZipArchive::new(file) else { return Ok(None) };
        let has_application = archive.by_name(MANIFEST).is_ok();
        Ok(has_application.then_some(Self { archive }))
    }

    /// The application, with its files in a directory below `directory`.
    ///
    /// # Errors
    ///
    /// Values of variables that no application has, or a directory that can't be written.
    pub(crate) fn application(
        &mut self,
        directory: &Path,
        environment: &[(String, String)],
        variables: &[(String, String)],
    ) -> Result<Application> {
        let manifest = String::from_utf8(self.read(MANIFEST)?)?;
        let files = self.unpack(directory)?;
        Application::parse(&manifest, &files, environment, variables)
    }

    /// Writes the files where components can read them, unless this version of them is there.
    fn unpack(&mut self, data: &Path) -> Result<PathBuf> {
        let all: Vec<String> =
            self.archive.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<_>>()?;
        let names: Vec<String> = all.into_iter().filter(|name| name.starts_with(FILES)).collect();
        let mut digest = Sha256::new();
        for name in &names {
            let file = self.archive.by_name(name)?;
            digest.update(format!("{name} {} {}\n", file.size(), file.crc32()));
        }
        let digits: String =
            digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let directory = data.join(format!("files-{digits}"));
        if self.is_whole(&directory, &names)? {
            return Ok(directory);
        }
        let unfinished = data.join(format!("files-{digits}.new"));
        let cant = || format!("{} can't be written", unfinished.display());
        for old in [&unfinished, &directory] {
            match old.is_dir() {
                true => std::fs::remove_dir_all(old).with_context(cant)?,
                false => drop(std::fs::remove_file(old)),
            }
        }
        for name in &names {
            let path = unfinished.join(name.trim_start_matches(FILES));
            let parent = path.parent().unwrap_or(&unfinished);
            std::fs::create_dir_all(parent).with_context(cant)?;
            let content = self.read(name)?;
            std::fs::write(&path, content).with_context(cant)?;
        }
        std::fs::rename(&unfinished, &directory).with_context(cant)?;
        Ok(directory)
    }

    /// Whether all files are there, as long as they should be: a power cut may have left others.
    fn is_whole(&mut self, directory: &Path, names: &[String]) -> Result<bool> {
        for name in names {
            let path = directory.join(name.trim_start_matches(FILES));
            let length = std::fs::metadata(path).map_or(0, |data| data.len());
            if length != self.archive.by_name(name)?.size() {
                return Ok(false);
            }
        }
        Ok(directory.is_dir())
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let damaged = || format!("the executable is damaged: {name} can't be read");
        let mut file = self.archive.by_name(name).with_context(damaged)?;
        let mut content = Vec::with_capacity(usize::try_from(file.size())?);
        file.read_to_end(&mut content).with_context(damaged)?;
        Ok(content)
    }

    /// The code of a component.
    pub(crate) fn load(
        &mut self,
        engine: &Engine,
        component: &manifest::Component,
    ) -> Result<Component> {
        let code = self.read(&format!("{COMPONENTS}{}", component.id))?;
        deserialize(engine, &code).with_context(|| format!("component {}", component.id))
    }
}

/// Removes the files of other releases below `data`, for an application that has its own there. A
/// node that can't remove them works as well.
pub(crate) fn remove_others(data: &Path, application: &Application) {
    let own = |path: &Path| {
        let mounts = application.components.iter().flat_map(|component| &component.files);
        mounts.into_iter().any(|mount| mount.source.starts_with(path))
    };
    let is_ours = |name: &str| {
        let digits = name.strip_prefix("files-").map(|name| name.trim_end_matches(".new"));
        digits.is_some_and(|digits| {
            digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    };
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !own(path)) {
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours) {
            drop(std::fs::remove_dir_all(&path));
        }
    }
}

#[expect(unsafe_code, reason = "code that was compiled ahead")]
fn deserialize(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: `code` is what `precompile_component` has made: it is part of the executable, and
    // `write` is the only one that puts it there. Wasmtime checks its own release, the target and
    // the configuration. Who can change the executable can run code anyway.
    let component = unsafe { Component::deserialize(engine, code) };
    Ok(component?)
}

/// Writes the executable `base` with the application of `manifest` behind it, for `target`, or for
/// this machine's kind of processor.
pub(crate) fn write(base: &Path, manifest: &Path, to: &Path, target: Option<&str>) -> Result<()> {
    let application = Application::read(manifest, &[], &[])?;
    // With the rights of `base`, and removed again after a failure.
    let place = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let unfinished = NamedTempFile::new_in(place.unwrap_or(Path::new(".")))?;
    std::fs::copy(base, unfinished.path())
        .with_context(|| format!("{} can't be copied", base.display()))?;
    let mut file = File::options().read(true).write(true).open(unfinished.path())?;
    if ZipArchive::new(&mut file).is_ok() {
        bail!("{} has an application already", base.display());
    }
    file.seek(io::SeekFrom::End(0))?;
    let mut archive = ZipWriter::new(file);
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file(MANIFEST, packed)?;
    archive.write_all(&std::fs::read(manifest)?)?;
    let base = manifest.parent().unwrap_or(Path::new("."));
    let (mut ids, mut mounts) = (Vec::new(), Vec::new());
    for component in &application.components {
        if !ids.contains(&component.id) {
            ids.push(component.id.clone());
            let wasm = std::fs::read(&component.source).with_context(|| {
                format!("{} can't be read; build it first", component.source.display())
            })?;
            archive.start_file(format!("{COMPONENTS}{}", component.id), packed)?;
            archive.write_all(&precompile(&wasm, target)?)?;
        }
        mounts.extend(component.files.iter().map(|mount| mount.source.clone()));
    }
    mounts.sort();
    mounts.dedup();
    for mount in mounts {
        for path in below(&mount)? {
            let name = path.strip_prefix(base)?.to_str().context("a name that is no text")?;
            archive.start_file(format!("{FILES}{name}"), packed)?;
            archive.write_all(&std::fs::read(&path)?)?;
        }
    }
    archive.finish()?.sync_all()?;
    unfinished.persist(to)?;
    Ok(())
}

/// All files below a directory, in the order of their names.
fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(below(&path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}
