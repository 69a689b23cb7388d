//! The look before a rollout: whatever is wrong now is found before anything is touched.

use smoothserve_protocol::id::Slot;

use super::ports::{self, Holder};
use super::{confine, env_file, executable};
use crate::config::{InstanceAddr, ServiceConfig};

/// A process that runs now.
pub(super) struct Leader {
    pub slot: Slot,
    /// Where it listens.
    pub addr: InstanceAddr,
    pub pid: u32,
}

/// What stands in the way of replacing the runs of `config`; `leaders` are the process groups that
/// run now. Reads files and /proc, so call it off the async threads.
pub(super) fn problem(config: &ServiceConfig, leaders: &[Leader]) -> Option<String> {
    confine::problem(config)
        .or_else(|| executable::problem(config))
        .or_else(|| executable::folder_problem(config))
        .or_else(|| env_file::read(config).err().map(|error| error.to_string()))
        .or_else(|| place_problem(config, leaders))
}

fn place_problem(config: &ServiceConfig, leaders: &[Leader]) -> Option<String> {
    leaders.iter().find_map(|Leader { slot, addr, pid }| match ports::holder(addr, Some(*pid)) {
        Some(Holder::Stranger(who)) => {
            Some(format!("{addr} of {}-{slot} is held by {who}", config.name))
        }
        Some(Holder::Own) | None => None,
    })
}
