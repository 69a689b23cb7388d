//! What an instance is and what it may use: its user, its groups, its limits.
//!
//! Knows nothing of how a process is started; whoever does calls [`Confinement::enter`] in the new
//! process, before its program begins.

use std::io;

use rustix::process::{Resource, Rlimit, getegid, geteuid, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, Gid, Uid, capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::config::{Resources, RunAs, ServiceConfig};

/// Where the system says how many descriptors any process may be allowed at most.
const MOST_DESCRIPTORS: &str = "/proc/sys/fs/nr_open";

/// What has to change in a new process.
#[derive(Debug)]
pub(super) struct Confinement {
    limits: Vec<(Resource, u64)>,
    account: Option<Account>,
}

#[derive(Debug)]
struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Confinement {
    /// What `config` asks for; none: nothing that differs from the daemon.
    pub(super) fn of(config: &ServiceConfig) -> Option<Self> {
        let Resources { open_files, file_size, memory: _ } = config.resources;
        let limits: Vec<_> = [(Resource::Nofile, open_files), (Resource::Fsize, file_size)]
            .into_iter()
            .filter_map(|(resource, value)| Some((resource, value?)))
            .collect();
        let account = config.run_as.as_ref().filter(|run_as| !is_own(run_as)).map(Account::of);
        (account.is_some() || !limits.is_empty()).then_some(Self { limits, account })
    }

    /// Changes the calling thread and its process, for good.
    ///
    /// Makes system calls and nothing else: no allocation, no lock. So it may be called between
    /// fork and exec, where no other thread is.
    pub(super) fn enter(&self) -> io::Result<()> {
        // The limits first: raising one takes rights that the user may not have.
        for (resource, value) in &self.limits {
            let limit = Rlimit { current: Some(*value), maximum: Some(*value) };
            setrlimit(*resource, limit)?;
        }
        if let Some(Account { uid, gid, groups }) = &self.account {
            // The user last: whoever is not root may change neither of the others.
            set_thread_groups(groups)?;
            set_thread_res_gid(*gid, *gid, *gid)?;
            set_thread_res_uid(*uid, *uid, *uid)?;
        }
        Ok(())
    }
}

impl Account {
    fn of(run_as: &RunAs) -> Self {
        Self {
            uid: Uid::from_raw(run_as.uid),
            gid: Gid::from_raw(run_as.gid),
            groups: run_as.groups.iter().copied().map(Gid::from_raw).collect(),
        }
    }
}

/// Why the system would refuse what `config` asks for, in words.
pub(super) fn problem(config: &ServiceConfig) -> Option<String> {
    let Resources { open_files, file_size, memory: _ } = config.resources;
    let account = config.run_as.as_ref().and_then(account_problem);
    account
        .or_else(|| descriptor_problem(open_files?))
        .or_else(|| limit_problem("file_size", Resource::Fsize, file_size?))
}

/// Whether the daemon is that user already. As root it takes the user's groups all the same.
fn is_own(run_as: &RunAs) -> bool {
    let (uid, gid) = (geteuid(), getegid());
    !uid.is_root() && (uid.as_raw(), gid.as_raw()) == (run_as.uid, run_as.gid)
}

fn account_problem(run_as: &RunAs) -> Option<String> {
    if is_own(run_as) || geteuid().is_root() {
        return None;
    }
    let shown = &run_as.shown;
    Some(format!("user {shown}: only a daemon run by root starts instances as somebody else"))
}

fn descriptor_problem(wanted: u64) -> Option<String> {
    let most = std::fs::read_to_string(MOST_DESCRIPTORS).ok();
    let most: Option<u64> = most.and_then(|text| text.trim().parse().ok());
    if let Some(most) = most.filter(|most| wanted > *most) {
        return Some(format!("open_files {wanted}: the system allows no process more than {most}"));
    }
    limit_problem("open_files", Resource::Nofile, wanted)
}

fn limit_problem(key: &str, resource: Resource, wanted: u64) -> Option<String> {
    let most = getrlimit(resource).maximum.filter(|most| wanted > *most)?;
    let may_raise =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    (!may_raise).then(|| format!("{key} {wanted}: the daemon itself is allowed {most} at most"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(run_as: Option<RunAs>, resources: Resources) -> ServiceConfig {
        ServiceConfig { run_as, resources, ..crate::core::sample_service("shop", 1) }
    }

    #[test]
    fn a_service_that_asks_for_nothing_needs_no_confinement() {
        let config = service(None, Resources { memory: Some(1 << 30), ..Resources::default() });
        assert!(Confinement::of(&config).is_none() && problem(&config).is_none());
    }

    #[test]
    fn more_descriptors_than_any_process_may_have_are_refused() {
        let wanted = Resources { open_files: Some(u64::MAX - 1), ..Resources::default() };
        let problem = problem(&service(None, wanted)).unwrap();
        assert!(problem.starts_with("open_files 18446744073709551614: the system"), "{problem}");
    }

    /// What `ask` says in a thread that has given up all rights.
    fn without_rights<T: Send>(ask: impl FnOnce() -> T + Send) -> T {
        let give_up = || {
            let nobody = Account {
                uid: Uid::from_raw(65534),
                gid: Gid::from_raw(65534),
                groups: Vec::new(),
            };
            if geteuid().is_root() {
                Confinement { limits: Vec::new(), account: Some(nobody) }.enter().unwrap();
            }
        };
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                give_up();
                ask()
            });
            asked.join().unwrap()
        })
    }

    #[test]
    fn without_root_nobody_is_started_as_somebody_else() {
        let run_as = RunAs { shown: "www:web".into(), uid: 33, gid: 33, groups: vec![] };
        let config = service(Some(run_as), Resources::default());
        let problem = without_rights(|| problem(&config)).unwrap();
        assert!(problem.starts_with("user www:web: only a daemon run by root"), "{problem}");
    }

    #[test]
    fn without_rights_no_limit_is_raised_above_the_daemons_own() {
        assert!(without_rights(|| limit_problem("file_size", Resource::Fsize, 0)).is_none());
        let most = getrlimit(Resource::Nofile).maximum.unwrap();
        let problem = without_rights(|| limit_problem("open_files", Resource::Nofile, most + 1));
        let expected =
            format!("open_files {}: the daemon itself is allowed {most} at most", most + 1);
        assert_eq!(problem, Some(expected));
    }
}
