//! `user` and `group`: from what is written to the numbers that the system knows.
//!
//! Names are looked up in /etc/passwd and /etc/group, and nowhere else: a user who is kept in a
//! directory on the network is written as a number.

use std::fmt;
use std::fs;

use super::RunAs;
use super::error::Problem;
use super::scalar::Hint;
use super::table::Spot;

/// A user or a group as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Account {
    Name(String),
    Number(u32),
}

/// Who there is, and whom the daemon runs as.
pub(super) struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
    daemon: Ids,
}

/// The numbers of a user and of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A user, whose entry is missing if a number is all that is known.
#[derive(Clone, Copy)]
struct Found<'a> {
    uid: u32,
    entry: Option<&'a User>,
}

struct User {
    name: String,
    ids: Ids,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Account {
    /// A number, or what may be a name.
    pub(super) fn parse(text: &str) -> Result<Self, Hint> {
        if let Ok(number) = text.parse() {
            // The system reads this number as "leave it as it is".
            return if number == u32::MAX { Err(Hint(None)) } else { Ok(Self::Number(number)) };
        }
        let is_foreign = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',');
        if text.contains(':') {
            return Err("the group has a key of its own, `group`".to_owned().into());
        }
        if text.is_empty() || text.contains(is_foreign) {
            return Err(Hint(None));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl Accounts {
    /// Those of this machine, as of now; a file that cannot be read names nobody.
    pub(super) fn of_system() -> Self {
        let read = |path| fs::read(path).unwrap_or_default();
        let daemon = Ids {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        };
        Self::new(
            &String::from_utf8_lossy(&read("/etc/passwd")),
            &String::from_utf8_lossy(&read("/etc/group")),
            daemon,
        )
    }

    /// From the text of /etc/passwd and /etc/group; lines that are no entries are passed over.
    fn new(passwd: &str, group: &str, daemon: Ids) -> Self {
        Self {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(self::group).collect(),
            daemon,
        }
    }

    /// Whom instances run as; none: as the daemon does.
    ///
    /// # Errors
    /// A name that nobody has, or somebody whom this daemon cannot become.
    pub(super) fn run_as(
        &self,
        user: Option<&Spot<Account>>,
        group: Option<&Spot<Account>>,
    ) -> Result<Option<RunAs>, Vec<Problem>> {
        let Some(key) = user.or(group) else { return Ok(None) };
        let found = user.map(|user| self.user(user)).transpose();
        let gid = group.map(|group| self.gid(group)).transpose();
        let (found, gid) = match (found, gid) {
            (Ok(found), Ok(gid)) => (found, gid),
            (found, gid) => return Err(found.err().into_iter().chain(gid.err()).collect()),
        };
        let ids = match found {
            None => Ids { gid: gid.unwrap_or(self.daemon.gid), ..self.daemon },
            Some(Found { uid, entry }) => match gid.or(entry.map(|entry| entry.ids.gid)) {
                Some(gid) => Ids { uid, gid },
                None => return Err(vec![without_group(key, uid)]),
            },
        };
        if self.daemon.uid != 0 {
            return if ids == self.daemon { Ok(None) } else { Err(vec![self.not_root(key, ids)]) };
        }
        let shown_user = user.map(|user| user.value.to_string()).unwrap_or_default();
        let shown_group = group.map(|group| format!(":{}", group.value)).unwrap_or_default();
        let entry = found.and_then(|found| found.entry);
        let groups = entry.map(|entry| self.further_groups(&entry.name, ids.gid));
        Ok(Some(RunAs {
            shown: shown_user + &shown_group,
            uid: ids.uid,
            gid: ids.gid,
            groups: groups.unwrap_or_default(),
        }))
    }

    fn user(&self, user: &Spot<Account>) -> Result<Found<'_>, Problem> {
        match &user.value {
            Account::Name(name) => {
                let entry = self.users.iter().find(|entry| entry.name == *name);
                let found = entry.map(|entry| Found { uid: entry.ids.uid, entry: Some(entry) });
                found.ok_or_else(|| unknown(user, "user", "/etc/passwd"))
            }
            Account::Number(uid) => {
                let entry = self.users.iter().find(|entry| entry.ids.uid == *uid);
                Ok(Found { uid: *uid, entry })
            }
        }
    }

    fn gid(&self, group: &Spot<Account>) -> Result<u32, Problem> {
        match &group.value {
            Account::Name(name) => {
                let entry = self.groups.iter().find(|entry| entry.name == *name);
                let gid = entry.map(|entry| entry.gid);
                gid.ok_or_else(|| unknown(group, "group", "/etc/group"))
            }
            Account::Number(gid) => Ok(*gid),
        }
    }

    fn further_groups(&self, user: &str, gid: u32) -> Vec<u32> {
        let has_user = |group: &&Group| group.members.iter().any(|member| member == user);
        let mut groups: Vec<_> =
            self.groups.iter().filter(has_user).map(|group| group.gid).collect();
        groups.retain(|further| *further != gid);
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn not_root(&self, key: &Spot<Account>, wanted: Ids) -> Problem {
        Problem::at(
            &key.site,
            "only a daemon that root runs can start instances as somebody else",
            format!(
                "this is uid {} with gid {}; the daemon is uid {} with gid {}",
                wanted.uid, wanted.gid, self.daemon.uid, self.daemon.gid
            ),
        )
        .help("run smoothserve as root, or remove `user` and `group`")
    }
}

fn unknown(account: &Spot<Account>, noun: &str, file: &str) -> Problem {
    Problem::at(
        &account.site,
        format!("there is no {noun} `{}`", account.value),
        format!("allowed: a name from {file}, or a number"),
    )
}

fn without_group(user: &Spot<Account>, uid: u32) -> Problem {
    Problem::at(
        &user.site,
        format!("the group of user {uid} is not known, as /etc/passwd does not list it"),
        "needed beside this key: `group`",
    )
}

/// `name:password:uid:gid:…`
fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name: name.to_owned(), ids: Ids { uid, gid } })
}

