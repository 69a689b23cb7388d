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
    /// Cuts what a drain waits for, after the name was typed.
    Cut,
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
                | Self::Confirm
        )
    }
}
