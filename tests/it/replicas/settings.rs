//! Programs on one database that are set differently: each tells it once, and so does `check`.

use std::{
    process::{Command, Output},
    sync::Arc,
};

use livetill::{
    clock::Span,
    replica::programs::{Programs, ROUND, Word},
};

use crate::{
    database::Engine,
    world::{MUG, Setup, World, secs},
};

/// A program on the database of `first`, set like this.
async fn beside(first: &Setup, seed: u64, config: &str) -> World {
    let mut setup = Setup::new(config);
    setup.database = first.database.clone();
    setup.clock = first.clock.clone();
    setup.seed = seed;
    World::build(&setup).await
}

fn programs(world: &World) -> &Programs {
    world.app.replica.as_ref().expect("is shared").programs()
}

/// Every program writes and looks once; what each tells.
async fn round(worlds: &[&World]) -> Vec<Option<Word>> {
    let mut told = Vec::new();
    for world in worlds {
        told.push(programs(world).round().await.expect("answers"));
    }
    worlds[0].clock.advance(ROUND);
    told
}

/// What is told in so many rounds; nothing else may be.
async fn told_in(rounds: u32, worlds: &[&World]) -> Vec<Vec<Word>> {
    let mut told = vec![Vec::new(); worlds.len()];
    for _ in 0..rounds {
        for (told, word) in told.iter_mut().zip(round(worlds).await) {
            told.extend(word);
        }
    }
    told
}

fn shop(url: &str, price: &str) -> String {
    format!("[shop]\npublic_url = \"http://{url}\"\n{}", MUG.replace("18.00", price))
}

#[tokio::test]
async fn programs_that_are_set_differently_tell_it_once_and_so_when_they_agree() {
    let setup = Setup::on(Engine::Postgres, &shop("10.0.0.1", "18.00"));
    let ana = World::build(&setup).await;
    let bo = beside(&setup, 2, &shop("10.0.0.2", "20.00")).await;
    let both = [&ana, &bo];
    let told = told_in(2, &both).await;
    assert!(told.iter().all(|told| told.len() <= 1), "at the second look: {told:?}");
    let told: Vec<_> = told.into_iter().zip(told_in(4, &both).await).collect();
    for ((first, later), (other, theirs, ours)) in
        told.iter().zip([(&bo, ("$20", "2"), ("$18", "1")), (&ana, ("$18", "1"), ("$20", "2"))])
    {
        let all: Vec<&Word> = first.iter().chain(later).collect();
        let [Word::Differ(says)] = all[..] else { panic!("once: {all:?}") };
        let who = format!("the program at {}", other.app.address);
        let price = format!("{who} has mug at {}, this one at {}", theirs.0, ours.0);
        let url = format!(
            "{who} has shop.public_url = \"http://10.0.0.{}\", this one \"http://10.0.0.{}\"",
            theirs.1, ours.1
        );
        assert!(says.contains(&price) && says.contains(&url), "{says}");
    }
    // The price is mended while both run; the address is read at the start only.
    let mended = ana.app.chat.templates();
    *bo.app.templates.write().expect("unpoisoned") = mended;
    let told = told_in(4, &both).await;
    for told in &told {
        let [Word::Differ(says)] = &told[..] else { panic!("once: {told:?}") };
        assert!(!says.contains("mug") && says.contains("shop.public_url"), "{says}");
    }
    // Started again with the same settings, it is like the other.
    programs(&bo).leave().await.expect("answers");
    let bo = beside(&setup, 3, &shop("10.0.0.1", "18.00")).await;
    let told = told_in(4, &[&ana, &bo]).await;
    assert_eq!(told, [vec![Word::Alike], vec![]]);
}

#[tokio::test]
async fn who_is_gone_does_not_count_and_an_update_raises_no_alarm() {
    let setup = Setup::on(Engine::Postgres, &shop("10.0.0.1", "18.00"));
    let ana = World::build(&setup).await;
    let killed = beside(&setup, 2, &shop("10.0.0.1", "20.00")).await;
    assert_eq!(round(&[&killed, &ana]).await, [None, None]);
    // Killed, and started again with the new price, while its old row is there.
    let bo = beside(&setup, 3, &shop("10.0.0.1", "18.00")).await;
    assert_eq!(told_in(5, &[&ana, &bo]).await, [vec![], vec![]]);
    // Long gone, its row is removed; whoever comes back writes a new one.
    ana.clock.advance(Span::from_mins(3));
    round(&[&ana]).await;
    let rows = ana.app.engine.store().docs("program", None).await.expect("answers");
    assert_eq!(rows.len(), 1, "{rows:?}");
    round(&[&bo]).await;
    let rows = ana.app.engine.store().docs("program", None).await.expect("answers");
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[tokio::test]
async fn where_the_store_is_ours_alone_nothing_is_compared() {
    let world = World::build(&Setup::on(Engine::Sqlite, MUG)).await;
    assert!(world.app.replica.is_none());
    assert!(world.app.engine.store().docs("program", None).await.expect("answers").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_a_running_program_with_other_settings() {
    let setup = Arc::new(Setup::on(Engine::Postgres, MUG));
    let world = World::build(&setup).await;
    // The row is as old as the database's clock says.
    let store = world.app.engine.store();
    let now = store.peers().expect("is shared").now().await.expect("answers");
    world.clock.advance(now.since(world.app.engine.now()));
    programs(&world).round().await.expect("answers");
    let dir = tempfile::tempdir().expect("a folder");
    let url = setup.database.url().to_owned();
    let check = |price: &str| -> Output {
        let config = MUG.replace("18.00", price) + "[providers.sandbox]\ncalls_per_second = 100000";
        std::fs::write(dir.path().join("config.toml"), config).expect("written");
        Command::new(env!("CARGO_BIN_EXE_livetill"))
            .arg("check")
            .current_dir(dir.path())
            .env_remove("LIVETILL_LOG")
            .env("LIVETILL_STORE__URL", &url)
            .output()
            .expect("runs")
    };
    let out = check("20.00");
    let said = String::from_utf8_lossy(&out.stdout);
    let says = format!(
        "warn  programs: the program at {} has mug at $18, this configuration at $20. Give every",
        world.app.address
    );
    assert!(said.contains(&says) && out.status.success(), "{said}");
    let said = check("18.00").stdout;
    assert!(!String::from_utf8_lossy(&said).contains("programs"), "{said:?}");
    // Gone, nobody speaks of it.
    programs(&world).round().await.expect("answers");
    let mut db = setup.database.raw().await;
    let old = now.millis() - secs(40).millis();
    let text = format!(
        "update document set body = regexp_replace(body, '\"at\":\\d+', '\"at\":{old}') \
         where kind = 'program'"
    );
    sqlx::Executor::execute(&mut db, sqlx::AssertSqlSafe(text)).await.expect("written");
    let said = check("20.00").stdout;
    assert!(!String::from_utf8_lossy(&said).contains("programs"), "{said:?}");
}
