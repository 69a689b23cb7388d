//! Everything the console knows. Changed by [`crate::update`] alone, read by [`crate::view`].

pub mod batch;
pub mod clock;
pub mod conn;
pub mod entry;
pub mod eta;
pub mod events;
pub mod filter;
pub mod find;
pub mod help;
pub mod limit;
pub mod line;
pub mod list;
pub mod logs;
pub mod page;
pub mod palette;
pub mod past;
pub mod question;
pub mod select;
pub mod series;
pub mod sight;
pub mod world;

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::Steer;

use crate::effect::Ticket;
use crate::keymap::Context;
use crate::keys::Keys;
use crate::style::{Glyphs, Theme};
use crate::term::clip::Way;
use crate::words::escape;

use batch::Batch;
use clock::{Clock, Moment};
use conn::{Connection, Freshness};
use entry::Entry;
use events::EventLog;
use help::Help;
use list::List;
use logs::LogBook;
use page::Page;
use palette::Palette;
use past::Past;
use question::{Level, Question, Verb};
use select::Selection;
use series::Series;
use sight::Sight;
use world::World;

/// How long a toast stays, in milliseconds.
const TOAST: u64 = 6_000;

/// What fills the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screen {
    /// The list of services.
    Overview,
    /// One service.
    Service(ServiceName),
    /// The event log.
    Events,
    /// What a service prints.
    Logs(ServiceName),
    /// Rolling restarts that have ended, of one service or of all.
    History(Option<ServiceName>),
}

/// What stands in front of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// The list of keys.
    Help(Help),
    /// What to look for, or to show alone.
    Find(Entry),
    /// A command that is typed.
    Palette(Palette),
    /// A page of text.
    Page(Page),
    /// Which services to show; so far, this much.
    Filter {
        /// As typed.
        typed: String,
        /// Where the cursor was before.
        from: Selection,
    },
    /// A question.
    Question(Question),
}

/// Why the screen must be painted; the later is the more urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    /// It need not be.
    #[default]
    No,
    /// A figure moved.
    ByData,
    /// The operator did something, or must know something at once.
    ByInput,
}

/// One line that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// What it says.
    pub text: String,
    /// It tells of something refused or failed.
    pub bad: bool,
    until: Moment,
    /// It is about the last key, and the next one takes it away.
    answers_key: bool,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The glyphs it has.
    pub glyphs: &'static Glyphs,
    /// The colours it has.
    pub theme: Theme,
}

/// A command without an answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What is to be done.
    pub verb: Verb,
    /// The service.
    pub service: ServiceName,
}

