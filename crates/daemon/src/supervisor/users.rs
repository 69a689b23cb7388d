//! Who a number is: the users of this machine, as its /etc/passwd names them.
//!
//! Users that only a directory service knows stay numbers here.

/// The file of users.
const PASSWD: &str = "/etc/passwd";

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    /// The home folder.
    pub home: String,
}

/// The user with this number. Reads a file.
pub(super) fn by_number(uid: u32) -> Option<User> {
    find(&std::fs::read_to_string(PASSWD).ok()?, uid)
}

/// `www`, or `uid 33` where nobody has a name for it. Reads a file.
pub(super) fn shown(uid: u32) -> String {
    by_number(uid).map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// Lines of `name:password:uid:gid:comment:home:shell` (passwd(5)).
fn find(passwd: &str, uid: u32) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?;
        (number == uid).then(|| User { name: name.to_owned(), home: home.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_named_by_the_first_line_that_has_it() {
        let passwd = "# a comment\n\nroot:x:0:0:root:/root:/bin/sh\nbroken:x\n\
                      www:x:33:33::/var/www:/usr/sbin/nologin\nalias:x:33:33::/:/bin/sh\n";
        let www = User { name: "www".to_owned(), home: "/var/www".to_owned() };
        assert_eq!(find(passwd, 33), Some(www));
        assert_eq!(find(passwd, 34), None);
    }

    #[test]
    fn a_number_without_a_name_stays_a_number() {
        assert_eq!(shown(4_294_967_000), "uid 4294967000");
    }
}
