//! An answer about what was read, and what it covers.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::http::representation::{Document, Format, Record, Table};
use crate::http::{Problem, Refusal, Request, Response};
use crate::read::view::{Coverage, FollowUp, Shown};

/// A response, and what to do after it is sent.
#[derive(Debug)]
pub struct Answered {
    /// What to answer.
    pub response: Response,
    /// What to call `query::after_answer` with then.
    pub follow_up: FollowUp,
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Self { response, follow_up: FollowUp::default() }
    }
}

impl Coverage {
    pub(crate) fn record(&self) -> Record {
        Record::of([
            ("from", self.from.into()),
            ("to", self.to.into()),
            ("as_of", self.as_of.into()),
            ("stale", self.stale.into()),
            ("unfolded_entries", self.unfolded_entries.into()),
            ("unfolded_readings", self.unfolded_readings.into()),
            ("quarantined_readings", self.quarantined_readings.into()),
        ])
    }
}

/// An answer in the making: how the records are listed, and what is beside them.
#[derive(Default)]
pub(crate) struct Listing {
    /// In JSON, the name of the list; without one, the only record is the answer.
    pub(crate) list: Option<&'static str>,
    /// What belongs to all records.
    pub(crate) about: Record,
    /// Whether the list has all that there is, where an answer says so.
    pub(crate) complete: Option<bool>,
    /// The next page, if there is one, relative to the request.
    pub(crate) next: Option<String>,
}

impl Shown {
    /// The answer to `request`. That it is stale is told in a header, too.
    pub(crate) fn answer(
        &self,
        request: &Request,
        format: Format,
        table: Table,
        listing: Listing,
        now: UnixMillis,
    ) -> Answered {
        let Listing { list, about, complete, next } = listing;
        let coverage = match complete {
            Some(complete) => self.coverage.record().with("complete", complete),
            None => self.coverage.record(),
        };
        let document = Document { list, table, about, coverage, next };
        let mut response = document.into_response(request, format);
        if self.coverage.stale {
            let age_ms = now.get().saturating_sub(self.coverage.as_of.get()).max(0);
            response = response.with_header("age", (age_ms / 1_000).to_string());
        }
        Answered { response, follow_up: self.follow_up }
    }

    /// The answer where nothing was found. It is not there only if all that was
    /// acknowledged is counted; otherwise it may be among what is not.
    pub(crate) fn missing(&self, unknown: Problem) -> Refusal {
        match self.coverage.is_complete() {
            true => unknown.into(),
            false => Error::NotCountedYet.into(),
        }
    }
}
