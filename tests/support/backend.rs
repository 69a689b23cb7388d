//! A fixture backend without a daemon in front of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::binaries::Program;
use crate::contract::RECORD;
use crate::record::Record;
use crate::{binaries, ports, wait};

/// A running fixture backend; killed when dropped.
#[derive(Debug)]
pub struct TestBackend {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The process.
    pub child: Child,
    folder: TempDir,
}

impl TestBackend {
    /// Starts one with these options, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(options: &[&str]) -> anyhow::Result<Self> {
        let backend = Self::launch(options)?;
        wait::until("the backend listens", async || TcpStream::connect(backend.addr).await.ok())
            .await;
        Ok(backend)
    }

    /// Starts one with these options, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(options: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let port = ports::take(1);
        let child = Command::new(binaries::path(Program::Backend)?)
            .arg(format!("-port={port}"))
            .args(options)
            .env(RECORD, folder.path().join("record"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("could not start the backend")?;
        Ok(Self { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), child, folder })
    }

    /// What it executed so far.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn record(&self) -> anyhow::Result<Record> {
        Record::read(&self.record_file())
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it was waited for already.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("nobody waited for it yet")
    }

    fn record_file(&self) -> PathBuf {
        self.folder.path().join("record")
    }
}
