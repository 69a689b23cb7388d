//! The console on terminals that make it hard: they answer late or never, take nothing, are resized
//! and taken away, and are gone.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without, it may insist on")]

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::timeout;

use support::daemon::Fake;
use support::terminal::{Console, DARK, PATIENCE, cells};
use support::world;

/// What a terminal answers that is light, and draws the usual glyphs two columns wide.
const LIGHT_AND_WIDE: &str = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[1;3R\x1b[?2026;0$y\x1b[?6c";

/// The beginning and the end of a frame.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// How long the first frame took, the shortest and the middle one of ten tries.
#[expect(clippy::print_stdout, reason = "the figure is wanted, not only that it is good enough")]
async fn first_frames(what: &str, env: &[(&str, &str)], answers: Option<&str>) -> Duration {
    let fake = Fake::start().await;
    let mut tries = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let mut console = Console::start(&fake, env);
        if let Some(answers) = answers {
            console = console.answering(answers);
        }
        console.shows("q quit").await;
        tries.push(began.elapsed());
        console.press("q").await;
        console.ends().await;
        console.is_restored();
    }
    tries.sort();
    println!("first frame, {what}: {:.0?} at best, {:.0?} in the middle", tries[0], tries[5]);
    tries[0]
}

#[tokio::test]
async fn the_first_frame_comes_at_once_where_the_terminal_answers() {
    let took = first_frames("answered at once", &[], Some(DARK)).await;
    assert!(took <= Duration::from_millis(50), "{took:?}");
    let took = first_frames("nothing asked", &[("TERM", "linux")], None).await;
    assert!(took <= Duration::from_millis(50), "{took:?}");
}

#[tokio::test]
async fn a_terminal_that_never_answers_is_waited_for_a_tenth_of_a_second() {
    let took = first_frames("never answered", &[], None).await;
    assert!((100..=150).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn what_the_terminal_answers_is_what_it_gets() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(LIGHT_AND_WIDE);
    console.shows("o live").await;
    console.shows("degraded").await;
    let screen = console.screen.screen();
    let colours: Vec<_> = (0..24)
        .flat_map(|row| (0..80).map(move |column| (row, column)))
        .filter_map(|(row, column)| screen.cell(row, column))
        .map(vt100::Cell::fgcolor)
        .collect();
    assert!(colours.contains(&vt100::Color::Idx(5)), "what moves is magenta");
    assert!(!colours.contains(&vt100::Color::Idx(3)), "yellow on white");
    console.press("q").await;
    console.ends().await;
    let text = String::from_utf8_lossy(&console.raw);
    // The glyph that was measured is no part of a frame.
    assert_eq!(text.replace(|c: char| c.is_ascii(), ""), "\u{25aa}");
    assert!(!text.contains(BEGIN), "it does not know these marks");
}

#[tokio::test]
async fn each_frame_is_marked_where_the_terminal_has_that() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    console.press("j").await;
    console.shows("▸ api").await;
    console.press("q").await;
    console.ends().await;
    let text = String::from_utf8_lossy(&console.raw);
    let frames = &text[text.find(BEGIN).unwrap()..text.find("\x1b[?25h").unwrap()];
    let frames: Vec<&str> = frames.split(BEGIN).skip(1).collect();
    let (last, frames) = frames.split_last().unwrap();
    assert!(!frames.is_empty(), "the test tests nothing");
    for frame in frames {
        assert!(frame.strip_suffix(END).is_some_and(|frame| !frame.contains(END)), "{frame:?}");
    }
    // On its way out the console ends whatever may have begun.
    let (_, after) = last.split_once(END).unwrap();
    assert_eq!(after, "\x1b[?2026l\x1b[0m\x1b[?2004l");
}

#[tokio::test]
async fn keys_pressed_before_the_first_frame_are_forgotten_but_for_leaving() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(&format!("jjr\r{DARK}"));
    console.shows("▪ live").await;
    console.shows("▸ billing").await;
    console.press("q").await;
    console.ends().await;
    let mut console = Console::start(&fake, &[]).answering("\u{3}");
    assert_eq!(console.ends().await.code(), Some(0));
    console.is_restored();
}

#[tokio::test]
async fn an_answer_that_comes_late_is_no_key_however_it_is_split() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]);
    console.shows("▪ live").await;
    console.shows("▸ billing").await;
    for at in 1..DARK.len() {
        let (first, second) = DARK.split_at(at);
        console.press_and_have_read(first).await;
        console.press_and_have_read(second).await;
    }
    console.press("t").await;
    console.shows("theme: dark").await;
    let screen = console.screen.screen().contents();
    for sign in ["?   keys", "Restart", "pasted", "connect now", "events 1", "esc back"] {
        assert!(!screen.contains(sign), "{sign}: {screen}");
    }
    assert!(screen.contains("▸ billing"), "{screen}");
    console.press("q").await;
    console.ends().await;
    console.is_restored();
    assert_eq!(fake.commanded(), []);
}

