//! Profiles in callgrind's format, as Valgrind's manual specifies it ("Callgrind Format
//! Specification"), without its compression.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

/// The instructions of functions, by their names.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    functions: BTreeMap<String, Function>,
}

#[derive(Debug, Default)]
struct Function {
    /// Of its own lines, and of what was inlined into it.
    own: u64,
    /// Of each function that it called, with all that this one called.
    calls: BTreeMap<String, u64>,
}

/// Where a line of costs belongs.
#[derive(Default)]
struct Place {
    function: String,
    callee: String,
    /// Whether the next costs are those of the call.
    is_call: bool,
}

impl Profile {
    /// # Errors
    ///
    /// It counts something else than instructions, its names are compressed, or a line can't be read.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (mut profile, mut place) = (Self::default(), Place::default());
        let mut positions = 1;
        for (index, line) in text.lines().enumerate() {
            let cant = || format!("line {} is not of a profile: {line}", index + 1);
            if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                let cost = line.split_whitespace().nth(positions).map(str::parse);
                profile.add(&mut place, cost.transpose().with_context(cant)?.unwrap_or(0));
                continue;
            }
            let Some(end) = line.find(['=', ':']) else {
                ensure!(line.is_empty() || line.starts_with('#'), cant());
                continue;
            };
            let (key, value) = line.split_at(end);
            let value = value.trim_start_matches(['=', ':']).trim();
            match key {
                "fn" => place.function = name(value)?,
                "cfn" => place.callee = name(value)?,
                "calls" => place.is_call = true,
                "events" if value.split(' ').next() != Some("Ir") => bail!("{}", cant()),
                "positions" => positions = value.split(' ').count(),
                // Files and objects: a function is known by its name, wherever its lines are from.
                _ => {}
            }
        }
        Ok(profile)
    }

    fn add(&mut self, place: &mut Place, cost: u64) {
        let function = self.functions.entry(place.function.clone()).or_default();
        if std::mem::take(&mut place.is_call) {
            *function.calls.entry(place.callee.clone()).or_default() += cost;
        } else {
            function.own += cost;
        }
    }

    /// The instructions of a function with all that it called. Where it called itself, directly or
    /// not, callgrind has that as a function of another name (`name'2`), and nothing counts twice.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        let Function { own, calls } = self.functions.get(name)?;
        let others = calls.iter().filter(|(callee, _)| *callee != name);
        Some(own + others.map(|(_, cost)| cost).sum::<u64>())
    }

    /// Those of a function when another one called it.
    pub(crate) fn of_calls(&self, caller: &str, callee: &str) -> Option<u64> {
        self.functions.get(caller)?.calls.get(callee).copied()
    }
}

/// A name as it is. A compressed one begins with a number in parentheses.
fn name(value: &str) -> Result<String> {
    let number = value.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let is_compressed = number.is_some_and(|(number, _)| number.parse::<u64>().is_ok());
    ensure!(!is_compressed, "the names are compressed: {value}");
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `main` calls `parse` twice, which has a line of another file inlined, and `walk`, which
    /// calls itself.
    const PROFILE: &str = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
cmd: program --option=value
part: 1

desc: Trigger: Program termination
positions: line
events: Ir
summary: 180

ob=/usr/bin/program
fl=main.rs
fn=(below main)
cfn=app::main
calls=1 10
0 180

fn=app::main
10 5
cfi=parse.rs
cfn=app::parse
calls=2 3
11 60
12 10
cfi=walk.rs
cfn=app::walk
calls=1 1
13 105

fl=parse.rs
fn=app::parse
3 20
fi=/rustc/library/core/num.rs
400 30
fe=parse.rs
+2 10
*

fl=walk.rs
fn=app::walk
1 5
cfn=app::walk'2
calls=1 1
2 100

fn=app::walk'2
1 30
cfn=app::walk'2
calls=3 1
2 60
cfn=app::<impl app::Leaf for app::Tree>::leaf
calls=3 9
2 70

totals: 180
";

    #[test]
    fn a_function_costs_its_own_lines_and_its_calls() {
        let profile = Profile::parse(PROFILE).unwrap();
        assert_eq!(profile.of("app::main"), Some(180));
        assert_eq!(profile.of("app::parse"), Some(60), "with what was inlined");
        assert_eq!(profile.of("(below main)"), Some(180));
        assert_eq!(profile.of("app::gone"), None);
    }

    #[test]
    fn what_calls_itself_counts_once() {
        let profile = Profile::parse(PROFILE).unwrap();
        assert_eq!(profile.of("app::walk"), Some(105));
        assert_eq!(profile.of("app::walk'2"), Some(100));
    }

    #[test]
    fn calls_are_told_apart_by_who_made_them() {
        let profile = Profile::parse(PROFILE).unwrap();
        assert_eq!(profile.of_calls("app::main", "app::walk"), Some(105));
        let leaf = "app::<impl app::Leaf for app::Tree>::leaf";
        assert_eq!(profile.of_calls("app::walk'2", leaf), Some(70));
        assert_eq!(profile.of_calls("app::main", leaf), None);
    }

    #[test]
    fn more_columns_of_positions_are_passed_over() {
        let text = "positions: instr line\nevents: Ir Bc\nfn=a\n0x401000 7 42 3\n0x401004 8\n";
        assert_eq!(Profile::parse(text).unwrap().of("a"), Some(42));
    }

    #[test]
    fn what_can_not_be_read_is_an_error() {
        for text in ["events: Cy\n", "fn=(3) a\n", "fn=a\n1 many\n", "what is this\n"] {
            assert!(Profile::parse(text).is_err(), "{text}");
        }
    }
}
