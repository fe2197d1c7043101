//! Pictures of the pages: `LIVETILL_TEST_PICTURES=1` renews those in `docs/`, and
//! `LIVETILL_TEST_PICTURES=FOLDER` puts every page in every state there, light and dark.

use std::path::{Path, PathBuf};

/// The pictures of the README: the page's name here, and there.
const IN_DOCS: &[(&str, &str)] = &[
    ("open", "page.png"),
    ("all held", "page-all-held.png"),
    ("sold out-dark", "page-sold-out.png"),
    ("paid", "page-paid.png"),
    ("overlay card", "overlay.png"),
    ("desk", "desk.png"),
];

/// Where a page's picture is wanted, if anywhere.
pub fn wanted(name: &str) -> Option<PathBuf> {
    let folder = std::env::var("LIVETILL_TEST_PICTURES").ok().filter(|to| !to.is_empty())?;
    if folder != "1" {
        let file = format!("{}.png", name.replace(' ', "-"));
        return Some(Path::new(&folder).join(file));
    }
    let (_, file) = IN_DOCS.iter().find(|(page, _)| *page == name)?;
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file))
}
