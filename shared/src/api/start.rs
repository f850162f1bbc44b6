//! What is checked before a runtime starts, and by `/readyz`: the variables.

use crate::api::{access, cors};
use crate::domain::duration::duration_in_words;
use crate::error::Error;
use crate::exchange::peers;
use crate::host::{Host, Variables};
use crate::settings::{self, Horizon};

/// Reads every variable that all components use: a node with an unreadable one is not
/// ready, even if no request has needed it yet.
pub(crate) fn check(host: &impl Host) -> Result<(), Error> {
    settings::check(host)?;
    cors::check(host)
}

/// What a program says that starts a node with these variables: how long single readings are
/// kept, and whether access control is on. `asset` is the content of a file that is mounted
/// with the component, by its name; a time zone is looked for there. Fails with one line that
/// names a variable that can't be used, its value unless it is secret, and the rule.
pub fn check_at_start(
    value: &dyn Fn(&str) -> Option<String>,
    asset: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<String, String> {
    const SECRETS: [&str; 3] = [access::TOKENS, access::JWT_KEYS, access::SESSION_KEY];
    let host = Variables { value, asset };
    let checked = check(&host)
        .and_then(|()| access::check(&host))
        .and_then(|()| access::check_jwt(&host))
        .and_then(|()| peers::check(&host));
    checked.map_err(|error| match error {
        Error::Misconfigured { variable, cause } if SECRETS.contains(&variable) => {
            format!("variable {variable} {cause}")
        }
        Error::Misconfigured { variable, cause } => {
            format!("variable {variable}: {:?} {cause}", value(variable).unwrap_or_default())
        }
        error => error.to_string(),
    })?;
    let horizon = Horizon::from_variables(&host).map_err(|error| error.to_string())?;
    let kept = horizon
        .retention_ms
        .map_or("for ever".to_owned(), |ms| format!("for {}", duration_in_words(ms)));
    let access = match settings::access_is_on(&host) {
        Ok(true) => "Access control is on",
        _ => settings::ACCESS_IS_OFF,
    };
    Ok(format!("Single readings are kept {kept} (variable retention)\n{access}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is mounted with the component.
    fn mounted(file: &str) -> Option<Vec<u8>> {
        let zones = concat!(env!("CARGO_MANIFEST_DIR"), "/../query/assets/");
        std::fs::read(format!("{zones}{file}")).ok()
    }

    #[test]
    fn before_the_start_a_bad_variable_is_named_with_its_value_and_the_rule() {
        let with = |name: &'static str, text: &'static str| {
            let said =
                check_at_start(&move |asked| (asked == name).then(|| text.to_owned()), &mounted);
            said.map(|said| said.lines().next().unwrap().to_owned())
        };
        let kept = |time: &str| Ok(format!("Single readings are kept {time} (variable retention)"));
        assert_eq!(with("retention", "30d"), kept("for 30 days"));
        assert_eq!(with("retention", "0"), kept("for ever"));
        assert_eq!(with("unknown", "x"), kept("for 400 days"));
        let said = "variable max_skew: \"a \\\"day\" must be 0 or a number with ms, s, m, h or d \
                    behind it, at most 36500d";
        assert_eq!(with("max_skew", "a \"day"), Err(said.to_owned()));
        let said = "variable devices_max: \"0\" must be a number from 1 to 100000000";
        assert_eq!(with("devices_max", "0"), Err(said.to_owned()));
        for zone in ["UTC", "Europe/Berlin", " Asia/Kathmandu ", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            assert_eq!(with("time_zone", zone), kept("for 400 days"), "{zone}");
        }
        let said = "variable time_zone: \"Europe/Berln\" must be the name of a time zone, like ";
        let refused = with("time_zone", "Europe/Berln").unwrap_err();
        assert!(refused.starts_with(said), "{refused}");
        assert!(with("auth", "yes").unwrap_err().contains("must be on or off"));
        assert!(with("cors_origins", "https://a/b").unwrap_err().contains("origins"));
        assert!(with("peer2", "hub.example").unwrap_err().contains("must be an origin"));
        assert!(with("node", "a b").unwrap_err().contains("must be a name"));
    }

    #[test]
    fn a_secret_variable_is_named_without_its_value() {
        for (name, text) in [
            ("tokens", "gw hush"),
            ("jwt_keys", "hush"),
            ("jwt_keys", r#"{"keys":[{"kty":"oct","kid":"hush","alg":"HS256","k":"hush"}]}"#),
            ("session_key", "hush"),
        ] {
            let said =
                check_at_start(&move |asked| (asked == name).then(|| text.to_owned()), &mounted);
            let said = said.unwrap_err();
            assert!(said.starts_with(&format!("variable {name} ")), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }
}
