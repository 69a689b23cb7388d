//! The one table of keys: what is dispatched, hinted at and listed in the help comes from here,
//! through [`crate::keys`], which puts the operator's own keys in the place of these.

use crate::action::{Action, Step};
use crate::input::Key;

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// The list of services.
    Overview,
    /// One service.
    Service,
    /// The event log.
    Events,
    /// What a service prints.
    Logs,
    /// Rolling restarts that have ended.
    History,
    /// What to look for, or to show alone, is typed; characters are text there.
    Find,
    /// A command is typed; characters are text there.
    Palette,
    /// A page of text.
    Page,
    /// Which services to show is typed; characters are text there.
    Filter,
    /// The list of keys.
    Help,
    /// A picture that is held still.
    Frozen,
    /// What to look for among the keys is typed; characters are text there.
    HelpFind,
    /// A question that one key answers.
    Question,
    /// The same, and another key asks for more.
    Offer,
    /// The same, and its drain limit can be changed.
    Limit,
    /// A question that the typed name, or a number, answers; characters are text there.
    TypedName,
}

impl Context {
    /// Every place.
    pub const ALL: [Self; 16] = [
        Self::Overview,
        Self::Service,
        Self::Events,
        Self::Logs,
        Self::History,
        Self::Find,
        Self::Palette,
        Self::Page,
        Self::Filter,
        Self::Help,
        Self::Frozen,
        Self::HelpFind,
        Self::Question,
        Self::Offer,
        Self::Limit,
        Self::TypedName,
    ];

    /// Whether its keys may be changed: not where text is typed, and not where a question is
    /// answered, which must be the same key wherever one sits down.
    pub const fn takes_own_keys(self) -> bool {
        match self {
            Self::Overview
            | Self::Service
            | Self::Events
            | Self::Logs
            | Self::History
            | Self::Page
            | Self::Frozen
            | Self::Help => true,
            Self::Find
            | Self::Filter
            | Self::HelpFind
            | Self::Palette
            | Self::Limit
            | Self::Question
            | Self::Offer
            | Self::TypedName => false,
        }
    }

    /// As the help names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Service => "service",
            Self::Events => "events",
            Self::Logs => "logs",
            Self::History => "history",
            Self::Find | Self::HelpFind => "find",
            Self::Palette => "command",
            Self::Page => "page",
            Self::Filter => "filter",
            Self::Help => "help",
            Self::Frozen => "frozen",
            Self::Question | Self::Offer | Self::Limit | Self::TypedName => "question",
        }
    }
}

/// A block of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Moves the cursor or changes the screen.
    Move,
    /// Changes what is listed, and how.
    List,
    /// Changes something in the daemon.
    Act,
    /// The rest.
    Other,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Any of these does it; the help and the hints show the first `shown`.
    pub keys: &'a [Key],
    /// How many of `keys` are shown.
    pub shown: usize,
    /// What it does.
    pub action: Action,
    /// Where it does.
    pub contexts: &'static [Context],
    /// Where the help lists it.
    pub group: Group,
    /// In the hint bar; none: too common to hint at.
    pub hint: Option<&'static str>,
    /// In the help.
    pub help: &'static str,
}

impl Binding<'_> {
    /// The keys as the help and the hints show them: `j`, `^d`.
    pub fn shown_keys(&self) -> String {
        let keys: Vec<String> = self.keys.iter().take(self.shown).map(Key::to_string).collect();
        keys.join(" ")
    }
}

use Action as A;
use Context::{
    Events, Filter, Find, Frozen, Help, HelpFind, History, Limit, Logs, Offer, Overview, Page,
    Palette, Question, Service, TypedName,
};
use Key::{Char, Ctrl};

const SCREENS: &[Context] = &[Overview, Service, Events, Logs, History];
const LOGS: &[Context] = &[Logs];
const PALETTE: &[Context] = &[Palette];
const STREAMS: &[Context] = &[Events, Logs];
const SEARCHED: &[Context] = &[Events, Logs, History];
const SERVICES: &[Context] = &[Overview, Service];
const QUESTIONS: &[Context] = &[Question, Offer, Limit];
const LISTS: &[Context] = &[Overview, Service, Events, Logs, History, Page, Help];
const EVERYWHERE: &[Context] = &Context::ALL;

