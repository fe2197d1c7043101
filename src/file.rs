//! Files that are replaced whole: either the old one is there or the new one, on disk before the
//! call returns.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone (mode 0600; elsewhere than on Unix what the folder gives).
    Owner,
    /// Whoever the system's own rules let.
    Anybody,
}

/// Puts `text` in the file's place.
///
/// # Errors
/// If the system says no; the old file is still there then.
pub fn replace(path: &Path, text: &[u8], readers: Readers) -> io::Result<()> {
    let beside = beside(path);
    let mut file = create(&beside, readers)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // A folder can be opened, and its names be forced to disk, on Unix only.
    #[cfg(unix)]
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Opens a file for writing as it is; one that is new can be read by its owner alone.
///
/// # Errors
/// If the system says no.
pub fn open_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    for_owner(&mut options);
    options.open(path)
}

/// Takes a file that anybody can read back to its owner; one that is open to a group by intent
/// stays so, and one that is not there is fine.
///
/// # Errors
/// If the system says no.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o007 != 0 => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

/// A file that is made with these options is its owner's alone.
fn for_owner(options: &mut fs::OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// Whether [`replace`] could work, without doing anything.
///
/// # Errors
/// If the system says no.
pub fn can_replace(path: &Path) -> io::Result<()> {
    let beside = beside(path);
    create(&beside, Readers::Owner)?;
    fs::remove_file(beside)
}

/// Whether others than its owner can read it; never, where the system has no file modes.
pub fn is_open(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn create(path: &Path, readers: Readers) -> io::Result<fs::File> {
    // One left behind by a crash may have been anybody's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    if readers == Readers::Owner {
        for_owner(&mut options);
    }
    options.open(path)
}
