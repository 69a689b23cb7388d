//! What a key can ask for.

/// How far to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
}

/// Everything the console can be asked to do by a key of [`crate::keymap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Moves the cursor, or what is scrolled.
    Move(Step),
    /// Opens what the cursor is on.
    Open,
    /// Back to where one came from; closes a box.
    Back,
    /// The overview.
    ShowOverview,
    /// The selected service.
    ShowService,
    /// The event log.
    ShowEvents,
    /// The event log, of the service that is selected alone.
    ShowEventsOf,
    /// Rolling restarts that have ended.
    ShowHistory,
    /// What the selected service prints.
    ShowLogs,
    /// Shows the newest line from now on, or no longer.
    Follow,
    /// Shows what is at least so bad: all, warnings, errors.
    Level,
    /// Shows what the next instance printed, then all of it again.
    Instance,
    /// Long lines in several rows, or cut.
    Wrap,
    /// Shows what is about the service under the cursor alone, then all of it again.
    OfService,
    /// Shows more of what is cut at the right.
    ScrollRight,
    /// Goes back to the left.
    ScrollLeft,
    /// Asks what to look for.
    Find,
    /// Asks for a pattern: what does not match it is not shown.
    Match,
    /// Takes what was typed.
    Search,
    /// To the next line that has it.
    FindNext,
    /// To the one before.
    FindPrevious,
    /// Asks which services to show.
    Filter,
    /// Goes on with what was typed.
    KeepFilter,
    /// Orders the services by the next column.
    Sort,
    /// Turns the order of the services round.
    ReverseSort,
    /// Marks the service under the cursor, or takes its mark away.
    Mark,
    /// Marks all services that are shown, or none.
    MarkAll,
    /// Begins no further one of several services after the present one.
    EndBatch,
    /// A rolling restart, after a question.
    Restart,
    /// Drains and stops, after a question.
    Stop,
    /// Starts, at once.
    Start,
    /// Pauses a rolling restart after the present turn, or lets a paused one go on; after a question.
    Pause,
    /// Gives what drains another minute, at once.
    Extend,
    /// Cuts what a drain waits for, after the name was typed; without a restart, the same as
    /// [`Self::Kill`].
    Cut,
    /// Stops and cuts what is inside at once, after the name was typed.
    Kill,
    /// Requests may take longer to end in the restart that is asked about.
    LongerLimit,
    /// They may not take so long.
    ShorterLimit,
    /// Says yes to the open question.
    Confirm,
    /// Copies the name of what the cursor is on, or what is on the screen.
    Copy,
    /// Copies the same as JSON, or all of it.
    CopyAll,
    /// Writes the screen to files.
    Save,
    /// Holds the picture still, or lets it go on.
    Freeze,
    /// Tries to connect now.
    RetryNow,
    /// Takes note of the lost requests, so that their number is no longer red.
    AcknowledgeLost,
    /// Asks for a command in the words of the command line.
    Command,
    /// Does what was typed.
    Run,
    /// To the next or the previous word that would fit.
    Complete(Step),
    /// To an older or a newer line of those typed before.
    Recall(Step),
    /// The list of keys.
    Help,
    /// Colours for a dark background, for a light one, or as the terminal says.
    Theme,
    /// Clicks and the wheel are for the console, or for the terminal as before.
    Mouse,
    /// Paints everything anew.
    Redraw,
    /// Gives the terminal back to the shell for a while.
    Suspend,
    /// Ends the console; the daemon runs on.
    Quit,
}

impl Action {
    /// What it is called in a file of keys; never changed, for files that name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Move(Step::Up) => "up",
            Self::Move(Step::Down) => "down",
            Self::Move(Step::First) => "first",
            Self::Move(Step::Last) => "last",
            Self::Move(Step::HalfUp) => "half-page-up",
            Self::Move(Step::HalfDown) => "half-page-down",
            Self::Open => "open",
            Self::Back => "back",
            Self::ShowOverview => "overview",
            Self::ShowService => "service",
            Self::ShowEvents => "events",
            Self::ShowEventsOf => "events-of-this",
            Self::ShowHistory => "history",
            Self::ShowLogs => "logs",
            Self::Follow => "follow",
            Self::Level => "level",
            Self::Instance => "instance",
            Self::Wrap => "wrap",
            Self::OfService => "this-service",
            Self::ScrollRight => "scroll-right",
            Self::ScrollLeft => "scroll-left",
            Self::Find => "find",
            Self::Match => "match",
            Self::Search => "search",
            Self::FindNext => "find-next",
            Self::FindPrevious => "find-previous",
            Self::Filter => "filter",
            Self::KeepFilter => "keep-filter",
            Self::Sort => "sort",
            Self::ReverseSort => "reverse-sort",
            Self::Mark => "mark",
            Self::MarkAll => "mark-all",
            Self::EndBatch => "end-batch",
            Self::LongerLimit => "longer-limit",
            Self::ShorterLimit => "shorter-limit",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Extend => "extend",
            Self::Cut => "cut",
            Self::Kill => "kill",
            Self::Confirm => "confirm",
            Self::Copy => "copy",
            Self::CopyAll => "copy-all",
            Self::Save => "save",
            Self::Freeze => "freeze",
            Self::RetryNow => "try-now",
            Self::AcknowledgeLost => "note-lost",
            Self::Command => "command",
            Self::Run => "run",
            Self::Complete(_) => "complete",
            Self::Recall(_) => "recall",
            Self::Help => "help",
            Self::Theme => "theme",
            Self::Mouse => "mouse",
            Self::Redraw => "redraw",
            Self::Suspend => "suspend",
            Self::Quit => "quit",
        }
    }

    /// Whether it can be about several services.
    pub const fn is_for_several(self) -> bool {
        matches!(self, Self::Restart | Self::Stop | Self::Start)
    }

    /// Whether it is about a rolling restart that runs.
    pub const fn is_steering(self) -> bool {
        matches!(self, Self::Pause | Self::Extend | Self::Cut)
    }

    /// Whether it changes something in the daemon, now or after a question.
    pub const fn is_command(self) -> bool {
        matches!(
            self,
            Self::Restart
                | Self::Stop
                | Self::Start
                | Self::Pause
                | Self::Extend
                | Self::Cut
                | Self::Kill
                | Self::Confirm
        )
    }
}