/// `name:password:gid:member,member`
fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or_default().split(',').map(|name| name.trim().to_owned());
    Some(Group { name: name.to_owned(), gid, members: members.collect() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::error::{Site, Source};
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        www:x:33:33::/var/www:/bin/false\n\
        +::::::\n\
        app:x:1000:1000:App:/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:\nvideo:x:44:app, www\nweb:x:50:www,app\nbad:x::\n";

    fn spot(text: &str) -> Spot<Account> {
        let source =
            Arc::new(Source { path: "shop.yaml".into(), text: text.into(), is_former: false });
        let site = Site { source, span: 0..text.len() };
        Spot { value: Account::parse(text).unwrap(), site }
    }

    /// What the account `user:group` comes to for a daemon of this user and group.
    fn seen(daemon: u32, user: &str, group: &str) -> Result<Option<RunAs>, String> {
        let accounts = Accounts::new(PASSWD, GROUP, Ids { uid: daemon, gid: daemon });
        let [user, group] = [user, group].map(|text| (!text.is_empty()).then(|| spot(text)));
        let found = accounts.run_as(user.as_ref(), group.as_ref());
        found.map_err(|problems| {
            problems.iter().map(Problem::message).collect::<Vec<_>>().join("; ")
        })
    }

    fn run_as(shown: &str, uid: u32, gid: u32, groups: &[u32]) -> Result<Option<RunAs>, String> {
        Ok(Some(RunAs { shown: shown.into(), uid, gid, groups: groups.to_vec() }))
    }

    #[test]
    fn root_may_start_instances_as_anybody() {
        assert_eq!(seen(0, "", ""), Ok(None));
        assert_eq!(seen(0, "www", ""), run_as("www", 33, 33, &[44, 50]));
        assert_eq!(seen(0, "www", "web"), run_as("www:web", 33, 50, &[44]));
        assert_eq!(seen(0, "1000", ""), run_as("1000", 1000, 1000, &[44, 50]));
        assert_eq!(seen(0, "4242", "7"), run_as("4242:7", 4242, 7, &[]));
        assert_eq!(seen(0, "", "web"), run_as(":web", 0, 50, &[]));
    }

    #[test]
    fn who_is_not_listed_is_not_guessed() {
        assert_eq!(seen(0, "wwww", ""), Err("there is no user `wwww`".into()));
        let both = "there is no user `wwww`; there is no group `bad`";
        assert_eq!(seen(0, "wwww", "bad"), Err(both.into()));
        let lonely = "the group of user 4242 is not known, as /etc/passwd does not list it";
        assert_eq!(seen(0, "4242", ""), Err(lonely.into()));
    }

    #[test]
    fn another_daemon_starts_them_as_itself_and_nobody_else() {
        assert_eq!(seen(33, "www", ""), Ok(None));
        assert_eq!(seen(33, "33", "www"), Ok(None));
        let refused = "only a daemon that root runs can start instances as somebody else";
        for (user, group) in [("app", ""), ("root", ""), ("www", "web"), ("", "web")] {
            assert_eq!(seen(33, user, group), Err(refused.into()), "{user}:{group}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a b", "www:web", "a,b", "4294967295"] {
            assert!(Account::parse(text).is_err(), "{text}");
        }
        assert_eq!(Account::parse("www-data").unwrap(), Account::Name("www-data".into()));
        assert_eq!(Account::parse("4294967294").unwrap(), Account::Number(4_294_967_294));
    }
}
