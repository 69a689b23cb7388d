//! The real programs under test, built if they are missing or older than their sources.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

use anyhow::{Context, bail};

/// A program of this workspace.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// smoothserve.
    Daemon,
    /// smoothtool.
    Tool,
    /// The web service behind the daemon.
    Backend,
    /// The smallest one.
    Tiny,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Daemon => "smoothserve",
            Self::Tool => "smoothtool",
            Self::Backend => "fixture-backend",
            Self::Tiny => "tiny-backend",
        }
    }

    /// The folders it is built from, as far as cargo does not see to it that it is fresh: of its
    /// own accord it builds the programs of this package only.
    const fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Daemon => &["crates/daemon/src", "crates/protocol/src"],
            Self::Tool => &["crates/tui/src", "crates/protocol/src"],
            Self::Backend | Self::Tiny => &[],
        }
    }
}

/// The path of a program of this workspace, of the same profile as the running test.
///
/// # Errors
/// When it has to be built and cannot be.
pub fn path(program: Program) -> anyhow::Result<PathBuf> {
    // One test builds, the others wait for it.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    let folder = profile_folder()?;
    let path = folder.join(program.name());
    if !is_fresh(program, &path)? {
        build(&folder)?;
    }
    if !path.exists() {
        bail!("{} was not built", path.display());
    }
    Ok(path)
}

/// A folder for what a test writes: on the file system of the programs, so that a link to one costs
/// nothing.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> anyhow::Result<PathBuf> {
    let profile = profile_folder()?;
    let scratch = profile.parent().context("a profile lies in a target folder")?.join("tmp");
    fs::create_dir_all(&scratch)?;
    Ok(scratch)
}

/// `target/debug` or `target/release`: where the running test lies, in `deps`.
fn profile_folder() -> anyhow::Result<PathBuf> {
    let test = env::current_exe().context("could not find the running test")?;
    let folder = test.ancestors().find(|folder| folder.join("deps").is_dir());
    Ok(folder.context("the running test lies in no target folder")?.to_owned())
}

/// Without this, `cargo test -p smoothserve-tests` would test yesterday's daemon.
fn is_fresh(program: Program, path: &Path) -> anyhow::Result<bool> {
    let Ok(metadata) = path.metadata() else { return Ok(false) };
    let built = metadata.modified()?;
    for folder in program.sources() {
        if latest_change(&workspace().join(folder))?.is_some_and(|changed| changed > built) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("the package lies in the workspace")
}

/// When the last Rust source below `folder` was changed.
fn latest_change(folder: &Path) -> anyhow::Result<Option<SystemTime>> {
    let mut latest = None;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let changed = if path.is_dir() {
            latest_change(&path)?
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            Some(path.metadata()?.modified()?)
        } else {
            None
        };
        latest = latest.max(changed);
    }
    Ok(latest)
}

fn build(folder: &Path) -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--workspace", "--bins"]).current_dir(workspace());
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let target = folder.parent().context("a profile lies in a target folder")?;
    command.arg("--target-dir").arg(target);
    let status = command.status().context("could not run cargo")?;
    if !status.success() {
        bail!("cargo could not build the programs under test: {status}");
    }
    Ok(())
}
