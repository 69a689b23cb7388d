//! A folder that is edited while its services run, and what a reload makes of it.

use std::fs;

use super::*;

/// A folder with a configuration, and what runs from it.
struct Folder {
    dir: tempfile::TempDir,
}

const MAIN: &str = "CommandPort: 8000\nProxyAddr: 127.0.0.1\nProxyPort: 80\n";

impl Folder {
    fn new(services: &[(&str, &str)]) -> (Self, Config) {
        let folder = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(folder.dir.path().join("services")).unwrap();
        fs::write(folder.main(), MAIN).unwrap();
        for (name, text) in services {
            folder.write(name, text);
        }
        let running = load::load(&folder.main()).unwrap_or_else(|errors| panic!("{errors}"));
        (folder, running)
    }

    fn main(&self) -> PathBuf {
        self.dir.path().join("smoothserve.yaml")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("services").join(name).with_extension("yaml")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    /// What a reload finds, with the names of the files that it rejects.
    fn reload(&self, running: &Config) -> (Reloaded, Vec<String>) {
        let reloaded = reload(&self.main(), running).unwrap_or_else(|errors| panic!("{errors}"));
        let stem = |file: &Path| file.file_stem().unwrap().to_string_lossy().into_owned();
        let rejected = reloaded.rejected.iter().map(|rejected| stem(&rejected.file)).collect();
        (reloaded, rejected)
    }

    /// A message with the folder cut out of its paths.
    fn told(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

/// The keys that every service needs, and `more`.
fn service(name: &str, first_port: u16, more: &str) -> String {
    format!(
        "name: {name}\nserver_name: {name}.example\nstart_instance_port: {first_port}\n\
         executable_path: /bin/true\n{more}"
    )
}

fn names(config: &Config) -> Vec<&str> {
    config.services.iter().map(|service| service.name.as_str()).collect()
}

fn of<'a>(config: &'a Config, name: &str) -> &'a Arc<ServiceConfig> {
    config.services.iter().find(|service| service.name.as_str() == name).unwrap()
}

#[test]
fn what_is_sound_counts_and_what_stays_is_the_same() {
    let (folder, running) = Folder::new(&[
        ("a", &service("a", 9000, "")),
        ("b", &service("b", 9100, "")),
        ("c", &service("c", 9200, "")),
    ]);
    folder.write("a", &service("a", 9000, "instance_count: 3\n"));
    folder.remove("b");
    folder.write("d", &service("d", 9300, ""));
    let (reloaded, rejected) = folder.reload(&running);
    assert!(rejected.is_empty());
    assert_eq!(names(&reloaded.config), ["a", "c", "d"]);
    assert_eq!(of(&reloaded.config, "a").instances.get(), 3);
    assert!(Arc::ptr_eq(of(&reloaded.config, "c"), of(&running, "c")));
}

#[test]
fn a_broken_file_leaves_its_service_as_it_was_and_a_new_one_out() {
    let (folder, running) =
        Folder::new(&[("a", &service("a", 9000, "")), ("b", &service("b", 9100, ""))]);
    folder.write("a", &service("a", 9000, "instance_cuont: 3\n"));
    folder.write("b", &service("b", 9100, "instance_count: 2\n"));
    folder.write("new", "name: [\n");
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["a", "new"]);
    assert_eq!(names(&reloaded.config), ["a", "b"]);
    assert!(Arc::ptr_eq(of(&reloaded.config, "a"), of(&running, "a")));
    assert_eq!(of(&reloaded.config, "b").instances.get(), 2);
    let [a, new] = &reloaded.rejected[..] else { panic!("two files") };
    assert_eq!(a.service, Some(of(&running, "a").name.clone()));
    assert_eq!(new.service, None);
    let expected = "\
error: unknown key `instance_cuont`
 --> services/a.yaml:5:1
  |
5 | instance_cuont: 3
  | ^^^^^^^^^^^^^^ did you mean `instance_count`?";
    assert_eq!(folder.told(&a.rendered), expected);
}

#[test]
fn in_a_clash_the_file_that_changed_gives_way() {
    let (folder, running) =
        Folder::new(&[("a", &service("a", 9000, "")), ("b", &service("b", 9100, ""))]);
    folder.write("a", &service("a", 9099, "instance_count: 2\n"));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["a"]);
    assert!(Arc::ptr_eq(of(&reloaded.config, "a"), of(&running, "a")));
    assert!(Arc::ptr_eq(of(&reloaded.config, "b"), of(&running, "b")));
    let said = folder.told(&reloaded.rejected[0].rendered);
    assert!(said.contains(" --> services/a.yaml:3:22"), "{said}");
}

#[test]
fn a_clash_that_would_be_told_of_the_steady_one_is_told_of_the_other() {
    let (folder, running) =
        Folder::new(&[("a", &service("a", 9000, "")), ("b", &service("b", 9100, ""))]);
    folder.write("b", &service("b", 9100, "port: 9000\n"));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["b"]);
    let said = folder.told(&reloaded.rejected[0].rendered);
    let place = "would get port 9000, where `b` listens\n --> services/b.yaml:5:7\n";
    assert!(said.contains(place), "{said}");
}

