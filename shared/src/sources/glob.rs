//! Globs: texts in which `*` stands for any characters, or none.

use crate::limits;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;

/// Whether a text is as the glob says. The time is linear in both lengths: each piece between
/// two `*` is searched once, where the one before it ended.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let Some((first, pieces)) = glob.split_once('*') else { return glob == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = pieces.rsplit_once('*').unwrap_or(("", pieces));
    for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// How much of the text a glob says itself: its characters except `*`.
pub(crate) fn weight(glob: &str) -> usize {
    glob.chars().filter(|c| *c != '*').count()
}

/// What a value must be: one of some globs, and none of some others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Globs {
    any_of: Vec<String>,
    none_of: Vec<String>,
}

impl Globs {
    /// Adds a glob. Behind a `!` is what the value must not be. `None` if there are too many.
    pub(crate) fn add(&mut self, glob: &str) -> Option<()> {
        match glob.strip_prefix('!') {
            Some(glob) => self.none_of.push(glob.to_owned()),
            None => self.any_of.push(glob.to_owned()),
        }
        (self.any_of.len() + self.none_of.len() <= limits::SOURCE_LIST_MAX).then_some(())
    }

    /// Whether a value is as it must be. One that is absent (`None`) is matched by no glob, so
    /// `!*` asks for its absence. Arrays and objects are given as "": only `*` matches them.
    pub(crate) fn allow(&self, text: Option<&str>, steps: &mut Steps) -> Result<bool, TooCostly> {
        let Some(text) = text else { return Ok(self.any_of.is_empty()) };
        for glob in &self.none_of {
            steps.take(glob.len() + text.len())?;
            if matches(glob, text) {
                return Ok(false);
            }
        }
        for glob in &self.any_of {
            steps.take(glob.len() + text.len())?;
            if matches(glob, text) {
                return Ok(true);
            }
        }
        Ok(self.any_of.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_is_any_characters_or_none() {
        for (glob, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "any", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*temperature", "BME280_temperature", true),
            ("*temperature", "temperature2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("*ab*", "aab", true),
            ("a**b", "ab", true),
            ("**", "", true),
            ("Nexus-TH.1.*", "Nexus-TH.1.194", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
        assert_eq!((weight("a*b*"), weight("***"), weight("ü")), (2, 0, 1));
    }

    #[test]
    fn what_must_not_be_wins_and_absence_is_nothing() {
        let globs = |list: &[&str]| {
            let mut globs = Globs::default();
            list.iter().for_each(|glob| globs.add(glob).unwrap());
            globs
        };
        for (list, text, expected) in [
            (&["a*", "b*"][..], Some("b1"), true),
            (&["a*", "!a1"], Some("a1"), false),
            (&["a*", "!a1"], Some("a2"), true),
            (&["!global", "!esp32*"], Some("ds18b20"), true),
            (&["!global", "!esp32*"], Some("esp32-c3"), false),
            (&["!global"], None, true),
            (&["*"], None, false),
            (&["!*"], None, true),
            (&["!*"], Some(""), false),
        ] {
            let allowed = globs(list).allow(text, &mut Steps::of(0));
            assert_eq!(allowed, Ok(expected), "{list:?} {text:?}");
        }
    }

    #[test]
    fn every_glob_that_is_tried_is_counted() {
        let mut globs = Globs::default();
        ["!a*", "!b*", "c*", "d*"].iter().for_each(|glob| globs.add(glob).unwrap());
        let mut steps = Steps::of(0);
        let text = "x".repeat(1_000);
        assert_eq!(globs.allow(Some(&text), &mut steps), Ok(false));
        assert!(steps.taken() > 4_000, "{}", steps.taken());
    }

    /// By trial of every length that a star may have.
    fn by_trial(glob: &[char], text: &[char]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| by_trial(rest, &text[skip..])),
            Some((c, rest)) => text.first() == Some(c) && by_trial(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn a_glob_matches_what_a_trial_of_all_finds(glob in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = by_trial(&chars(&glob), &chars(&text));
            prop_assert_eq!(matches(&glob, &text), expected);
        }
    }
}
