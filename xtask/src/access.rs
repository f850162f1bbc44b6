//! Access control for `cargo xtask up --auth`: the tokens and the key of sessions, in files
//! that only their owner can read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use rusqlite::{Connection, OpenFlags};

use isotherm_token::{make, random};

/// Lines of the variable `tokens`.
const TOKENS: &str = "tokens";
/// The variable `session_key`.
const SESSION_KEY: &str = "session_key";

/// The id of the token of the first start, unless a line has it already.
const ADMIN: &str = "admin";

/// The id of the token with which the node is told to exchange readings, unless a line has it.
const BEAT: &str = "beat";

/// The least that lets a client call `POST /v1/sync`.
const BEAT_SCOPE: &str = "sync:beat@beat";

/// What a node gets for its access control.
pub(crate) struct Access {
    directory: PathBuf,
    tokens: String,
    /// These, and those of this start alone.
    all_tokens: String,
    session_key: String,
    /// The administrator's token, which nobody has seen yet.
    new: Option<String>,
}

impl Access {
    /// From the files in `directory`; what they lack is new, and kept by `keep`.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(text),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
                Err(error) => Err(anyhow!("{} can't be read: {error}", path.display())),
            }
        };
        let (mut tokens, mut session_key) = (read(TOKENS)?, read(SESSION_KEY)?.trim().to_owned());
        let mut new = None;
        if !lines(&tokens).any(is_administrator) {
            let id = free_id(ADMIN, &tokens);
            let admin = make(&id, &["admin"], None)?;
            if tokens.is_empty() {
                "# Tokens of `cargo xtask up --auth`".clone_into(&mut tokens);
            }
            tokens = format!("{}\n{}\n", tokens.trim_end(), admin.line);
            new = Some(admin.token);
        }
        if session_key.is_empty() {
            session_key = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
        }
        let (directory, all_tokens) = (directory.to_owned(), tokens.clone());
        Ok(Self { directory, tokens, all_tokens, session_key, new })
    }

    /// Makes a token that may have the node exchange readings with its peers. It works until
    /// the node ends, and is kept nowhere.
    pub(crate) fn let_beat(&mut self) -> Result<String> {
        let made = make(&free_id(BEAT, &self.all_tokens), &[BEAT_SCOPE], None)?;
        self.all_tokens = format!("{}\n{}\n", self.all_tokens.trim_end(), made.line);
        Ok(made.token)
    }

    /// Keeps both in their files.
    pub(crate) fn keep(&self) -> Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        for (name, text) in [(TOKENS, &self.tokens), (SESSION_KEY, &self.session_key)] {
            let path = self.directory.join(name);
            write_private(&path, text).with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }

    /// The environment of the runtime, which others can't see. (They can see its command line.)
    pub(crate) fn environment(&self) -> [(&'static str, &str); 3] {
        [
            ("SPIN_VARIABLE_AUTH", "on"),
            ("SPIN_VARIABLE_TOKENS", self.all_tokens.trim()),
            ("SPIN_VARIABLE_SESSION_KEY", &self.session_key),
        ]
    }

    /// Fails if one of its variables is given in another way, too: which one counts would
    /// depend on the runtime.
    pub(crate) fn check_alone(
        &self,
        given: &[String],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<()> {
        for (name, _) in self.environment() {
            let variable = name.trim_start_matches("SPIN_VARIABLE_").to_lowercase();
            let is_given = |pair: &String| pair.split_once('=').is_some_and(|(n, _)| n == variable);
            if given.iter().any(is_given) || environment(name).is_some() {
                bail!("--auth sets the variable {variable}; leave one of them out");
            }
        }
        Ok(())
    }

    /// What there is to say of it. `journal` is the file of the key-value store.
    pub(crate) fn said(&self, journal: &Path) -> String {
        if let Some(token) = &self.new {
            return format!(
                "Access control is on. The administrator's token, which is shown this once:

    {token}

Send it as \"authorization: Bearer <token>\" to make others (POST /v1/tokens), or log in with \
                 it on the page."
            );
        }
        let kept: Vec<&str> = lines(&self.tokens).filter_map(id_of).collect();
        let stored = stored_ids(journal);
        let made = match stored.is_empty() {
            true => String::new(),
            false => format!(", and {} of POST /v1/tokens", stored.join(", ")),
        };
        let file = self.directory.join(TOKENS);
        format!(
            "Access control is on. There are tokens of: {} ({file}){made}.\n\
             If the administrator's token is lost, delete its line in that file and start again: \
             the new one\nis shown then.",
            kept.join(", "),
            file = file.display()
        )
    }
}

/// The lines that have a token.
fn lines(tokens: &str) -> impl Iterator<Item = &str> {
    let lines = tokens.split(['\n', ';']).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn id_of(line: &str) -> Option<&str> {
    line.split_ascii_whitespace().next()
}

/// Whether the line's token works as an administrator's, but for its time.
fn is_administrator(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().skip(2).collect();
    let is_withdrawn = words.iter().any(|word| ["inactive", "revoked"].contains(word));
    words.contains(&"admin") && !is_withdrawn
}

/// An id like this one that no line has.
fn free_id(like: &str, tokens: &str) -> String {
    let is_free = |id: &String| !lines(tokens).any(|line| id_of(line) == Some(id));
    let others = (2_u32..).map(|number| format!("{like}-{number}"));
    let ids = std::iter::once(like.to_owned()).chain(others);
    ids.into_iter().find(is_free).unwrap_or_else(|| like.to_owned())
}

/// The ids of the tokens that the node has made and not revoked (`docs/formats.md`). Without
/// a store there are none.
fn stored_ids(journal: &Path) -> Vec<String> {
    const QUERY: &str = "SELECT substr(key, 9), CAST(value AS TEXT) FROM spin_key_value \
                         WHERE store = 'default' AND key >= 'token/1/' AND key < 'token/10' \
                         ORDER BY key";
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let connection = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut statement = connection.prepare(QUERY)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let rows = read().unwrap_or_default().into_iter();
    rows.filter(|(_, line)| !line.ends_with(" revoked")).map(|(id, _)| id).collect()
}

/// Writes a file that nobody but its owner can read, whatever its rights were. It is new as
/// a whole: a crash leaves the old one.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn value<'a>(access: &'a Access, name: &str) -> &'a str {
        access.environment().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn the_first_start_shows_a_token_and_the_next_one_says_whose_there_are() {
        let directory = tempfile::TempDir::new().unwrap();
        let below = directory.path().join(".spin");
        let journal = below.join("journal.db");
        let first = Access::read(&below).unwrap();
        first.keep().unwrap();
        let token = first.new.clone().unwrap();
        assert!(first.said(&journal).contains(&format!("\n\n    {token}\n\n")));

        let second = Access::read(&below).unwrap();
        second.keep().unwrap();
        assert_eq!(second.new, None);
        for name in ["SPIN_VARIABLE_AUTH", "SPIN_VARIABLE_TOKENS", "SPIN_VARIABLE_SESSION_KEY"] {
            assert_eq!(value(&second, name), value(&first, name));
        }
        let said = second.said(&journal);
        let file = below.join(TOKENS);
        assert!(said.contains(&format!("tokens of: admin ({}).", file.display())), "{said}");
        assert!(!journal.exists(), "a store was made by looking into it");

        let secrets = std::fs::read_to_string(below.join(TOKENS)).unwrap() + &said;
        assert!(!secrets.contains(&token[token.len() - 20..]), "the token is kept");
    }

    #[test]
    fn an_administrators_line_that_was_deleted_is_made_again_beside_the_others() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join(TOKENS);
        let restart = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let access = Access::read(directory.path()).unwrap();
            access.keep().unwrap();
            (access.new.is_some(), std::fs::read_to_string(&file).unwrap())
        };
        let digest = "0".repeat(64);
        let device = format!("# mine\ngw-1 {digest} write:*@hall");
        let (is_new, text) = restart(&device);
        assert!(is_new && text.starts_with(&format!("{device}\nadmin ")), "{text}");
        assert_eq!(restart(&text), (false, text));
        // An administrator by another name is one; a withdrawn one is none.
        assert!(!restart(&format!("ops {digest} metrics admin expires=2100-01-01T00:00:00Z")).0);
        let (is_new, text) = restart(&format!("admin {digest} admin revoked"));
        assert!(is_new && text.contains("\nadmin-2 "), "{text}");
        assert!(restart(&format!("admin {digest} read:*")).1.contains("\nadmin-2 "));
    }

    #[test]
    fn tokens_that_the_node_made_are_named_but_for_revoked_ones() {
        let directory = tempfile::TempDir::new().unwrap();
        let journal = directory.path().join("journal.db");
        let connection = Connection::open(&journal).unwrap();
        let insert = "CREATE TABLE spin_key_value (store TEXT, key TEXT, value BLOB);
             INSERT INTO spin_key_value VALUES
             ('default', 'token/1/gw-1', CAST('gw-1 00 read:*' AS BLOB)),
             ('default', 'token/1/gw-2', CAST('gw-2 00 read:* revoked' AS BLOB)),
             ('default', 'token-use/1/gw-3', CAST('1' AS BLOB))";
        connection.execute_batch(insert).unwrap();
        assert_eq!(stored_ids(&journal), ["gw-1"]);
    }

    #[test]
    fn both_files_are_their_owners_alone_whatever_they_were() {
        let directory = tempfile::TempDir::new().unwrap();
        let access = Access::read(directory.path()).unwrap();
        for (name, text) in [(TOKENS, &access.tokens), (SESSION_KEY, &access.session_key)] {
            let path = directory.path().join(name);
            std::fs::write(&path, "x".repeat(1_000)).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            access.keep().unwrap();
            assert_eq!(mode(&path), 0o600, "{name}");
            assert_eq!(&std::fs::read_to_string(&path).unwrap(), text);
            std::fs::remove_file(&path).unwrap();
            access.keep().unwrap();
            assert_eq!(mode(&path), 0o600, "{name}");
        }
    }

    #[test]
    fn the_application_takes_what_is_kept() {
        let directory = tempfile::TempDir::new().unwrap();
        let access = Access::read(directory.path()).unwrap();
        let of = |name: &str| {
            let name = format!("SPIN_VARIABLE_{}", name.to_uppercase());
            let found = access.environment().into_iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_owned())
        };
        let said = isotherm::check_at_start(&of, &|_file| None).unwrap();
        assert!(said.contains("Access control is on"), "{said}");
    }

    #[test]
    fn a_token_for_the_beat_is_given_to_the_node_and_kept_nowhere() {
        let directory = tempfile::TempDir::new().unwrap();
        std::fs::write(directory.path().join(TOKENS), format!("beat {} metrics", "0".repeat(64)))
            .unwrap();
        let mut access = Access::read(directory.path()).unwrap();
        let token = access.let_beat().unwrap();
        access.keep().unwrap();
        assert!(token.starts_with("isotherm_beat-2_"), "the id beat is in use");
        let line = value(&access, "SPIN_VARIABLE_TOKENS").lines().last().unwrap();
        assert!(line.starts_with("beat-2 ") && line.contains(BEAT_SCOPE), "{line}");
        let kept = std::fs::read_to_string(directory.path().join(TOKENS)).unwrap();
        assert!(!kept.contains("beat-2") && kept.contains("\nadmin "), "{kept}");
        assert!(!access.said(&directory.path().join("journal.db")).contains("beat-2"));
    }

    #[test]
    fn a_variable_that_is_given_twice_is_refused() {
        let directory = tempfile::TempDir::new().unwrap();
        let access = Access::read(directory.path()).unwrap();
        let none = |_: &str| None;
        let given = |pair: &str| [pair.to_owned()];
        assert!(access.check_alone(&given("retention=9d"), &none).is_ok());
        for pair in ["auth=off", "tokens=", "session_key=x"] {
            let said = access.check_alone(&given(pair), &none).unwrap_err().to_string();
            assert!(said.contains(pair.split('=').next().unwrap()), "{said}");
        }
        let set = |name: &str| (name == "SPIN_VARIABLE_TOKENS").then(|| "x".to_owned());
        assert!(access.check_alone(&[], &set).is_err());
    }
}
