//! `smoothtool tui`: hands over to the console.

use super::args::Tui;
use super::exit::Exit;
use super::keys;
use super::problem::Problem;
use super::session::Session;
use crate::client::Target;
use crate::console::{self, ConsoleOptions, Left};

/// The size of a frame that is printed, unless said otherwise.
const USUAL_SIZE: (u16, u16) = (120, 40);

pub(super) async fn run(session: &mut Session, args: &Tui) -> Result<Exit, Problem> {
    let target = session.target(args.read_only)?;
    let keys = keys::in_effect()?;
    let options = ConsoleOptions { glyphs: args.glyphs, fps: args.fps, keys };
    if args.once {
        let (width, height) = args.size.unwrap_or(USUAL_SIZE);
        let frame = console::once(&target, options, width, height).await;
        let frame = frame.map_err(|error| Problem::disconnected(&target, &error))?;
        session.out.answer(&frame)?;
    } else if session.out.terminals.stdout {
        return console(target, options).await;
    } else {
        return Err(Problem::new(Exit::Usage, "the console needs a terminal on stdout")
            .next("one frame of it as text?   smoothtool tui --once"));
    }
    Ok(Exit::Done)
}

/// Opens the console, until the operator leaves it.
pub(crate) async fn console(target: Target, options: ConsoleOptions) -> Result<Exit, Problem> {
    match console::run(target, options).await {
        Ok(Left::Done | Left::TerminalGone) => Ok(Exit::Done),
        Ok(Left::Signal(signal)) => Ok(Exit::of_signal(signal)),
        Err(error) => Err(Problem::new(Exit::Failed, format!("{error:#}"))),
    }
}
