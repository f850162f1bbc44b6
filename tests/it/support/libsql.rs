//! Statements as libSQL's clients send them: parsed, and rendered anew.
//!
//! Spin's client of libSQL, the crate `libsql`, does this with every statement before it sends
//! it (its `parser.rs`), with this very parser. What that does not know never reaches a server.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::rc::Rc;

use fallible_iterator::FallibleIterator;
use isotherm::host::StoreError;
use libsql_sqlite3_parser::ast::{Cmd, Stmt};
use libsql_sqlite3_parser::lexer::sql::Parser;

/// The most statements that are remembered.
const KEPT_MAX: usize = 10_000;

thread_local! {
    static RENDERED: RefCell<HashMap<String, Rc<str>>> = RefCell::default();
}

/// What reaches the server of a statement. Pragmas stay as they are: the client refuses most of
/// them, and the application goes on without.
///
/// # Errors
///
/// What the parser does not know.
pub(crate) fn rendered(statement: &str) -> Result<Rc<str>, StoreError> {
    RENDERED.with_borrow_mut(|all| {
        if let Some(known) = all.get(statement) {
            return Ok(known.clone());
        }
        let made: Rc<str> = render(statement)?.into();
        record(statement);
        if all.len() < KEPT_MAX {
            all.insert(statement.to_owned(), made.clone());
        }
        Ok(made)
    })
}

/// Notes a statement that the parser knows, for `what_was_sent`.
fn record(statement: &str) {
    if let Ok(file) = std::env::var("ISOTHERM_STATEMENTS") {
        let mut file = File::options().append(true).create(true).open(file).unwrap();
        // In one call: other tests write at the same time.
        file.write_all(format!("{statement}\0").as_bytes()).unwrap();
    }
}

fn render(statement: &str) -> Result<String, StoreError> {
    let refused = |why: &str| StoreError::from_message(format!("libSQL: {why}: {statement}"));
    // On the heap, as it is large.
    let mut parser = Box::new(Parser::new(statement.as_bytes()));
    let parsed = parser.next().map_err(|error| refused(&error.to_string()))?;
    let parsed = parsed.ok_or_else(|| refused("no statement"))?;
    match parser.next() {
        Ok(None) => {}
        Ok(Some(_)) => return Err(refused("two statements")),
        Err(error) => return Err(refused(&error.to_string())),
    }
    Ok(match parsed {
        Cmd::Stmt(Stmt::CreateTable { .. } | Stmt::Pragma(..)) => statement.to_owned(),
        other => other.to_string(),
    })
}

#[test]
fn what_the_parser_does_not_know_is_refused_and_the_rest_is_rendered() {
    let known = [
        ("select a from b where c=?1", "SELECT a FROM b WHERE c = ?1;"),
        ("PRAGMA user_version", "PRAGMA user_version"),
        ("BEGIN IMMEDIATE", "BEGIN IMMEDIATE;"),
    ];
    for (statement, expected) in known {
        assert_eq!(&*rendered(statement).unwrap(), expected);
        assert_eq!(&*rendered(statement).unwrap(), expected, "what is remembered");
    }
    for statement in [
        "SELECT json_group_array(a ORDER BY b) FROM c",
        "SELECT group_concat(a, '' ORDER BY b) FROM c",
        "SELECT 1; SELECT 2",
        "",
        "-- nothing",
    ] {
        assert!(rendered(statement).is_err(), "{statement}");
    }
}