/// A picture that is held still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// What was on the screen.
    pub picture: Buffer,
    /// When, by the daemon's wall clock.
    pub unix_ms: u64,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Model {
    /// Now.
    pub clock: Clock,
    /// How fresh the data is.
    pub connection: Connection,
    /// The services.
    pub world: World,
    /// Their last minute.
    pub series: Series,
    /// What happened.
    pub events: EventLog,
    /// What one service printed.
    pub logs: LogBook,
    /// Rolling restarts that have ended.
    pub past: Past,
    /// The keys in effect.
    pub keys: Keys,
    /// Commands typed before, the oldest first.
    pub typed_before: Vec<String>,
    /// The services as they are listed.
    pub list: List,
    /// The cursor of the overview.
    pub selection: Selection,
    /// What fills the frame.
    pub screen: Screen,
    /// The first instance on the screen of a service; none: as it comes.
    pub instances_from: Option<usize>,
    /// Where one came from.
    pub behind: Option<Screen>,
    /// What stands in front of it.
    pub front: Option<Front>,
    /// The picture that is held still; none: what is shown moves.
    pub frozen: Option<Box<Frozen>>,
    /// How a copy reaches the operator's clipboard.
    pub clipboard: Way,
    /// The line that goes away by itself.
    pub toast: Option<Toast>,
    /// Whether, and how soon, to paint.
    pub dirty: Dirty,
    /// Columns and rows.
    pub size: (u16, u16),
    /// What the terminal can show.
    pub look: Look,
    /// What clicks are about.
    pub mouse: bool,
    /// So many frames a second are painted, because the terminal takes no more; none: all.
    pub slowed: Option<u8>,
    /// `host:port` of the daemon, as the operator gave it.
    pub addr: String,
    /// Commands are off.
    pub read_only: bool,
    /// Lost requests the operator took note of.
    pub lost_noted: u64,
    /// What can be seen on the frame that is on its way.
    pub sent: Sight,
    /// What can be seen on the last frame that arrived.
    pub painted: Sight,
    /// The focus the daemon was last told.
    pub focus: Option<ServiceName>,
    /// What is done to one service after another.
    pub batch: Option<Batch>,
    /// Commands without an answer yet.
    pub pending: BTreeMap<Ticket, Pending>,
    /// The last ticket given.
    pub last_ticket: Ticket,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(addr: &str, read_only: bool, look: Look, clock: Clock) -> Self {
        Self {
            clock,
            connection: Connection::default(),
            world: World::default(),
            series: Series::default(),
            events: EventLog::default(),
            logs: LogBook::default(),
            past: Past::default(),
            keys: Keys::default(),
            typed_before: Vec::new(),
            list: List::default(),
            selection: Selection::default(),
            screen: Screen::Overview,
            instances_from: None,
            behind: None,
            front: None,
            frozen: None,
            clipboard: Way::default(),
            toast: None,
            dirty: Dirty::ByInput,
            size: (80, 24),
            look,
            mouse: false,
            slowed: None,
            addr: escape(addr).into_owned(),
            read_only,
            lost_noted: 0,
            sent: Sight::default(),
            painted: Sight::default(),
            focus: None,
            batch: None,
            pending: BTreeMap::new(),
            last_ticket: Ticket::default(),
        }
    }

    /// Whom the keys are for.
    pub fn context(&self) -> Context {
        if self.frozen.is_some() {
            return Context::Frozen;
        }
        match &self.front {
            None => self.screen_context(),
            Some(Front::Help(help)) if help.is_typing => Context::HelpFind,
            Some(Front::Help(_)) => Context::Help,
            Some(Front::Find(_)) => Context::Find,
            Some(Front::Palette(_)) => Context::Palette,
            Some(Front::Page(_)) => Context::Page,
            Some(Front::Filter { .. }) => Context::Filter,
            Some(Front::Question(question)) => match question.level {
                Level::Key if question.verb == Verb::Steer(Steer::Abort) => Context::Offer,
                Level::Key if question.verb == Verb::Restart => Context::Limit,
                Level::Key => Context::Question,
                Level::Name(_) | Level::Count(_) => Context::TypedName,
            },
        }
    }

    /// Whom the keys are for when nothing stands in front.
    pub const fn screen_context(&self) -> Context {
        match self.screen {
            Screen::Overview => Context::Overview,
            Screen::Service(_) => Context::Service,
            Screen::Events => Context::Events,
            Screen::Logs(_) => Context::Logs,
            Screen::History(_) => Context::History,
        }
    }

    /// The service a command is about on this screen.
    pub const fn target(&self) -> Option<&ServiceName> {
        match &self.screen {
            Screen::Overview => self.selection.name(),
            Screen::Service(name) => Some(name),
            Screen::Events | Screen::Logs(_) | Screen::History(_) => None,
        }
    }

    /// How many services are marked on this screen, those included that are not listed.
    pub fn marks(&self) -> usize {
        if self.screen == Screen::Overview { self.list.marks() } else { 0 }
    }

    /// The marked services that are listed on this screen, from the first row to the last.
    pub fn marked(&self) -> Vec<ServiceName> {
        if self.marks() == 0 { Vec::new() } else { self.list.marked().cloned().collect() }
    }

    /// How far what is shown can be trusted.
    pub fn freshness(&self) -> Freshness {
        self.connection.freshness(self.clock.now)
    }

    /// Whether what is shown is what is.
    pub fn is_live(&self) -> bool {
        self.freshness() == Freshness::Live
    }

    /// Asks for a paint.
    pub fn touch(&mut self, why: Dirty) {
        if self.frozen.is_some() && why == Dirty::ByData {
            return;
        }
        self.dirty = self.dirty.max(why);
    }

    /// Shows `text` for a while.
    pub fn say(&mut self, text: String, bad: bool) {
        let until = self.clock.now.plus(TOAST);
        self.toast = Some(Toast { text, bad, until, answers_key: false });
        self.touch(Dirty::ByInput);
    }

    /// What was said last is about the key that was pressed last.
    pub fn toast_answers_key(&mut self) {
        if let Some(toast) = &mut self.toast {
            toast.answers_key = true;
        }
    }

    /// Takes away what was said of the key before; answers of the daemon stay their time.
    pub fn forget_last_key(&mut self) {
        if self.toast.as_ref().is_some_and(|toast| toast.answers_key) {
            self.toast = None;
            self.touch(Dirty::ByInput);
        }
    }

    /// Takes the toast away when its time is over.
    pub fn expire_toast(&mut self) {
        if self.toast.as_ref().is_some_and(|toast| toast.until <= self.clock.now) {
            self.toast = None;
            self.touch(Dirty::ByInput);
        }
    }

    /// When something shown next changes by itself; none: never.
    pub fn next_change(&self) -> Option<Moment> {
        let toast = self.toast.as_ref().map(|toast| toast.until);
        [toast, self.connection.next_change(self.clock.now)].into_iter().flatten().min()
    }

    /// Whether figures move so fast that they are painted more than once a second.
    pub fn is_moving(&self) -> bool {
        if self.frozen.is_some() {
            return false;
        }
        match &self.screen {
            Screen::Service(name) => {
                self.world.row(name).is_some_and(|row| row.operation.is_some())
            }
            Screen::Overview => self.world.is_moving(),
            Screen::Events | Screen::History(_) => false,
            Screen::Logs(_) => true,
        }
    }
}
