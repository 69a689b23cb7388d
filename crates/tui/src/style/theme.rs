//! Roles, and the styles they get. Nothing healthy has a colour, and nothing is told by colour alone.

use anstyle::AnsiColor;
use ratatui::style::{Color, Modifier, Style};
use smoothserve_protocol::snapshot::{InstanceState, ServiceState};

use super::Ink;

/// What a piece of text is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The ordinary.
    Plain,
    /// A heading, or what is selected.
    Strong,
    /// Secondary.
    Quiet,
    /// As it should be, where that is news.
    Ok,
    /// On its way from one state to another.
    Moving,
    /// Of the new generation, or starting.
    New,
    /// Not as it should be.
    Bad,
    /// The button that Enter presses.
    Button,
}

impl Role {
    /// The role of a service's state.
    pub const fn of_service(state: ServiceState) -> Self {
        match state {
            ServiceState::Failed => Self::Bad,
            ServiceState::Degraded | ServiceState::Restarting | ServiceState::Stopping => {
                Self::Moving
            }
            ServiceState::Starting => Self::New,
            ServiceState::Ready => Self::Plain,
            ServiceState::Stopped => Self::Quiet,
        }
    }

    /// The role of an instance's state.
    pub const fn of_instance(state: InstanceState) -> Self {
        match state {
            InstanceState::Stopped => Self::Quiet,
            InstanceState::Starting => Self::New,
            InstanceState::Ready => Self::Plain,
            InstanceState::Draining | InstanceState::Stopping | InstanceState::Backoff => {
                Self::Moving
            }
            InstanceState::Failed | InstanceState::Unhealthy => Self::Bad,
        }
    }

    /// The role of a share of failed requests, per million.
    pub const fn of_errors(per_million: u32) -> Self {
        match per_million {
            0 => Self::Quiet,
            1..=10_000 => Self::Moving,
            10_001.. => Self::Bad,
        }
    }
}

/// What colours have to be read on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// As of most terminals that do not say.
    #[default]
    Dark,
    /// Yellow cannot be read there.
    Light,
}

impl Background {
    /// As the console names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }
}

/// What the terminal, and the operator, allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours may be used.
    pub colour: bool,
    /// What is shown is old: everything is dim, nothing has a colour.
    pub faded: bool,
    /// As the terminal has it.
    pub found: Background,
    /// As the operator says; none: as the terminal has it.
    pub chosen: Option<Background>,
}

impl Theme {
    /// The same for data that is no longer fresh.
    #[must_use]
    pub const fn faded(self) -> Self {
        Self { faded: true, ..self }
    }

    /// The background that colours are chosen for.
    pub const fn background(self) -> Background {
        match self.chosen {
            Some(chosen) => chosen,
            None => self.found,
        }
    }

    /// The next one of: as the terminal has it, dark, light.
    #[must_use]
    pub const fn next(self) -> Self {
        let chosen = match self.chosen {
            None => Some(Background::Dark),
            Some(Background::Dark) => Some(Background::Light),
            Some(Background::Light) => None,
        };
        Self { chosen, ..self }
    }

    /// How text looks that a service printed in `ink`; where it used none, as `role`.
    pub fn printed(self, ink: Ink, role: Role) -> Style {
        if ink == Ink::default() || self.faded {
            return self.style(role);
        }
        let mut style = Style::new();
        for (is_on, modifier) in [
            (ink.bold, Modifier::BOLD),
            (ink.dim, Modifier::DIM),
            (ink.underline, Modifier::UNDERLINED),
            (ink.reverse, Modifier::REVERSED),
        ] {
            style = if is_on { style.add_modifier(modifier) } else { style };
        }
        match ink.colour {
            Some(colour) if self.colour => style.fg(of_sixteen(colour)),
            Some(_) | None => style,
        }
    }

    /// How a place in text printed in `ink` looks where something was found.
    pub fn found(self, ink: Ink) -> Style {
        let style = self.style(Role::Button);
        // Among what is reversed, reversed is not enough.
        if ink.reverse { style.add_modifier(Modifier::UNDERLINED) } else { style }
    }

    /// How `role` looks.
    pub fn style(self, role: Role) -> Style {
        let style = Style::new();
        if self.faded {
            return style.add_modifier(Modifier::DIM);
        }
        // Indexes 1 to 6, the dark ones: readable on light and on dark, but for yellow.
        let moving = match self.background() {
            Background::Dark => Color::Yellow,
            Background::Light => Color::Magenta,
        };
        let (colour, modifier) = match role {
            Role::Plain => (None, Modifier::empty()),
            Role::Strong => (None, Modifier::BOLD),
            Role::Quiet => (None, Modifier::DIM),
            Role::Ok => (Some(Color::Green), Modifier::empty()),
            Role::Moving => (Some(moving), Modifier::empty()),
            Role::New => (Some(Color::Cyan), Modifier::empty()),
            Role::Bad => (Some(Color::Red), Modifier::BOLD),
            Role::Button => (None, Modifier::REVERSED),
        };
        let style = style.add_modifier(modifier);
        match colour {
            Some(colour) if self.colour => style.fg(colour),
            Some(_) | None => style,
        }
    }
}

const fn of_sixteen(colour: AnsiColor) -> Color {
    match colour {
        AnsiColor::Black => Color::Black,
        AnsiColor::Red => Color::Red,
        AnsiColor::Green => Color::Green,
        AnsiColor::Yellow => Color::Yellow,
        AnsiColor::Blue => Color::Blue,
        AnsiColor::Magenta => Color::Magenta,
        AnsiColor::Cyan => Color::Cyan,
        AnsiColor::White => Color::Gray,
        AnsiColor::BrightBlack => Color::DarkGray,
        AnsiColor::BrightRed => Color::LightRed,
        AnsiColor::BrightGreen => Color::LightGreen,
        AnsiColor::BrightYellow => Color::LightYellow,
        AnsiColor::BrightBlue => Color::LightBlue,
        AnsiColor::BrightMagenta => Color::LightMagenta,
        AnsiColor::BrightCyan => Color::LightCyan,
        AnsiColor::BrightWhite => Color::White,
    }
}