#[tokio::test]
async fn suspended_and_continued_a_hundred_times_it_paints_the_screen_again() {
    const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (40, 12), (100, 30)];
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    console.press("m").await;
    console.shows("mouse on").await;
    for round in 0..100 {
        let (width, height) = SIZES[round % SIZES.len()];
        if round % 2 == 0 {
            console.press("\u{1a}").await;
        } else {
            console.signal(Signal::TSTP);
        }
        console.until("the end of the screen", |c| !c.screen.screen().alternate_screen()).await;
        console.is_in_state('T').await;
        console.is_restored();
        console.resize(width, height);
        console.signal(Signal::CONT);
        console.until("the screen", |c| c.screen.screen().alternate_screen()).await;
        console.until("its last row", |c| last_row(c, height).starts_with(" ")).await;
        console.until("the last hint", |c| last_row(c, height).contains("? help")).await;
        assert_eq!(console.modes_on(), [1_000, 1_006, 1_049, 2_004].into(), "round {round}");
    }
    console.press("q").await;
    console.ends().await;
    console.is_restored();
    // Between a stop and going on, nothing is written.
    let text = String::from_utf8_lossy(&console.raw);
    for pause in text.split("\x1b[?1049l").skip(1) {
        let written = pause.split("\x1b[?1049h").next().unwrap();
        assert_eq!(written, "", "while it was stopped");
    }
}

#[tokio::test]
async fn what_a_larger_screen_has_room_for_is_asked_for_when_it_goes_on() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    console.press("\r").await;
    console.shows("esc back").await;
    assert!(!fake.is_followed(), "there is no room for what it prints");
    console.signal(Signal::TSTP);
    console.is_in_state('T').await;
    console.resize(120, 40);
    console.signal(Signal::CONT);
    console.shows("l full screen").await;
    console.until("what it prints is asked for", |_| fake.is_followed()).await;
}

fn last_row(console: &Console, height: u16) -> String {
    let screen = console.screen.screen();
    let (_, width) = screen.size();
    screen.contents_between(height - 1, 0, height - 1, width.get())
}

#[tokio::test]
async fn going_on_without_a_stop_paints_the_screen_again() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    // Another program wrote over it.
    console.screen.process(b"\x1b[2J");
    console.signal(Signal::CONT);
    console.shows("▪ live").await;
    console.press("q").await;
    console.ends().await;
    console.is_restored();
}

#[tokio::test]
async fn a_storm_of_sizes_ends_in_the_right_screen() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    for round in 0..300_u16 {
        console.resize(20 + round * 7 % 180, 5 + round * 3 % 55);
    }
    console.resize(120, 40);
    console.until("the last row", |c| last_row(c, 40).contains("q quit")).await;
    console.shows("LAST 60s").await;
    console.shows("accepted 1 204 118").await;
    console.press("q").await;
    console.ends().await;
    console.is_restored();
}

#[tokio::test]
async fn a_terminal_that_is_gone_ends_it_at_once() {
    // With keys on their way the reader of keys may be at work just then.
    for keys in ["", "j", "jkjkjk", "\x1b", "rrr", "j"] {
        let fake = Fake::start().await;
        let mut console = Console::start(&fake, &[]).answering(DARK);
        console.shows("▪ live").await;
        let before = console.processor_time();
        console.press(keys).await;
        console.terminal = None;
        console.side = None;
        let began = Instant::now();
        // Not waited for yet: what it used is told until then.
        console.is_in_state('Z').await;
        let (took, used) = (began.elapsed(), console.processor_time() - before);
        println!("gone after {keys:?}: left after {took:.1?}, {used:?} of a processor");
        assert!(took <= Duration::from_secs(1), "it goes on without a terminal: {took:?}");
        assert!(used <= Duration::from_millis(50), "it used {used:?}");
    }
}