const fn key(
    keys: &'static [Key],
    action: Action,
    contexts: &'static [Context],
    group: Group,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding<'static> {
    Binding { keys, shown: 1, action, contexts, group, hint, help }
}

/// What `p` does to a rolling restart that is not paused.
pub const PAUSE: &str = "pause after this one";

/// The table, in the order of the hint bar.
pub const TABLE: &[Binding<'static>] = &[
    key(&[Char('R')], A::RetryNow, SCREENS, Group::Other, Some("try now"), "connect now"),
    key(&[Key::Enter], A::Open, &[Overview, History], Group::Move, Some("open"), "open"),
    key(&[Char('y')], A::Confirm, QUESTIONS, Group::Act, Some("yes, do it"), "yes, do it"),
    key(
        &[Key::Enter],
        A::Confirm,
        &[TypedName],
        Group::Act,
        Some("confirm when it matches"),
        "confirm when it matches",
    ),
    key(&[Char('x')], A::Stop, &[Offer], Group::Act, Some("stop the service"), "stop the service"),
    key(
        &[Char('-')],
        A::ShorterLimit,
        &[Limit],
        Group::Act,
        Some("shorter"),
        "a shorter drain limit",
    ),
    key(
        &[Char('+'), Char('=')],
        A::LongerLimit,
        &[Limit],
        Group::Act,
        Some("longer limit"),
        "a longer drain limit",
    ),
    key(&[Key::Enter], A::Back, QUESTIONS, Group::Move, Some("cancel"), "cancel"),
    key(
        &[Key::Esc],
        A::Back,
        &[Question, Offer, Limit, TypedName],
        Group::Move,
        Some("cancel"),
        "cancel",
    ),
    key(&[Char('p')], A::Pause, &[Service], Group::Act, Some(PAUSE), "pause, or resume"),
    key(&[Char('p')], A::Pause, &[Overview], Group::Act, None, "pause a restart, or resume"),
    key(
        &[Char('+')],
        A::Extend,
        &[Service],
        Group::Act,
        Some("60s more"),
        "60s more (does not ask)",
    ),
    key(&[Char('X')], A::Cut, &[Service], Group::Act, Some("cut"), "cut a drain, or kill now"),
    key(&[Char('f')], A::Follow, STREAMS, Group::Other, Some("follow"), "follow, or stay"),
    key(&[Char('v')], A::Level, STREAMS, Group::Other, Some("level"), "all, warnings, errors"),
    key(&[Char('/')], A::Find, SEARCHED, Group::Move, Some("find"), "find"),
    key(&[Char('n')], A::FindNext, SEARCHED, Group::Move, Some("next"), "next that has it"),
    key(&[Char('N')], A::FindPrevious, SEARCHED, Group::Move, None, "the one before"),
    key(&[Char('&')], A::Match, STREAMS, Group::Other, Some("only"), "only what matches"),
    key(
        &[Char('s')],
        A::OfService,
        &[Events],
        Group::Other,
        Some("service"),
        "of this service, all",
    ),
    key(&[Key::Enter], A::Open, &[Events], Group::Move, Some("go to it"), "go to its service"),
    key(&[Char('i')], A::Instance, LOGS, Group::Other, Some("instance"), "next instance, all"),
    key(&[Char('w')], A::Wrap, LOGS, Group::Other, Some("wrap"), "wrap long lines"),
    key(&[Key::Right], A::ScrollRight, LOGS, Group::Other, None, "more to the right"),
    key(&[Key::Left], A::ScrollLeft, LOGS, Group::Other, None, "back to the left"),
    key(&[Key::Enter], A::Search, &[Find], Group::Move, Some("find"), "find"),
    key(&[Key::Esc], A::Back, &[Find], Group::Move, Some("cancel"), "cancel"),
    key(&[Char('l'), Char('4')], A::ShowLogs, &[Service], Group::Move, Some("logs"), "logs"),
    key(&[Char('r')], A::Restart, SERVICES, Group::Act, Some("restart"), "rolling restart"),
    key(&[Char('x')], A::Stop, SERVICES, Group::Act, Some("stop"), "stop, drains first"),
    key(&[Char('u')], A::Start, SERVICES, Group::Act, Some("start"), "start (does not ask)"),
    key(&[Char('X')], A::Kill, &[Overview], Group::Act, None, "kill now, type the name"),
    key(
        &[Char('E')],
        A::EndBatch,
        SCREENS,
        Group::Act,
        Some("end after this one"),
        "end a batch after this one",
    ),
    key(&[Char('/')], A::Filter, &[Overview], Group::List, Some("filter"), "filter (name, state)"),
    key(&[Key::Enter], A::KeepFilter, &[Filter], Group::List, Some("keep"), "keep the filter"),
    key(&[Key::Esc], A::Back, &[Filter], Group::List, Some("show all"), "show all"),
    key(&[Key::Down], A::Move(Step::Down), &[Filter], Group::Move, None, "down"),
    key(&[Key::Up], A::Move(Step::Up), &[Filter], Group::Move, None, "up"),
    key(&[Char('o')], A::Sort, &[Overview], Group::List, None, "sort by next column"),
    key(&[Char('O')], A::ReverseSort, &[Overview], Group::List, None, "sort in reverse"),
    key(&[Char('l'), Char('4')], A::ShowLogs, &[Overview], Group::Move, None, "logs"),
    key(&[Char('j'), Key::Down], A::Move(Step::Down), LISTS, Group::Move, None, "down"),
    key(&[Char('k'), Key::Up], A::Move(Step::Up), LISTS, Group::Move, None, "up"),
    key(&[Char('g'), Key::Home], A::Move(Step::First), LISTS, Group::Move, None, "first"),
    key(&[Char('G'), Key::End], A::Move(Step::Last), LISTS, Group::Move, None, "last"),
    key(
        &[Ctrl('d'), Key::PageDown],
        A::Move(Step::HalfDown),
        LISTS,
        Group::Move,
        None,
        "half a page down",
    ),
    key(
        &[Ctrl('u'), Key::PageUp],
        A::Move(Step::HalfUp),
        LISTS,
        Group::Move,
        None,
        "half a page up",
    ),
    key(&[Char('1')], A::ShowOverview, SCREENS, Group::Move, None, "overview"),
    key(&[Char('2')], A::ShowService, SCREENS, Group::Move, None, "service"),
    // While there is a daemon, the overview says it where it shows the newest.
    key(&[Char('3')], A::ShowEvents, &[Overview], Group::Move, Some("events"), "events"),
    key(&[Char('3')], A::ShowEvents, &[Service, Logs, History], Group::Move, None, "all events"),
    key(&[Char('e')], A::ShowEventsOf, &[Overview], Group::Move, None, "events of this"),
    key(
        &[Char('e')],
        A::ShowEventsOf,
        &[Service, Logs, History],
        Group::Move,
        Some("events"),
        "events of this",
    ),
    key(
        &[Char('h'), Char('5')],
        A::ShowHistory,
        &[Service],
        Group::Move,
        Some("history"),
        "past restarts",
    ),
    key(
        &[Char('h'), Char('5')],
        A::ShowHistory,
        &[Overview, Events, Logs],
        Group::Move,
        None,
        "past restarts",
    ),
    key(&[Char('z'), Key::Esc], A::Freeze, &[Frozen], Group::Other, Some("go on"), "go on"),
    key(&[Char('y')], A::Copy, &[Frozen], Group::Other, Some("copy"), "copy the screen"),
    key(&[Char('y')], A::Copy, SERVICES, Group::Other, None, "copy the name"),
    key(&[Char('Y')], A::CopyAll, SERVICES, Group::Other, None, "copy it as JSON"),
    key(&[Char('y')], A::Copy, &[Events], Group::Other, Some("copy"), "copy the line"),
    key(&[Char('Y')], A::CopyAll, &[Events], Group::Other, None, "copy all lines"),
    key(&[Char('y')], A::Copy, LOGS, Group::Other, Some("copy"), "copy these lines"),
    key(&[Char('Y')], A::CopyAll, LOGS, Group::Other, None, "copy all lines"),
    key(&[Char('y')], A::Copy, &[History], Group::Other, Some("copy"), "copy the receipt"),
    key(&[Char('Y')], A::CopyAll, &[History], Group::Other, None, "copy it as JSON"),
    key(&[Char('y')], A::Copy, &[Page], Group::Other, Some("copy"), "copy the page"),
    key(
        &[Char('w')],
        A::Save,
        &[Overview, Service, Events, History, Page, Frozen],
        Group::Other,
        None,
        "save this screen",
    ),
    key(&[Char('W')], A::Save, LOGS, Group::Other, None, "save this screen"),
    key(&[Char('z')], A::Freeze, SCREENS, Group::Other, None, "freeze the screen"),
    key(&[Char('L')], A::AcknowledgeLost, SCREENS, Group::Other, None, "note the lost ones"),
    key(&[Char(':')], A::Command, SCREENS, Group::Other, Some("command"), "command, as on the CLI"),
    key(&[Key::Enter], A::Run, PALETTE, Group::Other, Some("run"), "run"),
    key(
        &[Key::Tab],
        A::Complete(Step::Down),
        PALETTE,
        Group::Other,
        Some("complete"),
        "next that fits",
    ),
    key(&[Key::BackTab], A::Complete(Step::Up), PALETTE, Group::Other, None, "the one before"),
    key(&[Key::Up], A::Recall(Step::Up), PALETTE, Group::Other, Some("earlier"), "typed before"),
    key(&[Key::Down], A::Recall(Step::Down), PALETTE, Group::Other, None, "typed later"),
    key(&[Key::Esc], A::Back, &[Palette, Page], Group::Move, Some("close"), "close"),
    key(&[Char('?')], A::Help, SCREENS, Group::Other, Some("help"), "help"),
    key(&[Key::Esc], A::Back, &[Overview], Group::List, None, "no filter, no marks"),
    key(&[Key::Esc], A::Back, &[Service, Events, Logs, History], Group::Move, Some("back"), "back"),
    key(&[Key::Enter], A::Run, &[Help], Group::Other, Some("do it"), "do it"),
    key(&[Char('/')], A::Find, &[Help], Group::Move, Some("search"), "search"),
    key(&[Key::Enter], A::Search, &[HelpFind], Group::Move, Some("keep"), "keep what is found"),
    key(&[Key::Esc], A::Back, &[HelpFind], Group::Move, Some("all keys"), "all keys"),
    key(&[Key::Up], A::Move(Step::Up), &[HelpFind], Group::Move, None, "up"),
    key(&[Key::Down], A::Move(Step::Down), &[HelpFind], Group::Move, None, "down"),
    key(&[Key::Esc, Char('?')], A::Back, &[Help], Group::Move, Some("close"), "close"),
    key(&[Char('t')], A::Theme, SCREENS, Group::Other, None, "theme: auto, dark, light"),
    key(&[Char('m')], A::Mouse, SCREENS, Group::Other, None, "mouse on or off"),
    key(&[Ctrl('l')], A::Redraw, EVERYWHERE, Group::Other, None, "paint anew"),
    key(&[Ctrl('z')], A::Suspend, EVERYWHERE, Group::Other, None, "suspend"),
    Binding {
        keys: &[Char('q'), Ctrl('c')],
        shown: 2,
        action: A::Quit,
        contexts: LISTS,
        group: Group::Other,
        hint: Some("quit"),
        help: "quit, the daemon runs on",
    },
    key(&[Char(' ')], A::Mark, &[Overview], Group::List, Some("mark"), "mark"),
    key(&[Char('*')], A::MarkAll, &[Overview], Group::List, None, "mark all shown, or none"),
    key(
        &[Ctrl('c')],
        A::Quit,
        &[Find, Filter, Frozen, HelpFind, Palette, Question, Offer, Limit, TypedName],
        Group::Other,
        None,
        "quit",
    ),
];

/// The lines of the table that hold in `context`, with the keys that are built in.
pub fn bindings(context: Context) -> impl Iterator<Item = &'static Binding<'static>> {
    TABLE.iter().filter(move |binding| binding.contexts.contains(&context))
}
