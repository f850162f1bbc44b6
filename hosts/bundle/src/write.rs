//! Writes an executable with an application behind it.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use isotherm_host::manifest::Application;
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{COMPONENTS, FILES, MANIFEST};

/// Writes the executable `base` to `to`, with the application of `manifest` behind it. `compile` makes
/// code of a component.
///
/// # Errors
///
/// A file that can't be read or written, a component that can't be compiled, or a base that has an
/// application already. Then there is no new file at `to`.
pub fn write(
    base: &Path,
    manifest: &Path,
    to: &Path,
    compile: impl Fn(&[u8]) -> Result<Vec<u8>>,
) -> Result<()> {
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
            archive.write_all(&compile(&wasm)?)?;
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
