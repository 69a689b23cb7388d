//! What a process has used, as the system counts it: to the nanosecond, thread by thread.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// The thread of the console that writes to the terminal.
const WRITER: &str = "frames";

/// What the running threads of a process have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// How often one of them woke up by itself.
    pub(crate) wakes: u64,
    /// Calls of `write` by the thread that writes to the terminal, whatever it wrote to,
    writes: u64,
    /// and the bytes of these.
    written: u64,
}

/// That thread also tells the others of each frame, where they sleep: by so many bytes.
const WAKE: u64 = 8;

impl Usage {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut usage = Self::default();
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.with_context(|| format!("process {pid} does not run"))? {
            usage.add(&task?.path());
        }
        Ok(usage)
    }

    /// One that ended meanwhile has used nothing.
    fn add(&mut self, task: &Path) {
        let read = |file: &str| fs::read_to_string(task.join(file)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|nanos| nanos.parse().ok());
        self.cpu += Duration::from_nanos(nanos.unwrap_or(0));
        self.wakes += field(&read("status"), "voluntary_ctxt_switches:");
        if read("comm").trim_end() == WRITER {
            let io = read("io");
            self.writes += field(&io, "syscw:");
            self.written += field(&io, "wchar:");
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            wakes: self.wakes.saturating_sub(before.wakes),
            writes: self.writes.saturating_sub(before.writes),
            written: self.written.saturating_sub(before.written),
        }
    }

    /// Calls of `write` that went to the terminal, which received so many bytes meanwhile.
    pub(crate) const fn writes_to_terminal(self, received: u64) -> u64 {
        self.writes.saturating_sub(self.written.saturating_sub(received) / WAKE)
    }
}

fn field(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
