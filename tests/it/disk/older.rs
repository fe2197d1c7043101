//! A file or a log of another day, another name of the file, and a file that is moved away.

use super::*;

/// A program that was killed after three claims, its files put aside after the first; gives the
/// folder, the database and the folder of what was put aside.
async fn killed(dir: &Path) -> (PathBuf, PathBuf) {
    fs::write(dir.join("config.toml"), CONFIG).expect("written");
    let (database, aside) = (dir.join("x.db"), dir.join("aside"));
    fs::create_dir(&aside).expect("made");
    let mut running = Running::start(dir, &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    running.claim().await.expect("taken");
    for name in ["x.db", "x.db-wal"] {
        fs::copy(dir.join(name), aside.join(name)).expect("copied");
    }
    running.claim().await.expect("taken");
    running.claim().await.expect("taken");
    running.signal("-KILL");
    (database, aside)
}

async fn held(running: &Running) -> String {
    let sale = Browser::new().get(&format!("{}/api/sales/1", running.base)).await.text;
    let sale: serde_json::Value = serde_json::from_str(&sale).expect("JSON");
    sale["held"].to_string()
}

/// Every verb that opens it says so, and leaves every byte as it was.
fn is_refused(dir: &Path, database: &Path, words: &str) {
    let all = || ["x.db", "x.db-wal"].map(|name| fs::read(dir.join(name)).ok());
    let before = all();
    for verb in ["run", "sales", "check"] {
        let mut command = livetill(dir, database, &[verb]);
        let out = command.stdin(Stdio::null()).output().expect("runs");
        let said = format!("{out:?}");
        assert_eq!(out.status.code(), Some(1), "{verb}: {said}");
        assert!(said.contains(words) && said.contains("x.db-wal"), "{verb}: {said}");
        assert!(all() == before, "{verb} changed the files");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_damaged_or_replaced_is_refused_and_works_when_it_is_put_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (database, aside) = killed(dir.path()).await;
    let log = dir.path().join("x.db-wal");
    let whole = fs::read(&log).expect("read");
    let older = fs::read(aside.join("x.db-wal")).expect("read");
    // In what the second claim wrote.
    let mut flipped = whole.clone();
    flipped[older.len() + 2000] ^= 1;
    for (what, bytes) in
        [("cut", &whole[..whole.len() / 2]), ("flipped", &flipped), ("old", &older)]
    {
        fs::write(&log, bytes).expect(what);
        is_refused(dir.path(), &database, "is not what was written last");
    }
    fs::write(&log, &whole).expect("put back");
    let again = Running::start(dir.path(), &database);
    assert_eq!(held(&again).await, "3");
}

#[tokio::test]
async fn a_log_that_comes_back_after_a_polite_end_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (database, aside) = killed(dir.path()).await;
    let mut again = Running::start(dir.path(), &database);
    again.signal("-TERM");
    assert!(!fs::metadata(dir.path().join("x.db-wal")).is_ok_and(|meta| meta.len() > 0));
    fs::copy(aside.join("x.db-wal"), dir.path().join("x.db-wal")).expect("copied");
    is_refused(dir.path(), &database, "ended with everything in the one file");
    fs::remove_file(dir.path().join("x.db-wal")).expect("removed");
    assert_eq!(held(&Running::start(dir.path(), &database)).await, "3");
}

#[tokio::test]
async fn a_backup_that_is_put_back_as_the_guide_says_is_taken() {
    let dir = tempfile::tempdir().expect("a folder");
    let (database, aside) = killed(dir.path()).await;
    let backup = aside.join("x.db");
    let mut db = raw(&backup).await;
    db.execute("pragma wal_checkpoint(truncate)").await.expect("whole");
    db.close().await.expect("closes");
    for end in ["-wal", "-shm"] {
        // There may be none.
        let _ = fs::remove_file(dir.path().join(format!("x.db{end}")));
    }
    fs::copy(&backup, &database).expect("copied");
    assert_eq!(held(&Running::start(dir.path(), &database)).await, "1");
}

#[tokio::test]
async fn what_a_tool_left_in_a_log_after_a_polite_end_is_taken() {
    let dir = tempfile::tempdir().expect("a folder");
    let (database, _) = killed(dir.path()).await;
    let mut again = Running::start(dir.path(), &database);
    again.signal("-TERM");
    // As a tool that loads codes, killed before it closed the file.
    let beside = open(&url(&database), Access::Beside).await.expect("opens");
    beside.hear(seen("x"), ManualClock::new().now()).await.expect("writes");
    let (log, kept) = (dir.path().join("x.db-wal"), dir.path().join("kept"));
    fs::copy(&log, &kept).expect("there is one");
    beside.close().await;
    drop(beside);
    fs::copy(&kept, &log).expect("put back");
    assert_eq!(held(&Running::start(dir.path(), &database)).await, "3");
}

#[cfg(unix)]
#[tokio::test]
async fn one_file_under_two_names_has_one_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.db");
    let store = opened(&path).await;
    let (link, hard) = (dir.path().join("link.db"), dir.path().join("hard.db"));
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    fs::hard_link(&path, &hard).expect("linked");
    for name in [&link, &hard] {
        let error = open(&url(name), Access::Write).await.expect_err("in use");
        assert!(matches!(error, OpenError::Busy(_)), "{error}");
    }
    // Whoever removes the lock file opens no door.
    fs::remove_file(dir.path().join("x.db-lock")).expect("removed");
    let error = open(&url(&path), Access::Write).await.expect_err("in use");
    assert!(matches!(error, OpenError::Busy(_)), "{error}");
    store.close().await;
    drop(store);
    // Through a link everything is kept beside the file itself.
    drop(opened(&link).await);
    assert!(dir.path().join("x.db-lock").exists() && !dir.path().join("link.db-lock").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_moved_away_is_not_written_until_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("config.toml"), CONFIG).expect("written");
    let (database, away) = (dir.path().join("x.db"), dir.path().join("away.db"));
    let mut running = Running::start(dir.path(), &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    fs::rename(&database, &away).expect("moved");
    assert_eq!(running.claim().await, None, "nothing is promised");
    eventually("it says that it is not ready", async || running.ready().await == 503).await;
    fs::rename(&away, &database).expect("put back");
    eventually("it is ready again", async || running.ready().await == 200).await;
    running.claim().await.expect("taken");
}

/// A program with one claim in its log.
#[cfg(unix)]
async fn selling(dir: &Path) -> (Running, PathBuf) {
    fs::write(dir.join("config.toml"), CONFIG).expect("written");
    let database = dir.join("x.db");
    let mut running = Running::start(dir, &database);
    running.types("!sale start mug 2h");
    running.until("SALE OPEN");
    running.claim().await.expect("taken");
    (running, database)
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_that_is_removed_under_a_running_program_loses_nothing() {
    for end in ["-KILL", "-TERM"] {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut running, database) = selling(dir.path()).await;
        fs::remove_file(dir.path().join("x.db-wal")).expect("removed");
        assert_eq!(running.claim().await, None, "nothing is promised");
        assert_eq!(running.ready().await, 503);
        running.until("x.db-wal was removed while livetill runs");
        running.signal(end);
        assert_eq!(held(&Running::start(dir.path(), &database)).await, "1", "{end}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_that_is_cut_or_replaced_under_a_running_program_is_never_folded_into_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut running, database) = selling(dir.path()).await;
    let log = dir.path().join("x.db-wal");
    let older = fs::read(&log).expect("read");
    running.claim().await.expect("taken");
    eventually("nothing is left to write", async || running.at_rest().await).await;
    let file = fs::read(&database).expect("read");
    let whole = fs::read(&log).expect("read");
    for bytes in [&whole[..0], &older, &whole[..whole.len() - 1]] {
        // In place, as `cp` does.
        fs::write(&log, bytes).expect("written");
        assert_eq!(running.claim().await, None, "{}: nothing is promised", bytes.len());
        assert_eq!(running.ready().await, 503);
        fs::write(&log, &whole).expect("put back");
        eventually("it is ready again", async || running.ready().await == 200).await;
    }
    fs::write(&log, &older).expect("written");
    running.signal("-TERM");
    assert_eq!(fs::read(&log).expect("read"), older, "it is left as it is");
    assert_eq!(fs::read(&database).expect("read"), file);
    fs::write(&log, &whole).expect("put back");
    assert_eq!(held(&Running::start(dir.path(), &database)).await, "2");
}

#[tokio::test]
async fn a_log_beside_an_empty_file_or_none_is_not_touched() {
    let dir = tempfile::tempdir().expect("a folder");
    let (database, _) = killed(dir.path()).await;
    let (file, log) = (fs::read(&database).expect("read"), dir.path().join("x.db-wal"));
    let whole = fs::read(&log).expect("read");
    fs::write(&database, "").expect("emptied");
    is_refused(dir.path(), &database, "is empty or not there");
    fs::remove_file(&database).expect("removed");
    is_refused(dir.path(), &database, "is empty or not there");
    assert_eq!(fs::read(&log).expect("still there"), whole);
    fs::write(&database, file).expect("put back");
    assert_eq!(held(&Running::start(dir.path(), &database)).await, "3");
}
