//! The operator's own keys, from a file in YAML. The only file of the console that names the YAML
//! library.
//!
//! A place, then a key and what it does there: `overview: {R: restart}`. What is named has the keys
//! that the file gives it and no others; nothing loses its last key.

use std::fmt;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Options, Spanned};

use super::{FIXED, Keys, Own, TAKEN};
use crate::input::Key;
use crate::keymap::{Binding, Context, bindings};
use crate::words::{escape, nearest, reason};

/// No file of keys is larger.
const LARGEST: u64 = 1 << 16;

/// Why a file of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be used", file.display())]
pub struct KeysError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong, each with its line where it has one.
    pub problems: Vec<String>,
}

/// Reads `$XDG_CONFIG_HOME/smoothtool/keys.yaml`, else `~/.config/smoothtool/keys.yaml`. Where there
/// is none, the keys are those of the table.
///
/// # Errors
/// When there is one that cannot be used, with everything that is wrong with it.
pub fn read(env: impl Fn(&str) -> Option<PathBuf>) -> Result<Keys, KeysError> {
    let stated = env("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    let home = env("HOME").filter(|home| home.is_absolute());
    let Some(folder) = stated.or_else(|| home.as_ref().map(|home| home.join(".config"))) else {
        return Ok(Keys::default());
    };
    let file = folder.join("smoothtool/keys.yaml");
    let failed = |problems| KeysError { file: file.clone(), problems };
    let text = match text_of(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Keys::default()),
        Err(error) => return Err(failed(vec![reason(&error)])),
    };
    let own = parse(&text).map_err(failed)?;
    let shown = match home.as_ref().and_then(|home| file.strip_prefix(home).ok()) {
        Some(below) => format!("~/{}", below.display()),
        None => file.display().to_string(),
    };
    Ok(Keys { own, source: Some(escape(&shown).into_owned()) })
}

fn text_of(file: &Path) -> io::Result<String> {
    let meta = fs::metadata(file)?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file of keys"));
    }
    fs::read_to_string(file)
}

