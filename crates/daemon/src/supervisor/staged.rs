//! A supervisor that does nothing by itself: tests say what is to be seen of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::Revision;
use smoothserve_protocol::snapshot::{DaemonView, Snapshot};
use tokio::sync::{mpsc, watch};

use super::journal::Journal;
use super::output::Outputs;
use super::{Handle, Inbox, Message, open_history};

/// Its other side.
pub(crate) struct Staged {
    pub(crate) handle: Handle,
    snapshots: watch::Sender<Arc<Snapshot>>,
    journal: Arc<Journal>,
    /// What is asked of it is never answered.
    _asked: mpsc::UnboundedReceiver<Message>,
}

impl Staged {
    pub(crate) fn new(state_dir: &Path) -> Self {
        let empty = Snapshot {
            revision: Revision::default(),
            daemon: DaemonView::default(),
            services: Vec::new(),
        };
        let snapshots = watch::Sender::new(Arc::new(empty));
        let (inbox, asked) = mpsc::unbounded_channel();
        let journal = Arc::new(Journal::new());
        let handle = Handle {
            inbox: Inbox(inbox),
            snapshots: snapshots.subscribe(),
            journal: Arc::clone(&journal),
            history: open_history(state_dir).unwrap().0,
            outputs: Outputs::new(None, drop),
            watchers: Arc::new(AtomicUsize::new(0)),
        };
        Self { handle, snapshots, journal, _asked: asked }
    }

    /// Lets this be seen.
    pub(crate) fn show(&self, snapshot: Snapshot) {
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    /// Something happens.
    pub(crate) fn note(&self, text: &str) {
        self.journal.note(None, None, EventKind::Warning { text: text.to_owned() });
    }
}
