//! The console on a real terminal, in front of a fake daemon.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without, it may insist on")]

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use smoothtool::client::Target;
use smoothtool::console::{self, ConsoleOptions};
use tokio::time::timeout;

use support::daemon::Fake;
use support::terminal::{Console, DARK, PATIENCE};
use support::world;

#[tokio::test]
async fn a_copy_reaches_the_terminal() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[("TMUX", ""), ("STY", "")]);
    console.shows("▪ live").await;
    console.press("jy").await;
    console.shows("by OSC 52").await;
    let raw = String::from_utf8_lossy(&console.raw).into_owned();
    assert!(raw.contains("\x1b]52;c;"), "{raw:?}");
}

#[tokio::test]
async fn one_frame_needs_no_terminal() {
    let fake = Fake::start().await;
    let target = fake.target();
    let frame = console::once(&target, ConsoleOptions::default(), 120, 40);
    let frame = timeout(PATIENCE, frame).await.unwrap().unwrap();
    assert!(frame.contains("accepted 1 204 118"), "{frame}");
}

#[tokio::test]
async fn a_script_gets_one_frame_of_the_size_it_asks_for() {
    let fake = Fake::start().await;
    let Target { addr, token_file, .. } = fake.target();
    let run = || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_smoothtool"));
        command.args(["tui", "--once", "--size", "40x12", "--addr", &addr, "--token-file"]);
        command.arg(&token_file).env("LC_ALL", "C.UTF-8").env("HOME", "/nonexistent");
        timeout(PATIENCE, command.output())
    };
    let output = run().await.unwrap().unwrap();
    let frame = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && frame.contains("▪ live"), "{frame}");
    assert_eq!(frame.lines().count(), 12, "{frame}");
    assert!(frame.lines().all(|line| line.chars().count() <= 40), "{frame}");
    assert!(!frame.contains('\u{1b}'), "{frame:?}");

    fake.pause().await;
    let output = run().await.unwrap().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(7), 0));
}

#[tokio::test]
async fn keys_reach_the_daemon_and_q_leaves() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    console.press("j").await;
    console.shows("▸ api").await;
    console.press("j").await;
    console.shows("▸ assets").await;
    console.press("r").await;
    console.shows("Restart assets, g13 to g14?").await;
    // A person reads first.
    tokio::time::sleep(Duration::from_millis(300)).await;
    console.press("y").await;
    console.shows("restart assets: op-19 began").await;
    assert_eq!(fake.commanded(), [world::name("assets")]);
    console.press("q").await;
    console.ends().await;
    console.is_restored();
}

#[tokio::test]
async fn a_command_is_answered_and_comes_back_in_the_next_console() {
    let fake = Fake::start().await;
    let home = tempfile::tempdir().unwrap();
    let env = [("HOME", home.path().to_str().unwrap())];
    let mut console = Console::start(&fake, &env);
    console.shows("▪ live").await;
    console.press(":").await;
    console.shows("enter run").await;
    console.press("why bi\t").await;
    console.shows(":why billing").await;
    console.press("\r").await;
    console.shows("billing is degraded").await;
    console.press("q").await;
    console.ends().await;
    console.is_restored();

    let mut console = Console::start(&fake, &env);
    console.shows("▪ live").await;
    console.press(":").await;
    console.shows("enter run").await;
    console.press("\u{1b}[A").await;
    console.shows(":why billing").await;
    console.press("\u{3}").await;
    console.ends().await;
}

#[tokio::test]
async fn it_says_what_it_sends() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    console.press(":stats\r").await;
    console.shows("writes").await;
    let shown = console.screen.screen().contents();
    let figure = |name: &str| -> u64 {
        let line = shown.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
        let digits = line.split("  ").map(str::trim).find(|word| !word.is_empty()).unwrap();
        digits.replace(' ', "").parse().unwrap()
    };
    let (frames, bytes, writes) = (figure("frames"), figure("bytes"), figure("writes"));
    assert!(frames > 0 && bytes > frames && writes >= frames, "{shown}");
    assert!(bytes <= console.raw.len() as u64, "{shown}");
    console.press("q").await;
    console.ends().await;
}

#[tokio::test]
async fn it_follows_the_size_of_the_terminal() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    console.resize(120, 40);
    console.shows("LAST 60s").await;
    console.press("\u{3}").await;
    console.ends().await;
    console.is_restored();
}

