//! `cargo xtask target`: installs the target wasm32-wasip2.
//!
//! With rustup, if its server can be reached. If not, on Debian and its derivatives,
//! the standard library is built from Debian's source package of the same version, with
//! the installed compiler, and put where rustup would put it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::step;

const TARGET: &str = "wasm32-wasip2";

/// Suites that may have the compiler's version: the package in stable Debian is too
/// old.
const SUITES: &str = "trixie-backports forky sid";

/// Installs the target unless it is there.
pub(crate) fn ensure(shell: &Shell) -> Result<()> {
    if is_there(shell)? {
        return Ok(());
    }
    step(&format!("Installing the target {TARGET} with rustup"));
    let by_rustup = cmd!(shell, "rustup target add {TARGET}").quiet().run();
    if by_rustup.is_ok() && is_there(shell)? {
        return Ok(());
    }
    println!("rustup could not; building the standard library from Debian's source instead");
    from_debian(shell).with_context(|| {
        format!(
            "the target {TARGET} is missing and could not be installed. Where rustup's server \
             can be reached: rustup target add {TARGET}"
        )
    })?;
    if is_there(shell)? {
        return Ok(());
    }
    bail!("the target {TARGET} was installed but rustc does not find it");
}

fn is_there(shell: &Shell) -> Result<bool> {
    let libraries = cmd!(shell, "rustc --print target-libdir --target {TARGET}").quiet().read()?;
    let Ok(files) = std::fs::read_dir(libraries) else { return Ok(false) };
    let names = files.filter_map(|file| file.ok().map(|file| file.file_name()));
    Ok(names.into_iter().any(|name| is_rlib_of(&name, "std")))
}

fn is_rlib_of(name: &OsStr, library: &str) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(&format!("lib{library}-")) && name.ends_with(".rlib")
}

/// The directory in which the target is built, and what it is built for.
struct Workshop<'a> {
    shell: &'a Shell,
    directory: PathBuf,
    sysroot: PathBuf,
    /// The compiler's version, like 1.95.0.
    version: String,
}

fn from_debian(shell: &Shell) -> Result<()> {
    let has_apt = cmd!(shell, "apt-get --version").quiet().ignore_stdout().run();
    has_apt.context("this way needs apt-get, which Debian and its kin have")?;
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    let version = cmd!(shell, "rustc --version").quiet().read()?;
    let version = version.split(' ').nth(1).context("rustc names no version")?.to_owned();
    let directory = crate::root().join("target/wasm32-wasip2-from-debian");
    std::fs::create_dir_all(&directory)?;
    let workshop = Workshop { shell, directory, sysroot: sysroot.into(), version };
    workshop.download()?;
    workshop.unpack()?;
    let built = workshop.build_std()?;
    workshop.install(&built)
}

