//! `budget.toml`: how many bytes a component may have, and how many instructions a reading may
//! take in each stage.

use anyhow::{Context, Result, bail};

use crate::root;

/// The file's name.
const FILE: &str = "budget.toml";

/// From so many percent below its limit on, a figure wants a lower one.
const BELOW_PERCENT: u64 = 10;

/// A table of limits, in the order in which their names were asked for.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Vec<(&'static str, u64)>,
}

impl Budget {
    /// The limits of these names.
    ///
    /// # Errors
    ///
    /// One of them has no limit, or there is a limit of another name.
    pub(crate) fn read(table: &str, names: &[&'static str]) -> Result<Self> {
        let text = std::fs::read_to_string(root().join(FILE)).context(FILE)?;
        Self::parse(&text, table, names).context(FILE)
    }

    fn parse(text: &str, table: &str, names: &[&'static str]) -> Result<Self> {
        let file: toml::Table = text.parse()?;
        let given = file.get(table).and_then(toml::Value::as_table);
        let given = given.with_context(|| format!("there is no table [{table}]"))?;
        if let Some(name) = given.keys().find(|name| !names.contains(&name.as_str())) {
            bail!("[{table}] has a limit for \"{name}\", which is not known");
        }
        let limit = |name: &&'static str| {
            let value = given.get(*name).and_then(toml::Value::as_integer);
            let value = value.and_then(|value| u64::try_from(value).ok());
            let value = value.with_context(|| format!("[{table}] has no limit for \"{name}\""))?;
            Ok((*name, value))
        };
        Ok(Self { limits: names.iter().map(limit).collect::<Result<_>>()? })
    }

    /// The limits, by their names.
    pub(crate) fn limits(&self) -> &[(&'static str, u64)] {
        &self.limits
    }

    /// Returns what wants a lower limit, a line each. `figures` are in the order of the names.
    ///
    /// # Errors
    ///
    /// Figures are above their limits: the error has their names.
    pub(crate) fn check(&self, figures: &[u64], unit: &str) -> Result<Vec<String>> {
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for ((name, limit), figure) in self.limits.iter().zip(figures) {
            if figure > limit {
                above.push(format!("\"{name}\" has {figure} {unit}, and may have {limit}"));
            }
            if figure * 100 < limit * (100 - BELOW_PERCENT) {
                let lower = limit_for(*figure);
                below.push(format!(
                    "\"{name}\" has {figure} {unit} by now: lower its limit in {FILE} from {limit} \
                     to {lower}"
                ));
            }
        }
        if above.is_empty() { Ok(below) } else { bail!("{} ({FILE})", above.join("; ")) }
    }
}

/// A figure and two percent, rounded up to three digits.
fn limit_for(figure: u64) -> u64 {
    let with_room = figure.saturating_mul(102).div_ceil(100);
    let mut unit = 1;
    while with_room / unit >= 1_000 {
        unit *= 10;
    }
    with_room.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[bytes]\na = 1_000\n[instructions]\n\"fold: names\" = 300\nfold = 5_000\n";

    fn of_fold() -> Budget {
        Budget::parse(TEXT, "instructions", &["fold", "fold: names"]).unwrap()
    }

    #[test]
    fn limits_are_in_the_order_of_the_names() {
        assert_eq!(of_fold().limits(), [("fold", 5_000), ("fold: names", 300)]);
    }

    #[test]
    fn a_name_that_is_missing_or_not_known_is_an_error() {
        let said = |table, names: &[&'static str]| {
            Budget::parse(TEXT, table, names).unwrap_err().to_string()
        };
        assert_eq!(said("bytes", &["a", "b"]), "[bytes] has no limit for \"b\"");
        assert_eq!(
            said("instructions", &["fold"]),
            "[instructions] has a limit for \"fold: names\", which is not known"
        );
        assert_eq!(said("seconds", &[]), "there is no table [seconds]");
    }

    #[test]
    fn what_is_above_its_limit_fails_by_its_name() {
        assert_eq!(of_fold().check(&[5_000, 300], "instructions").unwrap(), [""; 0]);
        let said = of_fold().check(&[5_000, 301], "instructions").unwrap_err().to_string();
        assert_eq!(said, "\"fold: names\" has 301 instructions, and may have 300 (budget.toml)");
    }

    #[test]
    fn what_fell_wants_a_lower_limit() {
        assert_eq!(of_fold().check(&[4_500, 270], "instructions").unwrap(), [""; 0]);
        let lines = of_fold().check(&[4_499, 300], "instructions").unwrap();
        let line = "\"fold\" has 4499 instructions by now: lower its limit in budget.toml from 5000 \
                    to 4590";
        assert_eq!(lines, [line]);
    }

    #[test]
    fn a_limit_has_two_percent_of_room_and_three_digits() {
        let expected = [(0, 0), (1, 2), (98, 100), (1_000, 1_020), (4_499, 4_590), (9_990, 10_200)];
        for (figure, limit) in expected {
            assert_eq!(limit_for(figure), limit, "{figure}");
        }
    }
}
