//! `cargo xtask bench --instructions`: how many instructions a reading takes in each stage, by
//! callgrind, with limits in `budget.toml`.
//!
//! Unlike a time, such a figure is the same in every run, within some thousandths of a percent. So
//! a change that makes a stage dearer is seen, however busy the machine is.

use std::path::Path;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::budget::Budget;
use crate::callgrind::Profile;
use crate::tools::is_there;
use crate::{root, step};

/// The program, and the profile that it is built in.
const PROGRAM: &str = "isotherm-instructions";
const PROFILE: &str = "instructions";

/// How many readings it journals and folds.
const READINGS: u64 = 64_000;

/// The processor that the limits are of.
const ARCHITECTURE: &str = "x86_64";

/// The C library copies and compares by what the processor has. Without that, a figure is the same
/// on each of this architecture.
const PLAIN_PROCESSOR: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX_Usable,\
    -AVX2_Usable,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,-FSRM,-SSE4_1,-SSE4_2,-SSSE3";

/// The program's functions of the two phases.
const JOURNAL: &str = "isotherm_instructions::journal";
const FOLD: &str = "isotherm_instructions::fold";

/// What a stage costs: all calls of a function, or those by another one.
enum Cost {
    Of(&'static str),
    Calls { by: &'static str, of: &'static str },
}

/// A stage's name in `budget.toml`, and what it costs.
type Stage = (&'static str, Cost);

/// A run of the program, and the stages of its phases. The first stage of a phase is all of it.
struct Run {
    /// `None`: JSON of devices that are all new.
    argument: Option<&'static str>,
    journal: &'static [Stage],
    fold: &'static [Stage],
}

/// Those of the functions that would be inlined are `#[inline(never)]`: otherwise a profile has no
/// name for them. It makes the components larger, so the others are not.
const RUNS: [Run; 5] = [
    Run {
        argument: None,
        journal: &[
            ("journal", Cost::Of(JOURNAL)),
            ("journal: reading JSON", Cost::Of("isotherm::wire::json::parse")),
            ("journal: encoding", Cost::Of("isotherm::journal::entry::Entry::encode_and_count")),
            ("journal: the entry's key", Cost::Of("isotherm::journal::name::EntryName::hashed_by")),
        ],
        fold: &[
            ("fold", Cost::Of(FOLD)),
            ("fold: decoding", Cost::Of("isotherm::journal::entry::Entry::decode")),
            ("fold: names", Cost::Of("isotherm::ledger::dictionary::ids")),
            ("fold: sorting", Cost::Of("isotherm::base::sort::sort_by_key")),
            // Other tables are merged by the same function.
            (
                "fold: ledger",
                Cost::Calls {
                    by: "isotherm::ledger::count::post_rows",
                    of: "isotherm::ledger::sorted_run::RunTable<_>::merge",
                },
            ),
            ("fold: windows", Cost::Of("isotherm::ledger::windows::add")),
            (
                "fold: SQLite",
                Cost::Of("isotherm_stores::database_file::DatabaseConnection::execute"),
            ),
        ],
    },
    Run {
        argument: Some("--known"),
        journal: &[],
        fold: &[
            ("known devices: fold", Cost::Of(FOLD)),
            ("known devices: names", Cost::Of("isotherm::ledger::dictionary::ids")),
            ("known devices: windows", Cost::Of("isotherm::ledger::windows::add")),
        ],
    },
    Run {
        argument: Some("--lines"),
        journal: &[("line protocol: journal", Cost::Of(JOURNAL))],
        fold: &[("line protocol: fold", Cost::Of(FOLD))],
    },
    Run {
        argument: Some("--peer"),
        journal: &[("with a peer: journal", Cost::Of(JOURNAL))],
        fold: &[("with a peer: fold", Cost::Of(FOLD))],
    },
    Run {
        argument: Some("--from-node"),
        journal: &[("from a node: journal", Cost::Of(JOURNAL))],
        fold: &[("from a node: fold", Cost::Of(FOLD))],
    },
];

impl Run {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.journal.iter().chain(self.fold).map(|(name, _)| *name)
    }

    /// Runs the program. Returns the instructions a reading of each stage, in their order.
    fn figures(&self, shell: &Shell) -> Result<Vec<u64>> {
        let program = root().join("target").join(PROFILE).join(PROGRAM);
        let name = self.argument.unwrap_or("--json").trim_start_matches('-');
        let file = root().join("target").join(PROFILE).join("callgrind").join(name);
        // A phase is a profile of its own: functions of one are called by the other, too.
        cmd!(shell, "valgrind --quiet --tool=callgrind --compress-strings=no --compress-pos=no")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .args([format!("--dump-before={JOURNAL}"), format!("--dump-before={FOLD}")])
            .arg(program)
            .args(self.argument)
            .env("GLIBC_TUNABLES", PLAIN_PROCESSOR)
            .quiet()
            .ignore_stdout()
            .run()?;
        // The first part is what was before both phases, the last one has no number.
        let journal = figures(&file.with_extension("2"), self.journal)?;
        Ok([journal, figures(&file, self.fold)?].concat())
    }
}

/// The instructions a reading of the stages in a profile.
fn figures(file: &Path, stages: &[Stage]) -> Result<Vec<u64>> {
    let text = std::fs::read(file).with_context(|| {
        format!("{} was not written: is there a function {FOLD}?", file.display())
    })?;
    let profile = Profile::parse(&String::from_utf8_lossy(&text))
        .with_context(|| file.display().to_string())?;
    let figure = |(name, cost): &Stage| {
        let (found, function) = match cost {
            Cost::Of(function) => (profile.of(function), function),
            Cost::Calls { by, of } => (profile.of_calls(by, of), of),
        };
        let found = found.with_context(|| {
            format!(
                "the stage \"{name}\" is not in the profile: was {function} renamed or inlined?"
            )
        })?;
        Ok(found.div_ceil(READINGS))
    };
    stages.iter().map(figure).collect()
}

/// Builds the program, runs it, and prints a table of the stages.
///
/// # Errors
///
/// A stage takes more than its limit, or is not found: the error has its name.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    if !is_there(shell, "valgrind") {
        bail!("valgrind is missing (cargo xtask tools installs it on Debian)");
    }
    let names: Vec<&str> = RUNS.iter().flat_map(Run::names).collect();
    let budget = Budget::read("instructions", &names)?;
    step("Instructions of a reading");
    cmd!(shell, "cargo build --locked --profile {PROFILE} --package {PROGRAM} --target-dir target")
        // Flags for this very processor would be other instructions.
        .env_remove("RUSTFLAGS")
        .quiet()
        .run()?;
    let directory = root().join("target").join(PROFILE).join("callgrind");
    // What is left of another run could be taken for a part of this one.
    shell.remove_path(&directory)?;
    shell.create_dir(&directory)?;
    let mut figures = Vec::new();
    for run in &RUNS {
        figures.extend(run.figures(shell)?);
    }
    println!("| stage | instructions a reading | limit |");
    println!("| --- | ---: | ---: |");
    for ((name, limit), figure) in budget.limits().iter().zip(&figures) {
        println!("| {name} | {figure} | {limit} |");
    }
    if std::env::consts::ARCH != ARCHITECTURE {
        println!("The limits are of {ARCHITECTURE}: they are not checked here.");
        return Ok(());
    }
    let lower = budget.check(&figures, "instructions a reading");
    lower.context("a stage takes too much")?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// The same where valgrind is there. Returns what was skipped.
pub(crate) fn run_if_possible(shell: &Shell) -> Result<Option<&'static str>> {
    if is_there(shell, "valgrind") {
        return run(shell).map(|()| None);
    }
    step("Instructions of a reading");
    let skipped = "the instructions of a reading, by callgrind (install valgrind)";
    println!("skipped: {skipped}");
    Ok(Some(skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_a_limit_and_a_name_of_its_own() {
        let mut names: Vec<&str> = RUNS.iter().flat_map(Run::names).collect();
        Budget::read("instructions", &names).unwrap();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