impl Workshop<'_> {
    /// Downloads Debian's packages, with separate package lists: the machine's lists
    /// are neither changed nor needed.
    fn download(&self) -> Result<()> {
        let Self { shell, directory, version, .. } = self;
        step(&format!("Downloading rust-src {version} and wasi-libc from Debian"));
        let (lists, cache) = (directory.join("lists"), directory.join("cache"));
        std::fs::create_dir_all(lists.join("partial"))?;
        std::fs::create_dir_all(cache.join("archives/partial"))?;
        let sources = directory.join("debian.sources");
        std::fs::write(&sources, self.source_list()?)?;
        let options = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", lists.display()),
            format!("Dir::Cache={}", cache.display()),
            // Otherwise apt, run by root, downloads as a user that can't write here.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let options: Vec<String> = options.into_iter().flat_map(|o| ["-o".to_owned(), o]).collect();
        let _directory = shell.push_dir(directory);
        cmd!(shell, "apt-get --quiet update").args(&options).run()?;
        cmd!(shell, "apt-get --quiet download rust-src={version}* wasi-libc")
            .args(&options)
            .run()?;
        Ok(())
    }

    /// A source list for the newer suites, from the server that the machine
    /// already uses.
    fn source_list(&self) -> Result<String> {
        let machine = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
        let texts = machine.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        let server = texts.filter_map(|text| first_server(&text)).next();
        let server = server.context("the machine's apt sources name no Debian server")?;
        Ok(format!(
            "Types: deb\nURIs: {server}\nSuites: {SUITES}\nComponents: main\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        ))
    }

    fn unpack(&self) -> Result<()> {
        step("Unpacking them");
        for package in ["rust-src_", "wasi-libc_"] {
            let file = find(&self.directory, |name| name.starts_with(package))?;
            let directory = &self.directory;
            cmd!(self.shell, "dpkg-deb --extract {file} {directory}").run()?;
        }
        Ok(())
    }

    /// Builds the standard library by building an empty crate with it, and
    /// returns the directory of the results.
    fn build_std(&self) -> Result<PathBuf> {
        let Self { shell, directory, sysroot, version } = self;
        step(&format!("Building the standard library for {TARGET}: about a minute"));
        let _source = self.link_source(&directory.join(format!("usr/src/rustc-{version}")))?;
        self.copy_c_library()?;

        let empty = directory.join("empty");
        std::fs::create_dir_all(empty.join("src"))?;
        std::fs::write(empty.join("src/lib.rs"), "#![no_std]\n")?;
        let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
                        \n[profile.release]\ndebug = false\n\n[workspace]\n";
        std::fs::write(empty.join("Cargo.toml"), manifest)?;

        let rustc = sysroot.join("bin/rustc");
        let _directory = shell.push_dir(&empty);
        // RUSTC_BOOTSTRAP lets the stable compiler build its own library; the
        // flags are those that the released libraries are built with.
        cmd!(shell, "cargo build --release --target {TARGET} -Zbuild-std=std,panic_abort")
            .env("RUSTC", rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Cembed-bitcode=yes -Zforce-unstable-if-unmarked")
            .env("CARGO_TARGET_DIR", empty.join("target"))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .run()?;
        Ok(empty.join(format!("target/{TARGET}/release/deps")))
    }

    /// Links the source to where cargo looks for it, until the link is dropped.
    fn link_source(&self, source: &Path) -> Result<Option<Link>> {
        let expected = self.sysroot.join("lib/rustlib/src/rust");
        if expected.exists() {
            return Ok(None);
        }
        let parent = expected.parent().context("the sysroot has no directory for sources")?;
        std::fs::create_dir_all(parent)?;
        std::os::unix::fs::symlink(source, &expected).with_context(|| {
            format!("{} can't be written; run this as its owner", expected.display())
        })?;
        Ok(Some(Link(expected)))
    }

    /// The C library of WASI, which the standard library is linked against.
    fn copy_c_library(&self) -> Result<()> {
        let from = self.directory.join("usr/lib").join(TARGET);
        let to = self.target_libraries().join("self-contained");
        copy(&from, &to, |name| name.ends_with(".o") || name.ends_with(".a"))
    }

    fn install(&self, built: &Path) -> Result<()> {
        let to = self.target_libraries();
        step(&format!("Installing it in {}", to.display()));
        // The empty crate's own library is not installed.
        copy(built, &to, |name| name.ends_with(".rlib") && !name.starts_with("libempty"))
    }

    fn target_libraries(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib")
    }
}

/// A symbolic link that is removed when it is dropped.
struct Link(PathBuf);

impl Drop for Link {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            println!("{} was left behind: {error}", self.0.display());
        }
    }
}

/// The first Debian server in a source list of either format.
fn first_server(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    let mut servers = words.filter(|word| word.starts_with("http") && word.contains("/debian"));
    servers.find(|word| !word.contains("security")).map(ToOwned::to_owned)
}

fn find(directory: &Path, matches: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for file in std::fs::read_dir(directory)? {
        let file = file?;
        if matches(&file.file_name().to_string_lossy()) {
            return Ok(file.path());
        }
    }
    bail!("nothing of that name was downloaded into {}", directory.display())
}

fn copy(from: &Path, to: &Path, matches: impl Fn(&str) -> bool) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let files = std::fs::read_dir(from)
        .with_context(|| format!("{} is not where it should be", from.display()))?;
    for file in files {
        let file = file?;
        if matches(&file.file_name().to_string_lossy()) {
            std::fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_found_in_both_formats_of_source_lists() {
        let deb822 = "Types: deb\n# http://old.example/debian\nURIs: http://deb.example/debian\n\
                      Suites: bookworm\n\nTypes: deb\nURIs: http://deb.example/debian-security\n";
        let one_line = "deb http://security.example/debian-security bookworm main\n\
                        deb [signed-by=/x] https://mirror.example/debian bookworm main\n";
        assert_eq!(first_server(deb822).as_deref(), Some("http://deb.example/debian"));
        assert_eq!(first_server(one_line).as_deref(), Some("https://mirror.example/debian"));
        assert_eq!(first_server("deb http://ubuntu.example/ubuntu noble main"), None);
    }
}
