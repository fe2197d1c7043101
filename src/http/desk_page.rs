//! The desk's pages as data for their templates.

use askama::Template;

/// Everything at a glance.
#[derive(Template)]
#[template(path = "desk.html", config = "src/pages/askama.toml")]
pub(super) struct DeskPage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) answer: Vec<String>,
    pub(super) sales: Vec<SaleRow>,
    pub(super) parked: Vec<GivenUpRow>,
    pub(super) templates: Vec<TemplateRow>,
    pub(super) platforms: Vec<String>,
}

/// One sale in the list.
pub(super) struct SaleRow {
    pub(super) number: u32,
    pub(super) title: String,
    pub(super) says: String,
    pub(super) running: bool,
    pub(super) started: String,
}

/// Work that was given up for one reason.
pub(super) struct GivenUpRow {
    pub(super) number: Option<u32>,
    pub(super) what: String,
    pub(super) why: String,
    pub(super) ids: Vec<String>,
}

/// A piece of work.
pub(super) struct WorkRow {
    pub(super) id: String,
    pub(super) what: String,
    pub(super) says: String,
    pub(super) parked: bool,
}

/// A template as viewers would see it.
pub(super) struct TemplateRow {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) image: Option<String>,
    pub(super) says: String,
}

/// One sale, with everything known of it.
#[derive(Template)]
#[template(path = "desk_sale.html", config = "src/pages/askama.toml")]
pub(super) struct SalePage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) number: u32,
    pub(super) receipt: Vec<String>,
    /// The day since which its details are archived.
    pub(super) archived: Option<String>,
    pub(super) holds: Vec<HoldRow>,
    pub(super) work: Vec<WorkRow>,
    pub(super) journal: Vec<JournalRow>,
}

/// A hold and its money.
pub(super) struct HoldRow {
    pub(super) n: u32,
    pub(super) buyer: String,
    pub(super) units: u32,
    pub(super) delivery: String,
    pub(super) state: &'static str,
    pub(super) claimed: String,
    pub(super) pages: String,
    pub(super) money: String,
}

/// A line of the journal.
pub(super) struct JournalRow {
    pub(super) revision: u64,
    pub(super) at: String,
    pub(super) by: String,
    pub(super) event: String,
    pub(super) moves: String,
}

/// The login.
#[derive(Template)]
#[template(path = "desk_login.html", config = "src/pages/askama.toml")]
pub(super) struct LoginPage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) says: &'a str,
}
