//! How much goes to the terminal: nothing when nothing changed, one write a frame.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use smoothtool::msg::Msg;
use smoothtool::term::paint::Painter;
use smoothtool::view::view;

use crate::stage::Stage;
use crate::support::world;

/// Remembers the length of every write.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counting {
    /// The writes since this was last asked.
    fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn lengths(&self) -> Vec<usize> {
        self.take().iter().map(Vec::len).collect()
    }
}

fn stage(width: u16, height: u16) -> (Stage, Painter<Counting>, Counting) {
    let mut stage = Stage::live();
    stage.tell(Msg::Resize { width, height });
    let counting = Counting::default();
    (stage, Painter::new(view, counting.clone()), counting)
}

#[test]
fn a_full_repaint_is_one_small_write() {
    for (width, height, limit) in [(80, 24, 4_096), (120, 40, 8_192)] {
        let (stage, mut painter, counting) = stage(width, height);
        painter.paint(&stage.model).unwrap();
        let lengths = counting.lengths();
        assert_eq!(lengths.len(), 1);
        assert!(lengths[0] <= limit, "{width}x{height}: {lengths:?}");
    }
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let (mut stage, mut painter, counting) = stage(120, 40);
    painter.paint(&stage.model).unwrap();
    counting.take();
    stage.detail();
    painter.paint(&stage.model).unwrap();
    assert_eq!(counting.lengths(), [0; 0]);
}

#[test]
fn nothing_is_painted_when_nothing_is_dirty() {
    use smoothtool::model::Dirty;
    let (mut stage, _, _) = stage(80, 24);
    stage.paint();
    stage.pass(500);
    stage.detail();
    assert_eq!(stage.model.dirty, Dirty::No, "the detail is not on this screen");
}

#[test]
fn a_second_of_an_ordinary_overview_is_small() {
    for (width, height, limit) in [(80, 24, 400), (120, 40, 900)] {
        let (mut stage, mut painter, counting) = stage(width, height);
        painter.paint(&stage.model).unwrap();
        counting.take();
        let mut written = 0;
        for second in 1..=60 {
            let mut overview = world::overview();
            overview.daemon.unix_ms += second * 1_000;
            overview.daemon.traffic.milli_rps += second * 10_000;
            for (i, row) in (0..).zip(&mut overview.services) {
                let traffic = &mut row.traffic;
                traffic.milli_rps += traffic.milli_rps * ((second * 7 + i) % 11) / 100;
                traffic.in_flight += (second + i) % 3;
            }
            stage.pass(1_000);
            stage.overview(overview);
            painter.paint(&stage.model).unwrap();
            let lengths = counting.lengths();
            assert!(lengths.len() <= 1, "{lengths:?}");
            written += lengths.iter().sum::<usize>();
        }
        let per_second = written / 60;
        println!("{width}x{height}: {per_second} bytes a second");
        assert!(per_second <= limit, "{width}x{height}: {per_second}");
    }
}

#[test]
fn a_copy_goes_with_the_next_frame_in_one_write() {
    let (mut stage, mut painter, counting) = stage(80, 24);
    painter.paint(&stage.model).unwrap();
    counting.take();
    stage.press("y");
    painter.send_ahead(&stage.model.clipboard.sequence("api"));
    painter.paint(&stage.model).unwrap();
    let writes = counting.take();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].starts_with(b"\x1b]52;c;YXBp\x07"));
}

#[test]
fn the_clock_alone_is_a_few_bytes() {
    let (mut stage, mut painter, counting) = stage(120, 40);
    painter.paint(&stage.model).unwrap();
    counting.take();
    let mut overview = world::overview();
    overview.daemon.unix_ms += 1_000;
    stage.overview(overview);
    painter.paint(&stage.model).unwrap();
    let written: usize = counting.lengths().iter().sum();
    assert!(written <= 60, "{written}");
}
