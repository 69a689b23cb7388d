//! Every configuration that must be refused, with the real program: it says why, and starts nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use smoothserve_tests::daemon::run_to_exit;
use smoothserve_tests::setup::{Service, Setup};

/// Stands for the folder in `expected.txt`.
const FOLDER: &str = "$DIR";

fn cases() -> anyhow::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/invalid");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    cases.sort();
    Ok(cases)
}

/// How the daemon treats this case; none: as it should.
async fn complaint(case: &Path) -> anyhow::Result<Option<String>> {
    let expected = fs::read_to_string(case.join("expected.txt"))?;
    let expected = expected.replace(FOLDER, &case.display().to_string());
    let output = run_to_exit(&case.join("smoothserve.yaml")).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_refused = output.status.code() == Some(2) && said.contains(expected.trim());
    Ok((!is_refused).then(|| {
        format!("{}: {}\nexpected:\n{expected}\nfound:\n{said}", case.display(), output.status)
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invalid_configuration_is_refused_with_its_message() {
    let cases = cases().unwrap();
    assert!(cases.len() >= 10, "only {} cases", cases.len());
    let mut complaints = Vec::new();
    for case in &cases {
        complaints.extend(complaint(case).await.unwrap());
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_file_starts_nothing_at_all() {
    let setup =
        Setup::of(Service::new("good")).service(Service::new("bad").key("no_such_key", "1"));
    let folder = setup.write().unwrap();
    let output = run_to_exit(&folder.config_file()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no_such_key") && said.contains("bad.yaml"), "{said}");
    assert!(!folder.record_file().exists(), "an instance was started");
    assert!(!folder.token_file().exists(), "the command port was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_configuration_is_named() {
    let output = run_to_exit(Path::new("/nowhere/smoothserve.yaml")).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/nowhere/smoothserve.yaml"), "{said}");
}
