//! A database that is not there, or cannot be made: the true reason, and the same from every verb.

use std::{fs, path::Path};

use super::{CONFIG, Disk, Running, livetill};

/// What a verb says of that database.
fn says(dir: &Path, database: &Path, verb: &str) -> (Option<i32>, String) {
    let out = livetill(dir, database, &[verb]).output().expect("runs");
    let said = String::from_utf8([out.stdout, out.stderr].concat()).expect("text");
    (out.status.code(), said)
}

/// Every verb refuses with that reason.
fn refused(dir: &Path, database: &Path, reason: &str) {
    for verb in ["check", "run"] {
        let (code, said) = says(dir, database, verb);
        assert_eq!(code, Some(1), "{verb}: {said}");
        assert!(said.contains(reason), "{verb}: {said}");
    }
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("config.toml"), CONFIG).expect("written");
    dir
}

#[test]
fn a_file_that_was_removed_is_missed_until_what_knows_of_it_goes_too() {
    let dir = folder();
    let database = dir.path().join("x.db");
    let mut running = Running::start(dir.path(), &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    running.signal("-TERM");
    fs::remove_file(&database).expect("it was there");
    refused(dir.path(), &database, "x.db is gone, while");
    let (code, said) = says(dir.path(), &database, "sales");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("x.db is gone, while"), "{said}");
    assert!(!database.exists());
    fs::remove_file(dir.path().join("x.db-lock")).expect("it is there");
    let (code, said) = says(dir.path(), &database, "check");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("made at the first start"), "{said}");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing but the configuration: {left:?}");
    drop(Running::start(dir.path(), &database));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let dir = folder();
    let database = dir.path().join("sub/x.db");
    refused(dir.path(), &database, "there is no folder");
    refused(dir.path(), Path::new("sub/x.db"), "there is no folder sub for sub/x.db: make it");
    assert!(!dir.path().join("sub").exists());
}

#[test]
fn a_lock_that_cannot_be_written_is_named_as_such() {
    let dir = folder();
    let database = dir.path().join("x.db");
    // Whoever runs this may be allowed everything: what no file can be is refused to all.
    fs::create_dir(dir.path().join("x.db-lock")).expect("made");
    refused(dir.path(), &database, "x.db-lock: Is a directory");
    drop(fs::remove_dir(dir.path().join("x.db-lock")));
    drop(Running::start(dir.path(), &database));
    fs::remove_file(dir.path().join("x.db-lock")).expect("it was there");
    fs::create_dir(dir.path().join("x.db-lock")).expect("made");
    refused(dir.path(), &database, "x.db-lock: Is a directory");
}

#[test]
fn a_backup_on_a_disk_that_is_for_reading_only_is_verified_there() {
    let dir = folder();
    let database = dir.path().join("x.db");
    let mut running = Running::start(dir.path(), &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    running.signal("-TERM");
    let Some(disk) = Disk::mounted(&dir.path().join("backup"), "4m") else { return };
    let copy = disk.0.join("x.db");
    for end in ["", "-lock"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        fs::copy(name(&database), name(&copy)).expect("copied");
    }
    disk.only_for_reading();
    for (verb, wanted) in [("verify", "oversold 0"), ("sales", "Fern Mug")] {
        let (code, said) = says(dir.path(), &copy, verb);
        assert_eq!(code, Some(0), "{verb}: {said}");
        assert!(said.contains(wanted), "{verb}: {said}");
    }
    refused(dir.path(), &copy, "x.db: Read-only file system");
}
