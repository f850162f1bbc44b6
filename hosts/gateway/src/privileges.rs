//! Gives up the rights of root once the sockets are open.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};

/// A user by name or number.
#[derive(Debug)]
pub(crate) struct Account {
    /// `None` for a number that has no name here, as in an image without `/etc/passwd`.
    name: Option<CString>,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// # Errors
    ///
    /// There is no such user.
    pub(crate) fn find(text: &str) -> Result<Self> {
        let number: Option<u32> = text.parse().ok();
        let found = match number {
            Some(number) => User::from_uid(Uid::from_raw(number)),
            None => User::from_name(text),
        };
        match (found.with_context(|| format!("user {text}"))?, number) {
            (Some(user), _) => {
                let name = Some(CString::new(user.name)?);
                Ok(Self { name, uid: user.uid, gid: user.gid })
            }
            (None, Some(number)) => {
                let (uid, gid) = (Uid::from_raw(number), Gid::from_raw(number));
                Ok(Self { name: None, uid, gid })
            }
            (None, None) => bail!("user {text}: there is none of that name"),
        }
    }

    /// Becomes this user, in all threads and for good. A directory for the data that is missing is
    /// made for it.
    ///
    /// # Errors
    ///
    /// It was started by neither root nor this user.
    pub(crate) fn enter(&self, data: &Path) -> Result<()> {
        let is_root = geteuid().is_root();
        if is_root && !data.exists() {
            // Through what is above it, the user has to come.
            let made = std::fs::create_dir_all(data.parent().unwrap_or(data))
                .and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(data));
            made.and_then(|()| chown(data, Some(self.uid.as_raw()), Some(self.gid.as_raw())))
                .with_context(|| format!("{} can't be made", data.display()))?;
        }
        if is_root && !self.uid.is_root() {
            match &self.name {
                Some(name) => initgroups(name, self.gid),
                None => setgroups(&[self.gid]),
            }
            .context("its groups can't be set")?;
            setgid(self.gid).context("its group can't be set")?;
            setuid(self.uid).context("its user can't be set")?;
            if setuid(Uid::from_raw(0)).is_ok() {
                bail!("user: the rights of root are still there");
            }
        } else if geteuid() != self.uid {
            bail!("user: only root can start it as another user");
        }
        // No program that it might start gets more.
        set_no_new_privs().context("no_new_privs can't be set")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        assert!(Account::find("root").unwrap().uid.is_root());
        let nameless = Account::find("3999999").unwrap();
        assert_eq!((nameless.uid.as_raw(), nameless.gid.as_raw()), (3_999_999, 3_999_999));
        assert!(nameless.name.is_none());
        let said = Account::find("nobody-of-this-name").unwrap_err().to_string();
        assert!(said.contains("none of that name"), "{said}");
    }
}
