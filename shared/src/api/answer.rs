//! Answers: responses about what was read and what it covers.

use crate::access::scope::Scopes;
use crate::api::accessed::Accessed;
use crate::api::call::Call;
use crate::error::Error;
use crate::http::document::{Document, Fields, Table};
use crate::http::{Problem, Refusal, Response};
use crate::read::fresh::{AfterAnswer, Coverage, Covered};

/// A response, and the work to do after it is sent.
#[derive(Debug)]
pub struct Answered {
    /// The response.
    pub response: Response,
    /// The work to do after it.
    pub after_answer: AfterAnswer,
    /// The route, as in `openapi.json`; `(none)` if there is none.
    pub route: &'static str,
    /// Whose request it was.
    pub accessed: Accessed,
}

/// What a handler returns.
pub(crate) type HandlerResult = Result<Answered, Refusal>;

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        let (after_answer, accessed) = (AfterAnswer::default(), Accessed::default());
        Self { response, after_answer, route: "(none)", accessed }
    }
}

impl Coverage {
    /// As an answer to somebody with these scopes has it: the names of other nodes are for those
    /// that may read everything.
    pub(crate) fn record(&self, scopes: &Scopes) -> Fields {
        let senders = self.senders.as_ref();
        let names = senders.filter(|_| scopes.reads_all()).map(|one| one.silent_names.as_str());
        Fields::of([
            ("from", self.from.into()),
            ("to", self.to.into()),
            ("as_of", self.as_of.into()),
            ("stale", self.stale.into()),
            ("unfolded_entries", self.unfolded_entries.into()),
            ("unfolded_readings", self.unfolded_readings.into()),
            ("quarantined_readings", self.quarantined_readings.into()),
            ("senders", senders.map(|senders| senders.count).into()),
            ("silent_senders", senders.map(|senders| senders.silent).into()),
            ("silent_nodes", names.filter(|names| !names.is_empty()).into()),
            ("senders_as_of", senders.and_then(|senders| senders.as_of).into()),
            ("missing_readings", senders.map(|senders| senders.missing).into()),
        ])
    }
}

/// How an answer lists its records, and what it has beside them.
#[derive(Default)]
pub(crate) struct Listing {
    /// In JSON, the name of the array; without one, the only record is the answer.
    pub(crate) list: Option<&'static str>,
    /// Fields that apply to all records.
    pub(crate) about: Fields,
    /// Whether the list has everything that there is; `None` if the answer does not
    /// say.
    pub(crate) complete: Option<bool>,
    /// The next page, if there is one, relative to the request.
    pub(crate) next: Option<String>,
}

impl Covered {
    /// The answer to `call`. A stale answer also has the header `age`.
    pub(crate) fn answer<H>(&self, call: &Call<'_, H>, table: Table, listing: Listing) -> Answered {
        let Listing { list, about, complete, next } = listing;
        let scopes = &call.grant.scopes;
        let coverage = match complete {
            Some(complete) => self.coverage.record(scopes).with("complete", complete),
            None => self.coverage.record(scopes),
        };
        let document = Document { list, table, about, coverage, next };
        let mut response = document.into_response(call.request, call.format);
        if self.coverage.stale {
            let age_ms = call.now.get().saturating_sub(self.coverage.as_of.get()).max(0);
            response = response.with_header("age", (age_ms / 1_000).to_string());
        }
        Answered { after_answer: self.after_answer, ..response.into() }
    }

    /// The answer if nothing was found: `unknown`, if every acknowledged entry was
    /// folded. If not, what was asked for may be among the others.
    pub(crate) fn missing(&self, unknown: Problem) -> Refusal {
        match self.coverage.is_complete() {
            true => unknown.into(),
            false => Error::NotCountedYet.into(),
        }
    }
}