#[tokio::test]
async fn a_terminal_that_takes_nothing_does_not_keep_it() {
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    hold_up(&mut console).await;
    console.signal(Signal::TERM);
    let status = timeout(Duration::from_secs(2), console.child.wait()).await;
    assert!(status.is_ok(), "it waits for a terminal that does not read");
    console.modes_are_restored();
}

/// Has the console write more than the system holds.
async fn hold_up(console: &mut Console) {
    let began = Instant::now();
    // A write that goes well waits for a moment too.
    let mut looks = 0;
    while looks < 20 {
        looks = if console.is_held_up() { looks + 1 } else { 0 };
        assert!(began.elapsed() < PATIENCE, "it was not held up");
        // Each is a whole frame, and nobody reads them.
        console.press("\u{c}").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_reader_that_stops_for_ten_seconds_sees_the_newest_at_once_and_everything_in_the_end() {
    const STOP: Duration = Duration::from_secs(10);
    let fake = Fake::start().await;
    let mut console = Console::start(&fake, &[]).answering(DARK);
    console.shows("▪ live").await;
    console.press("3").await;
    console.shows("following").await;
    hold_up(&mut console).await;
    fake.tell_events();
    let before = console.memory();
    tokio::time::sleep(STOP).await;
    assert!(console.is_held_up(), "it was not held up all the time");
    let grown = console.memory().saturating_sub(before);
    let told = fake.stop_events();
    println!("held up for {STOP:?}: {told} events, {grown} KiB more");
    assert!(told >= 50, "the test tests nothing");
    assert!(grown <= 1_024, "{grown} KiB more");

    let newest = format!("closed to new requests, {told} in flight");
    let seen = console.raw.len();
    console.shows(&newest).await;
    let between = frames_that_tell_less(&console.raw, seen, &newest);
    println!("{between} frames between the last one of before and the newest");
    assert!(between <= 1, "{between}: one was on its way");
    let all = format!("events {}", told + world::events().events.len() as u64);
    console.shows(&all).await;
    // A write that took so long is answered with fewer frames, for a while.
    let is_slowed = |c: &Console| c.screen.screen().contents().contains(" fps  up ");
    console.until("fewer frames", is_slowed).await;
    console.until("all frames", |c| !is_slowed(c)).await;
    console.press("q").await;
    console.ends().await;
    console.is_restored();
}

/// How many frames after the first `seen` bytes show some of the new events, but not `newest`.
fn frames_that_tell_less(raw: &[u8], seen: usize, newest: &str) -> usize {
    let mut screen = vt100::Parser::new(cells(24), cells(80), 0);
    screen.process(&raw[..seen]);
    let text = String::from_utf8_lossy(&raw[seen..]).into_owned();
    let tells_less = |frame: &str| {
        screen.process(frame.as_bytes());
        let shown = screen.screen().contents();
        // Before them there is one, in the list and in full below it.
        shown.matches("closed to new requests").count() > 2 && !shown.contains(newest)
    };
    text.split_inclusive(END).map(tells_less).filter(|less| *less).count()
}

/// Two thousand restarts and their confirmations, in 4 KiB.
fn four_kib() -> String {
    "ry".repeat(2_048)
}

#[tokio::test]
async fn pasted_text_is_no_key_whether_it_is_marked_or_not() {
    for paste in [format!("\x1b[200~{}\x1b[201~", four_kib()), four_kib()] {
        let fake = Fake::start().await;
        let mut console = Console::start(&fake, &[]).answering(DARK);
        console.shows("▪ live").await;
        console.press(&paste).await;
        console.shows("4096 pasted characters ignored").await;
        let toast = |c: &Console| c.screen.screen().contents().contains("pasted");
        console.until("the end of the toast", |c| !toast(c)).await;
        console.press("j").await;
        console.shows("▸ api").await;
        console.press("q").await;
        console.ends().await;
        console.is_restored();
        assert_eq!(fake.commanded(), []);
        assert!(!String::from_utf8_lossy(&console.raw).contains("Restart"), "a question was asked");
    }
}
