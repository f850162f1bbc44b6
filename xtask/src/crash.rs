//! `cargo xtask crash`: the crash test in full.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::{Runtime, build, step};

/// Kills in the full test. CI has fewer.
const KILLS: u32 = 200;

/// Kills the service repeatedly while sensors send, and compares the averages with what
/// was acknowledged.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    use lexopt::prelude::*;
    let (mut kills, mut seed, mut runtime) = (KILLS, None, Runtime::Embedded);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("kills") => kills = parser.value()?.parse()?,
            Long("seed") => seed = Some(parser.value()?.parse::<u64>()?),
            Long("runtime") => runtime = Runtime::named(&parser.value()?.string()?)?,
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    build(shell)?;
    cmd!(shell, "cargo build --locked --workspace").quiet().run()?;
    step(&format!("{kills} crashes of the {} runtime under load", runtime.name()));
    let mut test = cmd!(shell, "cargo test --locked --workspace --test under_load")
        .args(["crashes_at_random_moments", "--", "--nocapture"])
        .env("ISOTHERM_RUNTIME", runtime.name())
        .env("ISOTHERM_KILLS", kills.to_string());
    if let Some(seed) = seed {
        test = test.env("ISOTHERM_SEED", seed.to_string());
    }
    Ok(test.quiet().run()?)
}