#[test]
fn the_former_words_of_a_broken_file_are_named_without_being_shown() {
    let (folder, running) = Folder::new(&[("a", &service("a", 9000, ""))]);
    folder.write("a", "name: [\n");
    folder.write("b", &service("b", 9000, ""));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!((rejected, names(&reloaded.config)), (vec!["a".into(), "b".into()], vec!["a"]));
    let expected = "\
error: instances of `a` and `b` would share port 9000
 --> services/b.yaml:3:22
  |
3 | start_instance_port: 9000
  |                      ^^^^ instances of `b` have port 9000
  |
  = note: services/a.yaml counts as it was before: instances of `a` have port 9000";
    assert_eq!(folder.told(&reloaded.rejected[1].rendered), expected);
}

#[test]
fn what_took_the_place_of_a_rejected_change_gives_way_in_its_turn() {
    let (folder, running) =
        Folder::new(&[("a", &service("a", 9000, "")), ("b", &service("b", 9100, ""))]);
    // B moves to where A was; A's new place does not exist, so A stays.
    folder.write("a", &service("a", 9999, "no_such_key: 1\n"));
    folder.write("b", &service("b", 9000, ""));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["a", "b"]);
    assert_eq!(reloaded.config.services, running.services);
}

#[test]
fn two_services_may_change_places() {
    let (folder, running) =
        Folder::new(&[("a", &service("a", 9000, "")), ("b", &service("b", 9100, ""))]);
    folder.write("a", &service("a", 9100, ""));
    folder.write("b", &service("b", 9000, ""));
    let (reloaded, rejected) = folder.reload(&running);
    assert!(rejected.is_empty());
    assert_eq!(of(&reloaded.config, "a").first_port, 9100);
}

#[test]
fn one_that_lost_takes_nobody_else_with_it() {
    let (folder, running) = Folder::new(&[("a", &service("a", 9000, ""))]);
    // The copy clashes with both; the third is sound as soon as the copy is out.
    folder.write("b", &service("a", 9010, ""));
    folder.write("c", &service("c", 9010, ""));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["b"]);
    assert_eq!(names(&reloaded.config), ["a", "c"]);
    let said = &reloaded.rejected[0].rendered;
    assert!(said.contains("two services have the name `a`"), "{said}");
    assert!(said.contains("instances of `a` and `c` would share port 9010"), "{said}");
}

#[test]
fn a_kept_service_stays_the_default_that_it_was() {
    let (folder, running) = Folder::new(&[("a", &service("a", 9000, ""))]);
    assert!(running.services[0].is_default, "alone on its port");
    folder.write("a", "name: [\n");
    folder.write("b", &service("b", 9100, ""));
    folder.write("c", &service("c", 9200, "default: true\n"));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["a", "c"]);
    let defaults: Vec<_> = reloaded.config.services.iter().map(|s| s.is_default).collect();
    assert_eq!((names(&reloaded.config), defaults), (vec!["a", "b"], vec![true, false]));
}

#[test]
fn a_new_mark_is_a_change() {
    let (folder, running) = Folder::new(&[
        ("a", &service("a", 9000, "default: true\n")),
        ("b", &service("b", 9100, "")),
    ]);
    folder.write("b", &service("b", 9100, "default: true\n"));
    let (reloaded, rejected) = folder.reload(&running);
    assert_eq!(rejected, ["b"]);
    assert_eq!(reloaded.config.services, running.services);
}

#[test]
fn a_broken_main_file_changes_nothing() {
    let (folder, running) = Folder::new(&[("a", &service("a", 9000, ""))]);
    folder.write("a", "name: [\n");
    fs::write(folder.main(), "CommandPort: 8000\nProxiPort: 80\n").unwrap();
    let errors = reload(&folder.main(), &running).unwrap_err();
    let files: Vec<_> = errors.problems().iter().map(Problem::file).collect();
    assert_eq!(files, [folder.main(), folder.file("a")]);
    fs::remove_file(folder.main()).unwrap();
    let errors = reload(&folder.main(), &running).unwrap_err().to_string();
    assert!(errors.contains("it does not exist"), "{errors}");
}

#[test]
fn a_folder_that_is_gone_stops_no_service() {
    let (folder, running) = Folder::new(&[("a", &service("a", 9000, ""))]);
    fs::remove_dir_all(folder.dir.path().join("services")).unwrap();
    let errors = reload(&folder.main(), &running).unwrap_err().to_string();
    assert!(errors.contains("the folder of services cannot be read"), "{errors}");
}

#[test]
fn a_main_file_that_clashes_with_what_stays_changes_nothing() {
    let (folder, running) =
        Folder::new(&[("a", &service("a", 9000, "")), ("b", &service("b", 9100, ""))]);
    let main = MAIN.replace("8000", "9000");
    fs::write(folder.main(), &main).unwrap();
    let errors = reload(&folder.main(), &running).unwrap_err();
    assert_eq!(errors.problems()[0].file(), folder.main());
    // Nor may it clash with what its broken file said before.
    folder.write("a", "name: [\n");
    let errors = reload(&folder.main(), &running).unwrap_err();
    let expected = "\
error: an instance would get port 9000, which is the command port
 --> smoothserve.yaml:1:14
  |
1 | CommandPort: 9000
  |              ^^^^ `CommandPort` is set here
  |
  = note: services/a.yaml counts as it was before: its instances have port 9000";
    assert_eq!(folder.told(&errors.to_string()).split("\n\n").next(), Some(expected));
    // A service that moves out of its way is no obstacle.
    folder.write("a", &service("a", 9200, ""));
    let (reloaded, rejected) = folder.reload(&running);
    assert!(rejected.is_empty());
    assert_eq!(reloaded.config.command.port(), 9000);
}
