//! The pictures of the screens in `docs/pictures` are what the snapshots of the screens show, and the
//! recording beside them can be played.
//! `UPDATE_PICTURES=1 cargo test -p smoothtool --test pictures` draws them anew.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without, it may insist on")]

mod grid;
mod recording;
mod svg;

use std::fs;
use std::path::{Path, PathBuf};

use grid::Grid;

/// A picture: its name, the snapshot it is of, and which size of that.
type Picture = (&'static str, &'static str, &'static str);

const PICTURES: [Picture; 10] = [
    ("overview", "overview_unicode", "120x40"),
    ("service", "service_unicode", "120x40"),
    ("confirm_restart", "confirm_restart_unicode", "80x24"),
    ("confirm_stop", "confirm_stop_unicode", "80x24"),
    ("disconnected", "overview_stale", "80x24"),
    ("logs", "logs_unicode", "80x24"),
    ("history", "history_unicode", "80x24"),
    ("receipt", "receipt_unicode", "80x24"),
    ("help", "help_unicode", "80x24"),
    ("narrow", "service_unicode", "40x12"),
];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn drawn((name, snapshot, size): Picture) -> String {
    let file = folder("tests/console/snapshots").join(format!("{snapshot}.snap"));
    let text = fs::read_to_string(&file).unwrap();
    let grid = Grid::read(&text, size).unwrap_or_else(|| panic!("no {size} in {file:?}"));
    svg::draw(&grid, &format!("smoothtool tui: {}", name.replace('_', " ")))
}

#[test]
fn the_pictures_are_what_the_snapshots_show() {
    let update = std::env::var_os("UPDATE_PICTURES").is_some();
    for picture in PICTURES {
        let file = folder("../../docs/pictures").join(format!("{}.svg", picture.0));
        let drawn = drawn(picture);
        if update {
            fs::write(&file, &drawn).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == drawn, "{} is stale: draw it anew with UPDATE_PICTURES=1", file.display());
    }
}

#[test]
fn there_is_no_picture_that_nobody_draws() {
    for entry in fs::read_dir(folder("../../docs/pictures")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(PICTURES.iter().any(|picture| picture.0 == name), "{}", file.display());
    }
}
