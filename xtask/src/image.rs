//! `cargo xtask image`: what an image of the gateway has in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{gateway, root, step};

/// What an executable for a target is linked with.
struct Linked {
    /// What others call the architecture.
    architecture: &'static str,
    /// Where the libraries are on this machine.
    directory: &'static str,
    /// The dynamic linker: the file, and where the executable looks for it.
    linker: &'static str,
    linker_at: &'static str,
}

const LIBRARIES: [&str; 3] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"];

/// Of Debian's compilers, for this machine and for others.
fn linked(target: Option<&str>) -> Result<Linked> {
    Ok(match target {
        None | Some("x86_64-unknown-linux-gnu") => Linked {
            architecture: "amd64",
            directory: "/lib/x86_64-linux-gnu",
            linker: "ld-linux-x86-64.so.2",
            linker_at: "lib64",
        },
        Some("aarch64-unknown-linux-gnu") => Linked {
            architecture: "arm64",
            directory: "/usr/aarch64-linux-gnu/lib",
            linker: "ld-linux-aarch64.so.1",
            linker_at: "lib",
        },
        Some("armv7-unknown-linux-gnueabihf") => Linked {
            architecture: "arm",
            directory: "/usr/arm-linux-gnueabihf/lib",
            linker: "ld-linux-armhf.so.3",
            linker_at: "lib",
        },
        Some(other) => bail!("there is no image for {other}"),
    })
}

/// Builds the gateway, and lays out `target/image/ARCHITECTURE` for `docker build`.
pub(crate) fn lay_out(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let (target, executable) = gateway::make(shell, arguments)?;
    let place = of_executable(shell, target.as_deref(), &executable)?;
    let architecture = linked(target.as_deref())?.architecture;
    println!(
        "\n{place}: now\n\n    docker build --platform linux/{architecture} --tag isotherm-gateway {place}\n",
        place = place.display()
    );
    Ok(())
}

/// The image's directory, with the executable and what it is linked with.
fn of_executable(shell: &Shell, target: Option<&str>, executable: &Path) -> Result<PathBuf> {
    step("What the image has in it");
    let linked = linked(target)?;
    let place = root().join("target/image").join(linked.architecture);
    shell.remove_path(&place)?;
    let files = place.join("root");
    for directory in ["lib", linked.linker_at, "tmp"] {
        shell.create_dir(files.join(directory))?;
    }
    shell.create_dir(place.join("data"))?;
    shell.copy_file(executable, files.join("isotherm-gateway"))?;
    let libraries = LIBRARIES.map(|name| (name, "lib"));
    for (name, at) in libraries.into_iter().chain([(linked.linker, linked.linker_at)]) {
        let from = Path::new(linked.directory).join(name);
        // Some are links to what has the version in its name.
        let from = std::fs::canonicalize(&from)
            .with_context(|| format!("{} is missing: no Debian?", from.display()))?;
        shell.copy_file(from, files.join(at).join(name))?;
    }
    shell.copy_file(root().join("deploy/image/Dockerfile"), &place)?;
    cmd!(shell, "chmod 1777").arg(files.join("tmp")).quiet().run()?;
    cmd!(shell, "chmod 0700").arg(place.join("data")).quiet().run()?;
    Ok(place)
}
