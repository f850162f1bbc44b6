//! `manifest.txt`: what there is to know of both copies, a fact a line.
//!
//! ```text
//! isotherm-backup 1
//! made 20261126T020417Z
//! journal.db bytes 28672
//! regions.db readings 184320
//! ```

use std::fmt;

use crate::store::Which;

/// The first line: the format's name and version.
pub(crate) const HEAD: &str = "isotherm-backup 1";

/// The name of the file.
pub(crate) const FILE_NAME: &str = "manifest.txt";

/// What is known of copies, in the order of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(Vec<Fact>);

/// A line, such as `regions.db readings 184320`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) file: String,
    pub(crate) what: String,
    pub(crate) value: String,
}

impl Facts {
    /// Those of a manifest. A line that is none is left out: a fact that is missed is noticed.
    pub(crate) fn parse(text: &str) -> Self {
        let fact = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let fact = Fact { file: words.next()?, what: words.next()?, value: words.next()? };
            words.next().is_none().then_some(fact)
        };
        Self(text.lines().filter_map(fact).collect())
    }

    pub(crate) fn add(&mut self, which: Which, what: &str, value: impl fmt::Display) {
        let file = which.file_name().to_owned();
        self.0.push(Fact { file, what: what.to_owned(), value: value.to_string() });
    }

    pub(crate) fn value(&self, which: Which, what: &str) -> Option<&str> {
        let is_it = |fact: &&Fact| fact.file == which.file_name() && fact.what == what;
        self.0.iter().find(is_it).map(|fact| fact.value.as_str())
    }

    /// A number; 0 where there is none.
    pub(crate) fn number(&self, which: Which, what: &str) -> u64 {
        self.value(which, what).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter()
    }

    /// A line if the database has seen fewer folds than the journal knows of: it lacks readings
    /// that have left the journal.
    pub(crate) fn behind(&self) -> Option<String> {
        let seen = self.number(Which::Journal, "folds_seen");
        let has = self.number(Which::Regions, "folds");
        (seen > has).then(|| {
            format!(
                "regions.db is older than the journal: it has {has} folds, the journal saw \
                 {seen}. It was replaced, or is a copy without its -wal"
            )
        })
    }

    /// `2 entries in the journal, 184320 readings counted`.
    pub(crate) fn in_short(&self) -> String {
        let entries = self.number(Which::Journal, "entries");
        let readings = self.number(Which::Regions, "readings");
        format!("{entries} entries in the journal, {readings} readings counted")
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|Fact { file, what, value }| writeln!(f, "{file} {what} {value}"))
    }
}
