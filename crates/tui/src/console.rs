//! `smoothtool tui`: the way in, for the command line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::timeout;

pub use crate::export::text;
pub use crate::term::caps::GlyphChoice;

use crate::client::{Client, ClientError, PATIENCE, Said, Target};
use crate::effect::{Effect, Order};
use crate::keys::Keys;
use crate::model::Model;
use crate::model::clock::Moment;
use crate::msg::{Msg, Report};
pub use crate::runtime::Left;
use crate::runtime::{self, Core};
use crate::term::caps;
use crate::update::update;
use crate::view::view;
use smoothserve_protocol::message::{Done, Request};

/// What the operator may choose.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// Which glyphs to use.
    pub glyphs: GlyphChoice,
    /// Frames a second while something moves; at least 1.
    pub fps: u8,
    /// The keys in effect.
    pub keys: Keys,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self { glyphs: GlyphChoice::Auto, fps: 10, keys: Keys::default() }
    }
}

/// Runs the console on this terminal until the operator leaves it. The daemon need not be there,
/// and may go and come back.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn run(target: Target, options: ConsoleOptions) -> anyhow::Result<Left> {
    let look = caps::look(options.glyphs, |name| std::env::var(name).ok());
    runtime::run(target, look, options, Core::default()).await
}

/// One frame of the overview as text, without a terminal.
///
/// # Errors
/// When the daemon cannot be reached, or says nothing within seconds.
pub async fn once(
    target: &Target,
    options: ConsoleOptions,
    width: u16,
    height: u16,
) -> Result<String, ClientError> {
    let look = caps::look(options.glyphs, |name| std::env::var(name).ok());
    let mut model = runtime::new_model(target, look);
    model.keys = options.keys;
    model.size = (width, height);
    let mut client = Client::connect(target).await?;
    timeout(PATIENCE, listen(&mut client, &mut model)).await.map_err(|_| ClientError::Silent)??;

    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view(&model, area, &mut buffer);
    Ok(text(&buffer))
}

/// Takes in what the daemon says until the frame is complete.
async fn listen(client: &mut Client, model: &mut Model) -> Result<(), ClientError> {
    let mut history = false;
    let mut report = Report::Connected;
    loop {
        for effect in update(model, Msg::Net(Box::new(report)), Moment(0)) {
            let request = match effect {
                Effect::Order(Order::Subscribe { focus, events_after }) => {
                    Request::Subscribe { focus, events_after }
                }
                Effect::Order(Order::History { limit }) => Request::Events { after: None, limit },
                // Nobody is there to act.
                _ => continue,
            };
            client.send(request).await?;
        }
        let detail = model.selection.name().is_none_or(|name| model.world.detail(name).is_some());
        if history && detail && model.world.daemon.is_some() {
            return Ok(());
        }
        report = loop {
            match client.next().await? {
                Said::Push(push) => break Report::Push(push),
                Said::Answer(_, Ok(Done::Events(batch))) => {
                    history = true;
                    break Report::History(batch);
                }
                Said::Answer(..) => {}
            }
        };
    }
}
