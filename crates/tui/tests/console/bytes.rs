//! How much goes to the terminal: nothing when nothing changed, one write a frame, and few bytes. Each
//! test prints its figures; a terminal that has frames marked pays for the marks, and must not pay
//! more than the others may.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::{Overview, ServiceDetail, Traffic};
use smoothtool::model::Dirty;
use smoothtool::msg::{Msg, Report};
use smoothtool::term::paint::Painter;
use smoothtool::view::view;

use crate::stage::Stage;
use crate::support::world;

/// Remembers the length of every write.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<usize>>>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A console on a terminal that takes marks around frames.
struct Screen {
    stage: Stage,
    painter: Painter<Counting>,
    counting: Counting,
}

/// What was sent in a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    frames: usize,
    bytes: usize,
}

impl Screen {
    /// Painted once, after a minute of samples.
    fn new((width, height): (u16, u16)) -> Self {
        let mut stage = Stage::live();
        for _ in 0..60 {
            stage.pass(1_000);
            stage.overview(world::overview());
        }
        stage.tell(Msg::Resize { width, height });
        let counting = Counting::default();
        let mut painter = Painter::new(view, counting.clone());
        painter.synchronize();
        let mut screen = Self { stage, painter, counting };
        screen.paint();
        screen
    }

    /// Paints as the loop does: when something changed, and then in one write.
    fn paint(&mut self) -> Sent {
        if self.stage.model.dirty == Dirty::No {
            return Sent::default();
        }
        let sent = self.painter.paint(&self.stage.model).unwrap();
        self.stage.paint();
        let writes = std::mem::take(&mut *self.counting.0.lock().unwrap());
        assert_eq!(writes.len(), usize::from(sent), "one write a frame: {writes:?}");
        Sent { frames: writes.len(), bytes: writes.iter().sum() }
    }

    /// What is sent a second, on the average of `seconds`, while `change` happens ten times in each.
    fn tenths(&mut self, seconds: u64, mut change: impl FnMut(&mut Stage, u64)) -> Sent {
        let mut all = Sent::default();
        for tenth in 1..=seconds * 10 {
            self.stage.pass(100);
            change(&mut self.stage, tenth);
            let sent = self.paint();
            all.frames += sent.frames;
            all.bytes += sent.bytes;
        }
        let seconds = usize::try_from(seconds).unwrap();
        Sent { frames: all.frames / seconds, bytes: all.bytes.div_ceil(seconds) }
    }
}

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

/// Prints `sent`, and insists that it is no more than `limit` bytes.
#[expect(clippy::print_stdout, reason = "the figure is wanted, not only that it is good enough")]
fn check(what: &str, (width, height): (u16, u16), sent: Sent, limit: usize) {
    println!("{what}, {width}x{height}: {} bytes of {limit}, {} frames", sent.bytes, sent.frames);
    assert!(sent.bytes <= limit, "{what}, {width}x{height}: {sent:?}");
}

/// The overview after so many tenths of a second: the clock moved, and nothing else.
fn later(tenth: u64) -> Overview {
    let mut overview = world::overview();
    overview.daemon.unix_ms += tenth * 100;
    overview
}

#[test]
fn nothing_is_sent_when_nothing_that_is_shown_changed() {
    for size in [SMALL, LARGE] {
        for keys in ["", "\r", "3", "l", "h", "?", "r"] {
            let mut screen = Screen::new(size);
            screen.stage.press(keys);
            screen.stage.detail();
            screen.stage.answer_logs(world::logs());
            screen.stage.answer_receipts(world::past());
            screen.stage.model.touch(Dirty::ByInput);
            screen.paint();
            let sent = screen.tenths(10, |stage, tenth| {
                if tenth % 10 == 0 {
                    stage.overview(world::overview());
                    stage.detail();
                }
            });
            assert_eq!(sent.bytes, 0, "{keys:?} {size:?}");
        }
    }
}

#[test]
fn nothing_is_painted_when_nothing_is_dirty() {
    let mut screen = Screen::new(SMALL);
    screen.stage.pass(500);
    screen.stage.detail();
    assert_eq!(screen.stage.model.dirty, Dirty::No, "the detail is not on this screen");
}

#[test]
fn the_clock_alone_is_a_few_bytes() {
    for size in [SMALL, LARGE] {
        let mut screen = Screen::new(size);
        let sent = screen.tenths(60, |stage, tenth| {
            if tenth % 10 == 0 {
                stage.overview(later(tenth));
            }
        });
        check("a second of the clock alone", size, sent, 60);
    }
}

#[test]
fn a_second_of_an_ordinary_overview_is_small() {
    for (size, limit) in [(SMALL, 400), (LARGE, 900)] {
        let mut screen = Screen::new(size);
        let sent = screen.tenths(60, |stage, tenth| {
            if tenth % 10 > 0 {
                return;
            }
            let second = tenth / 10;
            let mut overview = later(tenth);
            overview.daemon.traffic.milli_rps += second * 10_000;
            for (i, row) in (0..).zip(&mut overview.services) {
                let traffic = &mut row.traffic;
                traffic.milli_rps += traffic.milli_rps * ((second * 7 + i) % 11) / 100;
                traffic.in_flight += (second + i) % 3;
                let moved = |us: u64| us + us * ((second * 3 + i) % 7) / 100;
                traffic.p50_us = traffic.p50_us.map(moved);
                traffic.p99_us = traffic.p99_us.map(moved);
            }
            stage.overview(overview);
        });
        check("a second of an overview whose figures move", size, sent, limit);
    }
}

