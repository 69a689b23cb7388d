//! Where the daemon is, and the token that commands it: flag, environment, then what the daemon's
//! own configuration says. Reads two keys of that file and leaves the rest to the daemon.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};

use super::exit::Exit;
use super::problem::Problem;
use crate::client::Target;
use crate::words::{escape, reason};

/// The name of the daemon's configuration file.
const CONFIG_FILE: &str = "smoothserve.yaml";
/// The name of the file that holds the token.
pub(crate) const TOKEN_FILE: &str = "smoothserve.token";

/// What the operator said about where the daemon is, by flag or environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// `host:port`.
    pub(crate) addr: Option<String>,
    /// The daemon's configuration file.
    pub(crate) config: Option<PathBuf>,
    /// The file that holds the token.
    pub(crate) token_file: Option<PathBuf>,
}

/// Where to look for what the operator did not say.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The folders that may hold the configuration, best first.
    pub(crate) config_folders: Vec<PathBuf>,
    /// The last folder that may hold the token.
    pub(crate) state_folder: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_this_process() -> Self {
        let executable = std::env::current_exe().ok();
        let beside = executable.as_deref().and_then(Path::parent).map(Path::to_owned);
        let folders = [Some(PathBuf::from(".")), beside, Some(PathBuf::from("/etc/smoothserve"))];
        Self {
            config_folders: folders.into_iter().flatten().collect(),
            state_folder: PathBuf::from("/var/lib/smoothserve"),
        }
    }
}

/// The part of the daemon's configuration that concerns the tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The port of the command plane, on loopback.
    pub(crate) command_port: Option<u16>,
    /// Where the daemon keeps its files.
    pub(crate) state_dir: Option<PathBuf>,
}

/// The daemon's configuration file, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it says to us.
    pub(crate) settings: Settings,
}

impl Place {
    /// The target of commands.
    ///
    /// # Errors
    /// When the configuration is needed and there is none, or it cannot be read.
    pub(crate) fn target(
        &self,
        around: &Surroundings,
        actor: String,
        read_only: bool,
    ) -> Result<Target, Problem> {
        if let (Some(addr), Some(token_file)) = (&self.addr, &self.token_file) {
            // Everything was said: a file that is in the way must not matter.
            let (addr, token_file) = (addr.clone(), token_file.clone());
            return Ok(Target { addr, token_file, actor, read_only });
        }
        let config = self.config_file(around)?;
        let addr = match &self.addr {
            Some(addr) => addr.clone(),
            None => command_addr(config.as_ref(), around)?,
        };
        let token_file =
            self.token_file.clone().unwrap_or_else(|| token_file(config.as_ref(), around));
        Ok(Target { addr, token_file, actor, read_only })
    }

    /// The daemon's configuration: the one named, else the first that exists.
    ///
    /// # Errors
    /// When it exists, or was named, and cannot be read.
    fn config_file(&self, around: &Surroundings) -> Result<Option<ConfigFile>, Problem> {
        self.config_path(around).map(|path| read(&path)).transpose()
    }

    /// Where that file is, whatever it holds.
    pub(crate) fn config_path(&self, around: &Surroundings) -> Option<PathBuf> {
        let found = || {
            let files = around.config_folders.iter().map(|folder| folder.join(CONFIG_FILE));
            files.into_iter().find(|file| file.exists())
        };
        self.config.clone().or_else(found)
    }
}

impl ConfigFile {
    /// The file at `path`; if it cannot be read, as if it said nothing.
    pub(crate) fn at(path: PathBuf) -> Self {
        read(&path).unwrap_or(Self { path, settings: Settings::default() })
    }

    /// The folder that holds the file.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }
}

fn command_addr(config: Option<&ConfigFile>, around: &Surroundings) -> Result<String, Problem> {
    let Some(config) = config else {
        let folders = around.config_folders.iter().map(|folder| folder.display().to_string());
        let folders = folders.collect::<Vec<_>>().join(", ");
        return Err(Problem::new(
            Exit::Unreachable,
            format!("no {CONFIG_FILE} says where smoothserve is"),
        )
        .detail(format!("looked in {folders}"))
        .next("smoothtool --config FILE   or --addr HOST:PORT   or SMOOTHTOOL_ADDR"));
    };
    match config.settings.command_port {
        Some(port @ 1..) => Ok(format!("{}:{port}", Ipv4Addr::LOCALHOST)),
        // 0 is any free port, and the daemon alone knows which it became.
        None | Some(0) => Err(Problem::new(
            Exit::Usage,
            format!("{}: no `CommandPort` that says where smoothserve is", config.path.display()),
        )
        .next("smoothtool --addr HOST:PORT")),
    }
}

