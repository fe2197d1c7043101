//! Totals are the same before and after, wherever they are shown; of the rest it is said in words
//! that it is archived.

use std::{collections::BTreeMap, process::Command};

use livetill::report::{Columns, prove};
use serde_json::Value;

use super::{CONFIG, LONG, archives, books, evening, report, rows, sums};
use crate::{
    database::Engine,
    desk::{log_in, with_token},
    world::{Setup, World},
};

/// The sums of a packing list by what became of the money: payments, amount, refunded, fee in minor
/// units, and units.
fn packed(csv: &str) -> BTreeMap<String, [i64; 5]> {
    let mut reader = csv::Reader::from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
    let heading = reader.headers().expect("a heading").clone();
    let column = |name: &str| heading.iter().position(|one| one == name).expect("a column");
    let (amount, refunded, fee) = (column("amount"), column("refunded"), column("fee"));
    let (units, fate) = (column("units"), column("fate"));
    let mut sums: BTreeMap<String, [i64; 5]> = BTreeMap::new();
    for row in reader.records() {
        let row = row.expect("a row");
        let minor = |n: usize| row[n].replace('.', "").parse::<i64>().expect("money");
        let sum = sums.entry(row[fate].to_owned()).or_default();
        let units = row[units].parse::<i64>().unwrap_or(0);
        let more = [1, minor(amount), minor(refunded), minor(fee), units];
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    sums
}

/// What everybody reads of a sale.
async fn public(world: &mut World, path: &str) -> Value {
    let answer = world.looks("viewer", path).await;
    assert_eq!(answer.status, 200, "{path}");
    let mut json: Value = serde_json::from_str(&answer.text).expect("JSON");
    json.as_object_mut().expect("an object").remove("revision");
    json
}

async fn packing_list(world: &mut World) -> String {
    world.looks("owner", "/desk/sales/1/packing.csv").await.text
}

#[tokio::test]
async fn totals_are_the_same_before_and_after_wherever_they_are_shown() {
    for engine in Engine::ALL {
        same_everywhere(World::build(&with_token(Setup::on(engine, CONFIG))).await).await;
    }
}

async fn same_everywhere(mut world: World) {
    let id = evening(&mut world).await;
    log_in(&mut world).await;
    let own = world.browser("ana").at.expect("a page");
    let (sale, journal) = books(&world, id).await;
    let proof = prove(&sale, &journal);
    let (before, list) = (report(&world, id).await, packing_list(&mut world).await);
    let shown = public(&mut world, &format!("/api/sales/{id}")).await;
    assert_eq!((before.sold, before.claimed, before.lapsed), (4, 5, 2), "{before:#?}");
    assert_eq!((before.gross.minor, before.refunded.minor), (9000, 1800));
    let said = world.says("!sale report").await;

    world.clock.advance(LONG);
    assert_eq!(archives(&world).await, 1);
    assert_eq!(rows(&world).await, [0, 0, 1, 4], "payments, and the line that archived it");
    let after = report(&world, id).await;
    assert_eq!(sums(&after), sums(&before));
    let since = after.archived.clone().expect("archived");
    log_in(&mut world).await;
    let (sale, journal) = books(&world, id).await;
    let proven = prove(&sale, &journal);
    assert_eq!((proven.commits, proven.taken_max), (proof.commits, proof.taken_max));
    assert_eq!((proven.oversold, proven.wrong.len()), (0, 0), "{:?}", proven.wrong);
    let packed_after = packing_list(&mut world).await;
    assert_eq!(packed(&packed_after), packed(&list));
    assert_eq!(public(&mut world, &format!("/api/sales/{id}")).await, shown);
    assert_eq!(archives(&world).await, 0, "once");

    in_words(&mut world, &said, &since).await;
    // Ana comes back to her own page.
    assert!(own.contains("/holds/"), "{own}");
    let own = world.looks("ana", &own).await;
    let plain = own.text.contains("archived since") && own.text.contains("ask the shop");
    assert!(own.status == 410 && plain, "{} {}", own.status, own.text);
    of_the_program(&world, &after.gross.to_string(), &since);
    world.heard();
    world.app.stop().await;
}

/// Every verb and page that is asked about it.
async fn in_words(world: &mut World, before: &[String], since: &str) {
    let after = world.says("!sale report #1").await;
    let words = format!("details archived since {since}");
    assert!(after.iter().any(|line| line.contains(&words)), "{after:#?}");
    // Sums stand in the same words; whoever bought and moderated does not.
    for line in before.iter().filter(|line| !line.starts_with("  ")) {
        assert!(after.contains(line), "{line}: {after:#?}");
    }
    for (verb, says) in [
        ("why #1 1", format!("archived since {since}")),
        ("links #1", format!("archived since {since}")),
        ("list", "0 of 4 left · 4 paid".to_owned()),
    ] {
        let said = world.says(&format!("!sale {verb}")).await;
        assert!(said.iter().any(|line| line.contains(&says)), "{verb}: {said:#?}");
    }
    for (path, says) in [
        ("/desk", format!("4 of 4 sold · archived since {since}")),
        ("/desk/sales/1", format!("Details archived since {since}")),
        ("/live", "4 of 4 sold".to_owned()),
    ] {
        let page = world.looks("owner", path).await.text;
        assert!(page.contains(&says), "{path}: {page}");
    }
}

/// The binary's verbs that look, beside a running program.
fn of_the_program(world: &World, gross: &str, since: &str) {
    let said = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_livetill"))
            .args(args)
            .current_dir(world.dir())
            .env("LIVETILL_STORE__URL", world.database.url())
            .output()
            .expect("runs");
        let text = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8(text).expect("text"))
    };
    for (args, says) in [
        (&["report", "1"][..], format!("details archived since {since}")),
        (&["report", "1"], format!("paid {gross}")),
        (&["report", "1", "--json"], format!("\"archived\": \"{since}\"")),
        (&["report", "1", "--csv"], format!("details archived since {since}")),
        (&["verify"], format!("checked when it was archived, {since}")),
        (&["verify"], "oversold 0".to_owned()),
        (&["sales"], "4 of 4   sold".to_owned()),
        (&["sales"], "(archived)".to_owned()),
        (&["check"], "1 sale archived".to_owned()),
    ] {
        let (code, text) = said(args);
        assert!(text.contains(&says), "{args:?}: {text}");
        assert_eq!(code, Some(0), "{args:?}: {text}");
    }
}

/// A sale with a page of its own for each of many buyers leaves nothing either, and beside it an
/// archived one loses nothing of another.
#[tokio::test]
async fn the_details_of_other_sales_stay() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        evening(&mut world).await;
        world.clock.advance(LONG);
        let young = evening(&mut world).await;
        let before = (report(&world, young).await, rows(&world).await);
        assert_eq!(archives(&world).await, 1);
        let after = report(&world, young).await;
        assert_eq!(serde_json::to_value(&after).ok(), serde_json::to_value(&before.0).ok());
        let store = world.app.engine.store();
        let journal = store.journal(young).await.expect("reads").len() as i64;
        let left = rows(&world).await;
        assert_eq!((left[0] * 2, left[1] * 2), (before.1[0], before.1[1]), "{engine:?}");
        assert!(left[2] <= journal + 1, "{left:?} {journal}");
        let mut csv = Vec::new();
        after.write_csv(&mut csv, Columns::Comma).expect("written");
        world.heard();
        world.app.stop().await;
    }
}