/// Requests come to three instances and leave all four, `tenth` tenths of a second on.
fn restarting(tenth: u64) -> ServiceDetail {
    let mut detail = world::api();
    for (i, instance) in (0..).zip(&mut detail.instances) {
        if instance.drain.is_none() {
            instance.in_flight = 8 + u32::try_from((tenth + i * 3) % 7).unwrap();
        }
    }
    let operation = detail.operation.as_mut().unwrap();
    operation.elapsed_ms += tenth * 100;
    operation.ledger.accepted += tenth * 120;
    operation.ledger.completed += tenth * 120;
    detail
}

fn show_service(screen: &mut Screen) {
    screen.stage.select("api");
    screen.stage.press("\r");
    screen.stage.detail();
    screen.paint();
}

#[test]
fn a_second_of_a_rolling_restart_is_small() {
    for (size, limit) in [(SMALL, 2_500), (LARGE, 4_000)] {
        let mut screen = Screen::new(size);
        show_service(&mut screen);
        let sent = screen.tenths(60, |stage, tenth| {
            let detail = restarting(tenth);
            stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
            if tenth % 10 == 0 {
                stage.overview(later(tenth));
            }
        });
        assert_eq!(sent.frames, 10);
        check("a second of a rolling restart", size, sent, limit);
    }
}

/// Figures of which no digit is as it was in the last `tenth`.
fn all_different(tenth: u64, i: u64) -> Traffic {
    let digit = (tenth + i) % 9 + 1;
    Traffic {
        in_flight: digit * 1_111,
        milli_rps: digit * 11_111_000,
        p50_us: Some(digit * 111_000),
        p99_us: Some(digit * 111_000 + 1),
        errors_ppm: u32::try_from(digit * 11_111).unwrap(),
        ..Traffic::default()
    }
}

fn worst_overview(tenth: u64) -> Overview {
    let mut overview = later(tenth * 11);
    overview.daemon.uptime_ms += tenth * 111_000_000;
    overview.daemon.traffic = all_different(tenth, 5);
    for (i, row) in (0..).zip(&mut overview.services) {
        row.traffic = all_different(tenth, i);
        row.since_ms = (tenth + i) % 9 * 11_111_000;
    }
    overview
}

fn worst_detail(tenth: u64) -> ServiceDetail {
    let mut detail = restarting(tenth);
    for (i, instance) in (0..).zip(&mut detail.instances) {
        let traffic = all_different(tenth, i);
        instance.in_flight = u32::try_from(traffic.in_flight).unwrap();
        instance.milli_rps = traffic.milli_rps;
        instance.p99_us = traffic.p99_us;
        instance.up_ms = Some((tenth + i) % 9 * 11_111_000);
        instance.pid = Some(u32::try_from((tenth + i) % 9 * 11_111).unwrap());
    }
    let operation = detail.operation.as_mut().unwrap();
    operation.ledger.accepted = (tenth % 9 + 1) * 11_111_111;
    operation.ledger.completed = (tenth % 9 + 1) * 11_111_111 - operation.ledger.in_flight;
    detail
}

#[test]
fn a_second_of_the_worst_is_bearable() {
    for (size, limit) in [(SMALL, 25_000), (LARGE, 60_000)] {
        for (what, is_service) in [("overview", false), ("restart", true)] {
            let mut screen = Screen::new(size);
            if is_service {
                show_service(&mut screen);
            }
            let sent = screen.tenths(20, |stage, tenth| {
                stage.overview(worst_overview(tenth));
                let detail = worst_detail(tenth);
                if stage.model.focus.as_ref() == Some(&detail.row.name) {
                    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
                }
            });
            assert_eq!(sent.frames, 10);
            check(&format!("a second of the worst {what}"), size, sent, limit);
        }
    }
}

#[test]
fn a_copy_goes_with_the_next_frame_in_one_write() {
    let mut screen = Screen::new(SMALL);
    screen.stage.press("y");
    let copy = screen.stage.model.clipboard.sequence("api");
    screen.painter.send_ahead(&copy);
    screen.stage.model.touch(Dirty::ByInput);
    // Asserted there: it is one write.
    let sent = screen.paint();
    assert!(sent.frames == 1 && sent.bytes > copy.len(), "{sent:?}");
}

#[test]
fn a_full_repaint_is_one_small_write() {
    for (size, limit) in [(SMALL, 4_096), (LARGE, 8_192)] {
        for (what, keys) in [
            ("overview", ""),
            ("service", "\r"),
            ("events", "3"),
            ("logs", "l"),
            ("history", "h"),
            ("help", "?"),
            ("question", "r"),
        ] {
            let mut screen = Screen::new(size);
            screen.stage.select("api");
            screen.stage.press(keys);
            screen.stage.detail();
            screen.stage.answer_logs(world::logs());
            screen.stage.answer_receipts(world::past());
            screen.stage.model.touch(Dirty::ByInput);
            screen.painter.forget();
            let sent = screen.paint();
            check(&format!("a full repaint of {what}"), size, sent, limit);
        }
    }
}
