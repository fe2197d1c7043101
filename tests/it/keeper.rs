//! What every store must do, the same on each engine: the promises of `Store`, one by one. A new
//! engine joins [`Engine::ALL`], and nothing else.

mod books;
mod work;

use std::sync::Arc;

use livetill::{
    clock::{Clock, Timestamp},
    sale::{Sale, hold::Hold},
    store::{Access, Commit, JournalLine, SaleChange, Seen, SqlStore, Store, open},
};
use tempfile::TempDir;

use crate::{
    database::{Database, Engine},
    world::{MUG, Setup, World},
};

/// A new database with nothing in it but the shop's row.
struct Empty {
    engine: Engine,
    store: Arc<SqlStore>,
    database: Database,
    _dir: TempDir,
}

impl Empty {
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for engine in Engine::ALL {
            let dir = tempfile::tempdir().expect("a folder");
            let database = Database::new(engine, dir.path());
            let store = Arc::new(open(database.url(), Access::Write).await.expect("opens"));
            store.secret([1; 32]).await.expect("made");
            all.push(Self { engine, store, database, _dir: dir });
        }
        all
    }

    /// Everybody who may write to it at the same time: three programs on a server, one on a file.
    async fn programs(&self) -> Vec<Arc<SqlStore>> {
        let mut all = vec![self.store.clone()];
        if self.engine == Engine::Postgres {
            for _ in 0..2 {
                let store = open(self.database.url(), Access::Write).await.expect("opens");
                all.push(Arc::new(store));
            }
        }
        all
    }
}

/// A sale as the program left it: one unit paid, one page open, with what it wrote on the way.
struct Sample {
    sale: Sale,
    journal: Vec<JournalLine>,
}

impl Sample {
    async fn new() -> Self {
        let mut world = World::build(&Setup::on(Engine::Sqlite, MUG)).await;
        world.says("!sale start mug 10m").await;
        world.clicks("ana").await;
        world.pays("ana").await;
        world.clicks("ben").await;
        let id = world.newest().id;
        let store = world.app.engine.store();
        let sale = store.load(id).await.expect("reads").expect("is there");
        let journal = store.journal(id).await.expect("reads");
        world.app.stop().await;
        assert_eq!((sale.holds().count(), sale.payments().count()), (2, 1));
        Self { sale, journal }
    }

    fn now(&self) -> Timestamp {
        self.sale.head.last_at
    }

    /// The hold whose page waits to be paid.
    fn open_hold(&self) -> Arc<Hold> {
        let open = self.sale.holds().find(|hold| hold.state.word() == "open").expect("Ben's");
        Arc::new(open.clone())
    }

    /// The whole sale as new.
    fn commit(&self) -> Commit {
        let sale = &self.sale;
        let pages = sale.holds().flat_map(|hold| {
            let of = |page: &livetill::sale::hold::Checkout| {
                (hold.id, page.id.clone(), Some(format!("order-{}", hold.id.n)))
            };
            hold.checkouts.iter().map(of).collect::<Vec<_>>()
        });
        Commit {
            sale: Some(SaleChange {
                head: sale.head.clone(),
                expected: None,
                wake_at: sale.next_deadline(),
                holds: sale.holds().cloned().map(Arc::new).collect(),
                pages: pages.collect(),
                payments: sale.payments().cloned().collect(),
                journal: self.journal.clone(),
            }),
            at: self.now(),
            ..Commit::default()
        }
    }

    /// A change that counts the revision up, and nothing else.
    fn next(&self, by: u64) -> Commit {
        let mut head = self.sale.head.clone();
        let expected = Some(head.revision + by - 1);
        head.revision += by;
        let line = JournalLine {
            revision: head.revision,
            at: self.now(),
            by: "test".into(),
            stock: head.stock,
            event: None,
            moves: Vec::new(),
            quarantined: None,
        };
        let journal = vec![line];
        let (holds, pages, payments) = (Vec::new(), Vec::new(), Vec::new());
        let wake_at = Some(self.now());
        Commit {
            sale: Some(SaleChange { head, expected, wake_at, holds, pages, payments, journal }),
            at: self.now(),
            ..Commit::default()
        }
    }
}

fn seen(id: &str) -> Seen {
    Seen { source: "test".into(), id: id.into() }
}

/// A moment long before any of these sales.
fn long_ago() -> Timestamp {
    crate::world::ManualClock::new().now()
}
