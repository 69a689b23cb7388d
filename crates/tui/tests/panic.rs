//! A panic in any part of the console, on a real terminal: it gives the terminal back before it
//! speaks.
//!
//! The program is both the test and, started by itself, the console that fails.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without, it may insist on")]

mod support;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use smoothtool::client::Target;
use smoothtool::console::ConsoleOptions;
use smoothtool::effect::Effect;
use smoothtool::input::Key;
use smoothtool::model::Model;
use smoothtool::model::clock::Moment;
use smoothtool::msg::Msg;
use smoothtool::runtime::{self, Core};
use smoothtool::term::caps::{GlyphChoice, look};
use smoothtool::{update, view};

use support::daemon::Fake;
use support::terminal::{Console, DARK};

/// What the panic says.
const LAST_WORDS: &str = "as the test asked";
/// Where it happens, in the words of the arguments.
const PARTS: [&str; 3] = ["update", "view", "task"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [part, addr, token_file] = &arguments[..]
        && PARTS.contains(&part.as_str())
    {
        fails(part, addr, token_file).await;
        return;
    }
    for part in PARTS {
        check(part).await;
        report(part);
    }
}

#[expect(clippy::print_stdout, reason = "this is what a test runner says")]
fn report(part: &str) {
    println!("test a_panic_in_{part}_gives_the_terminal_back ... ok");
}

async fn check(part: &str) {
    let fake = Fake::start().await;
    let Target { addr, token_file, .. } = fake.target();
    let program = std::env::current_exe().unwrap();
    let arguments = [part.into(), addr.into(), token_file.into()];
    let mut console = Console::of(&program, arguments, &[]).answering(DARK);
    console.shows("▪ live").await;
    console.press("m").await;
    console.shows("mouse on").await;
    console.press("?").await;
    let status = console.ends().await;
    assert!(!status.success(), "{part}");
    console.is_restored();
    let text = String::from_utf8_lossy(&console.raw);
    for mode in ["1000", "1006", "2026"] {
        assert!(text.contains(&format!("\u{1b}[?{mode}h")), "{part}: {mode} was never on");
    }
    let left = text.find("\u{1b}[?1049l").expect("it leaves the alternate screen");
    assert!(text[left..].contains(LAST_WORDS), "{part}: {text}");
}

/// The console, until `part` of it fails.
async fn fails(part: &str, addr: &str, token_file: &str) {
    let target = Target {
        addr: addr.to_owned(),
        token_file: token_file.into(),
        actor: "test@here".to_owned(),
        read_only: false,
    };
    let usual = Core::default();
    let core = match part {
        "update" => Core { update: update_but_no_help, ..usual },
        "view" => Core { view: view_but_no_help, ..usual },
        _ => {
            tokio::spawn(async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                panic!("{LAST_WORDS}");
            });
            usual
        }
    };
    let look = look(GlyphChoice::Unicode, |name| std::env::var(name).ok());
    runtime::run(target, look, ConsoleOptions::default(), core).await.unwrap();
}

fn update_but_no_help(model: &mut Model, msg: Msg, now: Moment) -> Vec<Effect> {
    assert!(!matches!(msg, Msg::Key(Key::Char('?'))), "{LAST_WORDS}");
    update::update(model, msg, now)
}

fn view_but_no_help(model: &Model, area: Rect, buffer: &mut Buffer) {
    assert!(model.front.is_none(), "{LAST_WORDS}");
    view::view(model, area, buffer);
}
