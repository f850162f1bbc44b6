//! Makes a token without a node: `cargo xtask token`, and the gateway's `token`.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command prints to a terminal")]

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use isotherm::UnixMillis;

/// A token, and its line for the variable `tokens`.
pub struct Token {
    /// What a client sends.
    pub token: String,
    /// What a node knows of it. It has a hash of the token, and is no secret.
    pub line: String,
}

struct Options {
    id: Option<String>,
    scopes: Vec<String>,
    expires: Option<String>,
    is_quiet: bool,
}

/// Makes a token and prints it.
///
/// # Errors
///
/// Arguments that can't be meant.
pub fn run(arguments: Vec<String>) -> Result<()> {
    let options = parse(arguments)?;
    let id = options.id.map_or_else(some_id, Ok)?;
    let scopes: Vec<&str> = options.scopes.iter().map(String::as_str).collect();
    let Token { token, line } = make(&id, &scopes, options.expires.as_deref())?;
    if options.is_quiet {
        println!("{token}\n{line}");
        return Ok(());
    }
    println!(
        "The token, which is shown this once:

    {token}

Its line for the variable tokens. That has a hash of the token, and is no secret:

    {line}

A node that was started with the line lets in a client that sends
\"authorization: Bearer <token>\"."
    );
    Ok(())
}

fn parse(arguments: Vec<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut options = Options { id: None, scopes: Vec::new(), expires: None, is_quiet: false };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("id") => options.id = Some(parser.value()?.string()?),
            Long("scope") => options.scopes.push(parser.value()?.string()?),
            Long("expires") => options.expires = Some(parser.value()?.string()?),
            Long("quiet") => options.is_quiet = true,
            other => {
                bail!("{}; there are --id, --scope, --expires and --quiet", other.unexpected())
            }
        }
    }
    if options.scopes.is_empty() {
        bail!("what may the token do? Give at least one --scope, like --scope 'read:*'");
    }
    Ok(options)
}

/// Makes a token.
///
/// # Errors
///
/// What the application says is wrong with its id or its scopes.
pub fn make(id: &str, scopes: &[&str], expires: Option<&str>) -> Result<Token> {
    let made = isotherm::new_token(id, &random()?, scopes, expires, now()?);
    let (token, line) = made.map_err(anyhow::Error::msg)?;
    Ok(Token { token, line })
}

fn some_id() -> Result<String> {
    let [a, b, c, d, ..] = random()?;
    Ok(format!("token-{a:02x}{b:02x}{c:02x}{d:02x}"))
}

/// From the operating system's generator for secrets.
///
/// # Errors
///
/// There is none.
pub fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system gives no random bytes")?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "a command is an entry: it reads the clock")]
fn now() -> Result<UnixMillis> {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let millis = i64::try_from(millis).ok().and_then(UnixMillis::new);
    millis.ok_or_else(|| anyhow!("the machine's clock is beyond the year 9999"))
}
