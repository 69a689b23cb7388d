//! A screen out of a snapshot: its characters, and one letter of style for each.

/// Rows of cells.
pub(crate) struct Grid {
    pub(crate) width: usize,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One character and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) character: char,
    /// As in the snapshots; a blank is plain.
    pub(crate) style: char,
}

impl Grid {
    /// The screen of this size (`80x24`) in the text of a snapshot; none: it is not in it.
    pub(crate) fn read(snapshot: &str, size: &str) -> Option<Self> {
        let (width, height) = size.split_once('x')?;
        let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
        let mut lines = snapshot.lines().skip_while(|line| *line != size).skip(1);
        let texts: Vec<&str> = lines.by_ref().take(height).collect();
        let ruler = lines.next()?;
        let is_ruler = ruler.len() == width && ruler.chars().all(|c| c == '=');
        if texts.len() < height || !is_ruler {
            return None;
        }
        // The last of them may have been cut off as blank.
        let styles = lines.chain(std::iter::repeat(""));
        let rows = texts.into_iter().zip(styles).map(|(text, style)| cells(width, text, style));
        Some(Self { width, rows: rows.collect() })
    }
}

fn cells(width: usize, text: &str, styles: &str) -> Vec<Cell> {
    let blanks = || std::iter::repeat(' ');
    let characters = text.chars().chain(blanks());
    let styles = styles.chars().chain(blanks());
    let cells = characters.zip(styles).map(|(character, style)| Cell { character, style });
    cells.take(width).collect()
}

#[test]
fn a_screen_is_found_by_its_size() {
    let snapshot = "---\nsource: x\n---\n4x2\nab\n c\n====\nR\n d\n\n3x1\nxyz\n===\n\n";
    let grid = Grid::read(snapshot, "4x2").unwrap();
    let text = |row: &[Cell]| row.iter().map(|cell| cell.character).collect::<String>();
    assert_eq!(grid.rows.iter().map(|row| text(row)).collect::<Vec<_>>(), ["ab  ", " c  "]);
    assert_eq!(grid.rows[0][0], Cell { character: 'a', style: 'R' });
    assert_eq!(grid.rows[1][1], Cell { character: 'c', style: 'd' });
    assert_eq!(Grid::read(snapshot, "3x1").unwrap().rows.len(), 1);
    assert!(Grid::read(snapshot, "5x2").is_none());
    assert!(Grid::read(snapshot, "3x4").is_none());
}