#[tokio::test]
async fn signals_end_it_and_the_terminal_is_as_before() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let fake = Fake::start().await;
        let mut console = with_everything_on(&fake).await;
        console.signal(signal);
        let status = console.ends().await;
        assert_eq!(status.code(), Some(128 + signal.as_raw()));
        console.is_restored();
    }
}

#[tokio::test]
async fn keys_end_it_and_the_terminal_is_as_before() {
    for key in ["q", "\u{3}"] {
        let fake = Fake::start().await;
        let mut console = with_everything_on(&fake).await;
        console.press(key).await;
        assert_eq!(console.ends().await.code(), Some(0));
        console.is_restored();
    }
}

/// A console that has set every mode it ever sets.
async fn with_everything_on(fake: &Fake) -> Console {
    let mut console = Console::start(fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    console.press("m").await;
    console.shows("mouse on").await;
    // What marks a frame is reset at its end.
    assert_eq!(console.modes_on(), [1_000, 1_006, 1_049, 2_004].into());
    assert!(String::from_utf8_lossy(&console.raw).contains("\u{1b}[?2026h"));
    console
}

#[tokio::test]
async fn the_mouse_is_on_until_it_is_turned_off() {
    let fake = Fake::start().await;
    let mut console = with_everything_on(&fake).await;
    // On the fourth line of the list: its columns and rows count from 1.
    console.press("\u{1b}[<0;6;8M\u{1b}[<0;6;8m").await;
    console.shows("▸ auth").await;
    console.press("\u{1b}[<0;6;8M\u{1b}[<0;6;8m").await;
    console.shows("esc back").await;
    console.press("m").await;
    console.shows("mouse off").await;
    assert_eq!(console.modes_on(), [1_049, 2_004].into());
    console.press("q").await;
    console.ends().await;
    console.is_restored();
    assert_eq!(fake.commanded(), []);
}

#[tokio::test]
async fn the_daemon_may_go_and_come_back() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    fake.pause().await;
    console.shows("✗ disconnected").await;
    console.shows("lost ?").await;
    console.shows("actions off until it is back").await;
    let began = Instant::now();
    fake.resume().await;
    console.press("R").await;
    console.shows("▪ live").await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    console.press("q").await;
    console.ends().await;
    console.is_restored();
}

#[tokio::test]
async fn a_daemon_that_listens_again_is_seen_within_a_second() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    fake.pause().await;
    // It has failed so often that it waits as long as it ever does.
    console.shows("number 5").await;
    let began = Instant::now();
    fake.resume().await;
    console.shows("▪ live").await;
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
    console.press("q").await;
    console.ends().await;
}

#[tokio::test]
async fn a_daemon_that_says_nothing_is_told_so_three_seconds_later() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    let began = Instant::now();
    fake.hush();
    console.shows("◌ no data 3s").await;
    assert!(began.elapsed() <= Duration::from_millis(3_100), "{:?}", began.elapsed());
    console.shows("lost ?").await;
    console.shows("actions off until it is back").await;
    console.press("q").await;
    console.ends().await;
}

#[tokio::test]
async fn without_colour_and_unicode_neither_is_sent() {
    let fake = Fake::start().await;
    let env = [("NO_COLOR", "1"), ("LC_ALL", "C")];
    let mut console = Console::start(&fake, &env).answering(DARK);
    console.shows("o live").await;
    // Every screen, and what stands in front of them.
    for (key, shows) in [
        ("j", "> api"),
        ("\r", "esc back"),
        ("l", "following"),
        ("\u{1b}", "esc back"),
        ("h", "restarts"),
        ("3", "events 8"),
        ("?", "esc close"),
        ("\u{1b}", "following"),
        ("1", "services 8"),
        ("x", "End the restart of api"),
        ("\u{1b}", "services 8"),
    ] {
        console.press(key).await;
        console.shows(shows).await;
    }
    fake.pause().await;
    console.shows("X disconnected").await;
    console.press("q").await;
    console.ends().await;
    console.is_restored();
    let text = String::from_utf8(console.raw).unwrap();
    let from = text.find("\u{1b}[?1049h").unwrap();
    let until = text.find("\u{1b}[?1049l").unwrap();
    let frames = &text[from..until];
    assert!(frames.is_ascii());
    for escape in frames.split("\u{1b}[").skip(1) {
        let end = escape.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        if escape[end..].starts_with('m') {
            let colour = escape[..end].split(';').filter_map(|n| n.parse::<u32>().ok());
            assert!(colour.into_iter().all(|n| n < 30), "{:?}", &escape[..=end]);
        }
    }
}