/// The first token file that exists; else the first that might, for the message.
fn token_file(config: Option<&ConfigFile>, around: &Surroundings) -> PathBuf {
    let folder = config.map(|config| match &config.settings.state_dir {
        Some(folder) => config.folder().join(folder),
        None => config.folder().to_owned(),
    });
    let candidates: Vec<_> =
        folder.iter().chain([&around.state_folder]).map(|folder| folder.join(TOKEN_FILE)).collect();
    let found = candidates.iter().find(|file| file.exists());
    found.or(candidates.first()).cloned().unwrap_or_default()
}

fn read(path: &Path) -> Result<ConfigFile, Problem> {
    let unreadable = |why: String| {
        Problem::new(Exit::Usage, format!("could not read {}: {why}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error: io::Error| unreadable(reason(&error)))?;
    let settings = parse(&text).map_err(unreadable)?;
    Ok(ConfigFile { path: path.to_owned(), settings })
}

fn parse(text: &str) -> Result<Settings, String> {
    serde_yaml::from_str(text).map_err(|error| {
        let text = error.to_string();
        escape(text.lines().next().unwrap_or_default()).into_owned()
    })
}

/// Keys are read without regard to case, and all others are left to the daemon.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Settings;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the keys of smoothserve.yaml")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
                let mut settings = Settings::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.to_ascii_lowercase().as_str() {
                        "commandport" => settings.command_port = map.next_value()?,
                        "statedir" => settings.state_dir = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(settings)
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folders {
        root: tempfile::TempDir,
        around: Surroundings,
    }

    /// Folders `here`, `beside`, `etc` and `var`, none of which holds anything yet.
    fn folders() -> Folders {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            fs::create_dir(root.path().join(name)).unwrap();
            root.path().join(name)
        };
        let around = Surroundings {
            config_folders: ["here", "beside", "etc"].map(folder).into(),
            state_folder: folder("var"),
        };
        Folders { root, around }
    }

    impl Folders {
        fn write(&self, path: &str, text: &str) -> PathBuf {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }

        fn addr(&self, place: &Place) -> String {
            place.target(&self.around, String::new(), false).unwrap().addr
        }

        fn token(&self, place: &Place) -> String {
            let file = place.target(&self.around, String::new(), false).unwrap().token_file;
            file.strip_prefix(self.root.path()).unwrap_or(&file).display().to_string()
        }
    }

    #[test]
    fn the_nearest_word_about_the_address_counts() {
        let folders = folders();
        folders.write("etc/smoothserve.yaml", "CommandPort: 3");
        assert_eq!(folders.addr(&Place::default()), "127.0.0.1:3");
        folders.write("beside/smoothserve.yaml", "commandport: 2");
        assert_eq!(folders.addr(&Place::default()), "127.0.0.1:2");
        folders.write("here/smoothserve.yaml", "COMMANDPORT: 1");
        assert_eq!(folders.addr(&Place::default()), "127.0.0.1:1");
        let config =
            Some(folders.write("other.yaml", "ProxyPort: 80\nCommandPort: 4\nlog: {a: b}"));
        let place = Place { config, ..Place::default() };
        assert_eq!(folders.addr(&place), "127.0.0.1:4");
        let place = Place { addr: Some("10.0.0.1:5".into()), ..place };
        assert_eq!(folders.addr(&place), "10.0.0.1:5");
    }

    #[test]
    fn the_nearest_token_that_exists_counts() {
        let folders = folders();
        folders.write("here/smoothserve.yaml", "CommandPort: 1");
        let place = Place::default();
        assert_eq!(folders.token(&place), "here/smoothserve.token", "none exists");
        folders.write("var/smoothserve.token", "");
        assert_eq!(folders.token(&place), "var/smoothserve.token");
        folders.write("here/smoothserve.token", "");
        assert_eq!(folders.token(&place), "here/smoothserve.token");
        folders.write("here/smoothserve.yaml", "CommandPort: 1\nStateDir: run");
        assert_eq!(folders.token(&place), "var/smoothserve.token");
        folders.write("here/run/smoothserve.token", "");
        assert_eq!(folders.token(&place), "here/run/smoothserve.token");
        let place = Place { token_file: Some("/elsewhere".into()), ..place };
        assert_eq!(folders.token(&place), "/elsewhere");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_unless_nobody_needs_it() {
        let folders = folders();
        let target = |place: &Place| place.target(&folders.around, String::new(), false);
        assert_eq!(target(&Place::default()).unwrap_err().exit, Exit::Unreachable);
        folders.write("here/smoothserve.yaml", "CommandPort: many");
        let problem = target(&Place::default()).unwrap_err();
        assert_eq!(problem.exit, Exit::Usage);
        assert!(problem.explained.what.contains("here/smoothserve.yaml"), "{problem:?}");
        folders.write("here/smoothserve.yaml", "ProxyPort: 1");
        assert_eq!(target(&Place::default()).unwrap_err().exit, Exit::Usage);
        let place = Place {
            addr: Some("127.0.0.1:1".into()),
            token_file: Some("token".into()),
            config: Some("missing.yaml".into()),
        };
        assert!(target(&place).is_ok());
    }
}
