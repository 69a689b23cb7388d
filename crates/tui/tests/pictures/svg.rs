//! A screen as SVG: every character in its own place, whatever font the reader has.

use std::fmt::Write;

use crate::grid::{Cell, Grid};

/// A cell, in hundredths of a pixel across and in pixels down.
const CELL: (usize, usize) = (843, 18);
/// Around the screen.
const MARGIN: usize = 12;
/// From the top of a cell to the line that letters stand on.
const BASE: usize = 14;

/// A dot of braille.
const DOT: usize = 2;

const HEAD: &str = "\
<style>\
text{font:14px 'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,'Liberation Mono',monospace;\
white-space:pre}\
*{fill:#d3d7de;color:#d3d7de}\
.d{fill:#868d98;color:#868d98}.b{fill:#fff;color:#fff;font-weight:bold}\
.R{fill:#ff7b72;color:#ff7b72;font-weight:bold}.G{fill:#7ee787;color:#7ee787}\
.Y{fill:#e3b341;color:#e3b341}.C{fill:#56d4dd;color:#56d4dd}.M{fill:#d2a8ff;color:#d2a8ff}\
text.v{fill:#15181e}.ground{fill:#15181e}\
.rule{stroke:currentColor;stroke-dasharray:2.6 1.615}\
</style>\n";

/// A stretch of a row that one element draws.
struct Run {
    column: usize,
    style: char,
    text: String,
    cells: usize,
}

/// Draws `grid`, whose title is read to those who cannot see it.
pub(crate) fn draw(grid: &Grid, title: &str) -> String {
    let width = pixels(grid.width * CELL.0 + 2 * MARGIN * 100);
    let height = grid.rows.len() * CELL.1 + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n{HEAD}\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" class=\"ground\"/>\n",
        escaped(title)
    );
    for (number, row) in grid.rows.iter().enumerate() {
        for run in runs(row) {
            element(&mut svg, number, &run);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn element(svg: &mut String, row: usize, run: &Run) {
    let (left, top) = (MARGIN * 100 + run.column * CELL.0, MARGIN + row * CELL.1);
    let (x, y, length) = (pixels(left), top + BASE, pixels(run.cells * CELL.0));
    let class = match run.style {
        ' ' => String::new(),
        style => format!(" class=\"{style}\""),
    };
    match run.text.chars().next() {
        Some('╌') => {
            let (class, y) = (format!("rule {}", run.style), top + CELL.1 / 2);
            let path = format!("M{x} {y}h{length}");
            writeln!(svg, "<path class=\"{}\" d=\"{path}\"/>", class.trim_end()).unwrap();
            return;
        }
        Some('\u{2800}'..='\u{28ff}') => {
            writeln!(svg, "<path{class} d=\"{}\"/>", dots(&run.text, left, top)).unwrap();
            return;
        }
        Some(_) | None => {}
    }
    if run.style == 'v' {
        let height = CELL.1;
        writeln!(svg, "<rect x=\"{x}\" y=\"{top}\" width=\"{length}\" height=\"{height}\"/>")
            .unwrap();
    }
    let text = escaped(&run.text);
    // Each keeps to its cell, whatever the width of the reader's font; words of ASCII as a whole.
    let place = if run.text.is_ascii() {
        format!("x=\"{x}\" y=\"{y}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\"")
    } else {
        let places: Vec<String> = (0..run.cells).map(|n| pixels(left + n * CELL.0)).collect();
        format!("x=\"{}\" y=\"{y}\"", places.join(" "))
    };
    writeln!(svg, "<text {place}{class}>{text}</text>").unwrap();
}

/// Braille as a path: fonts without it are common.
fn dots(text: &str, left: usize, top: usize) -> String {
    /// The column and row of each bit's dot.
    const PLACES: [(usize, usize); 8] =
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let mut path = String::new();
    for (cell, character) in text.chars().enumerate() {
        let bits = character as u32 - 0x2800;
        for (bit, (column, row)) in PLACES.iter().enumerate() {
            if bits >> bit & 1 == 1 {
                let x = left + cell * CELL.0 + 120 + column * CELL.0 / 2;
                let y = top + 2 + row * 4;
                write!(path, "M{} {y}h{DOT}v{DOT}h-{DOT}z", pixels(x)).unwrap();
            }
        }
    }
    path
}

/// The stretches of a row that look alike and are drawn alike.
fn runs(row: &[Cell]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    for (column, cell) in row.iter().enumerate() {
        let blank = cell.character == ' ' && cell.style != 'v';
        let kind = (!blank).then_some((cell.style, block(cell.character)));
        match (kind, runs.last_mut()) {
            (None, _) => {}
            (Some(_), Some(run)) if kind == last => {
                run.text.push(cell.character);
                run.cells += 1;
            }
            (Some((style, _)), _) => {
                runs.push(Run { column, style, text: cell.character.into(), cells: 1 });
            }
        }
        last = kind;
    }
    runs
}

/// Characters of one block are drawn alike.
const fn block(character: char) -> u32 {
    match character {
        '╌' => 0,
        '\u{2800}'..='\u{28ff}' => 1,
        c if c.is_ascii() => 2,
        _ => 3,
    }
}

/// Hundredths of a pixel as pixels.
fn pixels(hundredths: usize) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str, styles: &str) -> Grid {
        let size = format!("{}x1", text.chars().count());
        let ruler = "=".repeat(text.chars().count());
        Grid::read(&format!("{size}\n{text}\n{ruler}\n{styles}\n"), &size).unwrap()
    }

    #[test]
    fn what_looks_alike_is_one_element_and_what_xml_reads_is_escaped() {
        let svg = draw(&grid("a<b ▪▪ no", "       RR"), "a & b");
        let texts: Vec<&str> = svg.lines().filter(|line| line.starts_with("<text")).collect();
        assert_eq!(texts.len(), 3, "{svg}");
        assert!(texts[0].ends_with(">a&lt;b</text>"), "{svg}");
        assert!(texts[1].contains("x=\"45.72 54.15\""), "{svg}");
        assert!(texts[2].ends_with("class=\"R\">no</text>"), "{svg}");
        assert!(svg.contains("<title>a &amp; b</title>"), "{svg}");
    }

    #[test]
    fn rules_and_braille_need_no_font() {
        let svg = draw(&grid("╌╌╌ ⡀⢸", "ddd   "), "rule");
        assert!(svg.contains("<path class=\"rule d\" d=\"M12.00 21h25.29\"/>"), "{svg}");
        let dots = svg.lines().find(|line| line.starts_with("<path d=")).unwrap();
        assert_eq!(dots.matches('M').count(), 5, "{svg}");
        assert!(!svg.contains("<text"), "{svg}");
    }

    #[test]
    fn what_is_reversed_has_its_ground() {
        let svg = draw(&grid("[ no ]", "vvvvvv"), "button");
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        assert!(svg.contains(">[ no ]</text>"), "{svg}");
    }
}
