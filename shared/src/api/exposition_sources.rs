//! The metrics of sources. A node to which nothing came by one has none of them.

use crate::api::exposition_text::Text;
use crate::error::Error;
use crate::host::{KeyValue, Sql};
use crate::journal;
use crate::ledger;

/// What is known of sources, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// How many readings were counted, and how many of them have an assumed time.
    counted: Vec<(String, i64, i64)>,
    /// How much was not counted, by why.
    others: Vec<(String, Vec<(String, u64)>)>,
}

impl Sources {
    /// What the database has.
    pub(crate) fn counted(sql: &impl Sql) -> Result<Self, Error> {
        let mut counted: Vec<(String, i64, i64)> = Vec::new();
        for one in ledger::sources::all(sql)? {
            match counted.last_mut().filter(|(name, ..)| *name == one.name) {
                Some((_, readings, assumed)) => {
                    *readings += one.readings;
                    *assumed += one.assumed;
                }
                None => counted.push((one.name, one.readings, one.assumed)),
            }
        }
        Ok(Self { counted, others: Vec::new() })
    }

    /// What the key-value store has.
    pub(crate) fn noted(store: &impl KeyValue) -> Result<Self, Error> {
        let mut others = Vec::new();
        for name in journal::sources::names(store).map_err(Error::Journal)? {
            let counts = journal::sources::counts(store, &name).map_err(Error::Journal)?;
            others.push((name, counts));
        }
        Ok(Self { counted: Vec::new(), others })
    }
}

impl Text {
    /// `counted` is from the database, `noted` from the key-value store; each is `None` while
    /// that is away.
    pub(super) fn sources(&mut self, counted: Option<&Sources>, noted: Option<&Sources>) {
        let counted = counted.map_or(&[][..], |sources| &sources.counted);
        let noted = noted.map_or(&[][..], |sources| &sources.others);
        if counted.is_empty() && noted.iter().all(|(_, counts)| counts.is_empty()) {
            return;
        }
        let name = "isotherm_source_readings_total";
        let help = "Readings that came by a source, by what became of them: kept, ignored, void, or \
                    why they were refused. Those that were not kept are counted in expectation.";
        self.family(name, "counter", help);
        for (source, readings, _) in counted {
            self.sample(name, &[("source", source), ("outcome", "kept")], *readings);
        }
        for (source, counts) in noted {
            for (outcome, count) in counts {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                self.sample(name, &[("source", source), ("outcome", outcome)], count);
            }
        }
        let name = "isotherm_source_time_assumed_readings_total";
        let help =
            "Readings by a source that have the time of their arrival, as their sender gave none.";
        self.family(name, "counter", help);
        for (source, _, assumed) in counted {
            self.sample(name, &[("source", source)], *assumed);
        }
    }
}
