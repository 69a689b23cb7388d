//! Files of a configuration: whatever they hold, there is a verdict, bounded and harmless to a
//! terminal, that neither a byte order mark nor the line ends of another system change; and what is
//! taken differs in nothing from itself.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use smoothserve::config::{Changes, Colour, changes, check, load};
use tempfile::TempDir;

/// Problems are shown up to some, each with its line.
const LONGEST_VERDICT: usize = 256 * 1024;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::Builder::new().tempdir_in("/dev/shm").expect("a folder");
    fs::create_dir(folder.path().join("services")).expect("a folder");
    folder
});

fn write(main: &[u8], service: &[u8]) {
    fs::write(FOLDER.path().join("smoothserve.yaml"), main).expect("a file");
    fs::write(FOLDER.path().join("services/shop.yaml"), service).expect("a file");
}

fn verdict(main: &Path) -> Result<String, String> {
    let verdict = check(main, Colour::Never);
    let (Ok(text) | Err(text)) = &verdict;
    assert!(!text.is_empty() && text.len() <= LONGEST_VERDICT, "{} bytes", text.len());
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(steers), "{text:?}");
    verdict
}

/// As an editor of another system would save it; none: it would be another text.
fn saved_elsewhere(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    let is_plain = !text.contains('\r') && !text.starts_with('\u{feff}');
    is_plain.then(|| format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes())
}

fuzz_target!(|data: &[u8]| {
    let file = FOLDER.path().join("smoothserve.yaml");
    let border = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (main, service) = data.split_at(border);
    let main = [b"SubConfigDir: services\nProxyPort: 8085\n", main].concat();
    let service = service.get(1..).unwrap_or_default();
    write(&main, service);
    let first = verdict(&file);
    if let (Ok(one), Ok(other)) = (load(&file), load(&file)) {
        let unchanged = one.services.len() as u32;
        assert_eq!(changes(&one, &other), Changes { unchanged, ..Changes::default() });
    }
    if let (Some(main), Some(service)) = (saved_elsewhere(&main), saved_elsewhere(service)) {
        write(&main, &service);
        assert_eq!(verdict(&file), first);
    }
});
