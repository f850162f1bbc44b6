//! What the executable that runs has behind it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use isotherm_host::manifest::{self, Application};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::{COMPONENTS, FILES, MANIFEST};

/// The archive of an executable.
pub struct Bundle {
    archive: ZipArchive<BufReader<File>>,
}

impl Bundle {
    /// Of the executable that runs; `None` if it has none, as after `cargo build`.
    ///
    /// # Errors
    ///
    /// An executable that can't be read.
    pub fn own() -> Result<Option<Self>> {
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
    pub fn application(
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

    /// The code of a component, as it was compiled.
    ///
    /// # Errors
    ///
    /// A damaged executable, or a component that it has none of.
    pub fn code(&mut self, component: &manifest::Component) -> Result<Vec<u8>> {
        self.read(&format!("{COMPONENTS}{}", component.id))
    }
}

/// Removes the files of other releases below `data`, for an application that has its own there. A
/// node that can't remove them works as well.
pub fn remove_others(data: &Path, application: &Application) {
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
