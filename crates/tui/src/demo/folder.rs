//! The demo's folder: the daemon's configuration, its service and whatever it writes.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How many instances the service has.
pub(super) const INSTANCES: u16 = 3;

/// A temporary folder that is removed with this value.
#[derive(Debug)]
pub(super) struct Folder {
    temporary: TempDir,
}

impl Folder {
    /// Makes it and writes the configuration. `program` is what the service runs.
    pub(super) fn create(program: &Path) -> io::Result<Self> {
        let parent = match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) if Path::new(&folder).is_dir() => PathBuf::from(folder),
            _ => std::env::temp_dir(),
        };
        let temporary = tempfile::Builder::new().prefix("smoothtool-demo-").tempdir_in(parent)?;
        let folder = Self { temporary };
        fs::create_dir(folder.path().join("services"))?;
        fs::write(folder.config(), MAIN)?;
        let service = service(program, free_ports(INSTANCES)?);
        fs::write(folder.path().join("services/demo.yaml"), service)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        self.temporary.path()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path().join("smoothserve.yaml")
    }

    /// What the daemon writes once it serves.
    pub(super) fn ready(&self) -> PathBuf {
        self.path().join("ready")
    }

    /// What the daemon prints.
    pub(super) fn output(&self) -> PathBuf {
        self.path().join("smoothserve.out")
    }

    /// The daemon's exit code, written when it has ended.
    pub(super) fn ended(&self) -> PathBuf {
        self.path().join("ended")
    }

    /// The token of the command port.
    pub(super) fn token(&self) -> PathBuf {
        self.path().join("smoothserve.token")
    }
}

const MAIN: &str = "\
CommandPort: 0
ProxyAddr: 127.0.0.1
SubConfigDir: ./services
StateDir: .
shutdown_timeout: 5
";

fn service(program: &Path, first_port: u16) -> String {
    // A JSON string is a YAML string, whatever the path holds.
    let program = serde_json::to_string(&program.to_string_lossy()).unwrap_or_default();
    format!(
        "name: demo\n\
         port: 0\n\
         start_instance_port: {first_port}\n\
         instance_count: {INSTANCES}\n\
         executable_path: {program}\n\
         args: [\"demo-app\", \"-port={{port}}\"]\n"
    )
}

/// The first of so many ports in a row that nobody listens on.
///
/// Another program may take one before the demo does; that is seen, and reported, when it starts.
fn free_ports(number: u16) -> io::Result<u16> {
    const TRIES: usize = 100;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    for _ in 0..TRIES {
        let first = free(0)?;
        let port = first.local_addr()?.port();
        let Some(last) = port.checked_add(number - 1) else { continue };
        if (port + 1..=last).all(|port| free(port).is_ok()) {
            return Ok(port);
        }
    }
    Err(io::Error::other(format!("no {number} free ports in a row were found")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_its_value() {
        let folder = Folder::create(Path::new("/opt/a \"b\"/smoothtool")).unwrap();
        let path = folder.path().to_owned();
        let service = fs::read_to_string(path.join("services/demo.yaml")).unwrap();
        assert!(service.contains(r#"executable_path: "/opt/a \"b\"/smoothtool""#), "{service}");
        assert!(service.contains(r#"args: ["demo-app", "-port={port}"]"#), "{service}");
        drop(folder);
        assert!(!path.exists());
    }
}