/// The pairs of a map in their order, with their places.
struct Pairs<T>(Vec<(Spanned<String>, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a place with keys, such as `overview: {R: restart}`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// What `text` changes.
///
/// # Errors
/// Everything that is wrong with it, a line each.
fn parse(text: &str) -> Result<Vec<Own>, Vec<String>> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let places: Pairs<Pairs<Spanned<String>>> =
        serde_yaml::from_str_with_options(text, options()).map_err(|e| vec![not_yaml(&e)])?;
    let (mut own, mut problems) = (Vec::new(), Vec::new());
    for (place, pairs) in places.0 {
        match context(&place.value) {
            Ok(context) => in_place(context, &place, pairs.0, &mut own, &mut problems),
            Err(problem) => problems.push(at(&place, &problem)),
        }
    }
    if problems.is_empty() { Ok(own) } else { Err(problems) }
}

/// Keys that are there twice are told by us, and `y` and `no` are no truths.
fn options() -> Options {
    serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn not_yaml(error: &serde_yaml::Error) -> String {
    let line = error.location().map_or(1, |location| location.line());
    let text = error.without_snippet().to_string();
    let what = text.lines().next().unwrap_or_default();
    let what = what.split_once(" at line ").map_or(what, |(what, _)| what);
    format!("line {line}: {}; keys that are signs need quotes, such as '?': help", escape(what))
}

/// The keys of one place.
fn in_place(
    context: Context,
    place: &Spanned<String>,
    pairs: Vec<(Spanned<String>, Spanned<String>)>,
    own: &mut Vec<Own>,
    problems: &mut Vec<String>,
) {
    let mut named: Vec<Own> = Vec::new();
    for (key, name) in pairs {
        match pair(context, &key.value, &name.value, &named) {
            Ok((key, line)) => match named.iter_mut().find(|own| own.action == line.action) {
                Some(own) => own.keys.push(key),
                None => {
                    let keys = vec![key];
                    named.push(Own { context, action: line.action, keys, named: true });
                }
            },
            Err(problem) => problems.push(at(&key, &problem)),
        }
    }
    let given: Vec<Key> = named.iter().flat_map(|own| own.keys.clone()).collect();
    for own in &mut named {
        // What is fixed stays with what it does.
        let line = bindings(context).find(|line| line.action == own.action);
        let fixed = line.into_iter().flat_map(|line| line.keys).filter(|key| FIXED.contains(key));
        own.keys.extend(fixed);
    }
    let lost = bindings(context).filter(|line| named.iter().all(|own| own.action != line.action));
    for line in lost.filter(|line| line.keys.iter().any(|key| given.contains(key))) {
        let keys: Vec<Key> = line.keys.iter().copied().filter(|key| !given.contains(key)).collect();
        if keys.is_empty() {
            let (key, name) = (line.shown_keys(), line.action.name());
            let what = format!("`{key}` is `{name}` in {}: give that another key", context.name());
            problems.push(at(place, &what));
        }
        own.push(Own { context, action: line.action, keys, named: false });
    }
    own.append(&mut named);
}

/// A key, and the line of the table that it is for.
fn pair(
    context: Context,
    key: &str,
    name: &str,
    before: &[Own],
) -> Result<(Key, &'static Binding<'static>), String> {
    let parsed: Key = key.parse().map_err(|_| format!("`{}` is no key", escape(key)))?;
    if TAKEN.contains(&parsed) {
        return Err(format!("`{parsed}` cannot be used: terminals take it for something else"));
    }
    if FIXED.contains(&parsed) {
        return Err(format!("`{parsed}` cannot be changed: it is the way in and out"));
    }
    if before.iter().any(|own| own.keys.contains(&parsed)) {
        return Err(format!("`{parsed}` is there twice"));
    }
    let line = bindings(context).find(|line| line.action.name() == name);
    line.map(|line| (parsed, line)).ok_or_else(|| unknown_action(context, name))
}

fn unknown_action(context: Context, name: &str) -> String {
    let known: Vec<&str> = bindings(context).map(|line| line.action.name()).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known: {}", known.join(", ")),
    };
    format!("`{}` is nothing that {} can do; {hint}", escape(name), context.name())
}

fn context(name: &str) -> Result<Context, String> {
    let places = || Context::ALL.into_iter().filter(|context| context.takes_own_keys());
    places().find(|context| context.name() == name).ok_or_else(|| {
        let known: Vec<&str> = places().map(Context::name).collect();
        format!(
            "`{}` is no place that keys can be given to; there are {}",
            escape(name),
            known.join(", ")
        )
    })
}

fn at(word: &Spanned<String>, what: &str) -> String {
    format!("line {}: {what}", word.referenced.line())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::keymap::Context::{Events, Overview};

    fn keys(text: &str) -> Keys {
        Keys { own: parse(text).unwrap(), source: None }
    }

    #[test]
    fn what_is_named_has_the_keys_it_is_given() {
        let keys =
            keys("overview: {R: restart, 'r': try-now}\nevents:\n  ^e: overview\n  '5': history\n");
        for (context, key, action) in [
            (Overview, Key::Char('R'), Some(Action::Restart)),
            (Overview, Key::Char('r'), Some(Action::RetryNow)),
            (Overview, Key::Char('x'), Some(Action::Stop)),
            (Events, Key::Ctrl('e'), Some(Action::ShowOverview)),
            (Events, Key::Char('R'), Some(Action::RetryNow)),
        ] {
            assert_eq!(keys.find(context, key), action, "{context:?} {key}");
        }
        assert_eq!(keys.origin(), "keys built in");
    }

    #[test]
    fn a_file_without_keys_changes_nothing() {
        for text in ["", "\n# nothing yet\n"] {
            assert_eq!(parse(text), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_with_its_line() {
        let text = "\
overwiew: {R: restart}
question: {j: confirm}
overview:
  R: restrat
  ^s: restart
  esc: restart
  ctrl-r: restart
  j: restart
  'j': stop
  '?': do-what-i-mean
events:
  R: overview
";
        insta::assert_snapshot!(parse(text).unwrap_err().join("\n"));
    }

    #[test]
    fn a_text_that_is_no_yaml_is_no_panic() {
        for text in
            ["overview", "- a", "overview: [R]", "?: help", "overview: {R: {a: b}}", "{", "&a [*a]"]
        {
            let problems = parse(text).unwrap_err();
            assert!(problems[0].starts_with("line "), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn the_file_is_where_the_environment_says() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        let env = |name: &str| (name == "HOME").then(|| home.clone());
        assert_eq!(read(env).unwrap().origin(), "keys built in");
        let file = home.join(".config/smoothtool/keys.yaml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "overview: {b: restart}").unwrap();
        let origin = "keys from ~/.config/smoothtool/keys.yaml (1 changed)";
        assert_eq!(read(env).unwrap().origin(), origin);
        fs::write(&file, "overview: {b: reboot}").unwrap();
        assert_eq!(read(env).unwrap_err().file, file);
    }
}
