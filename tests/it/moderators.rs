//! What moderators can take back, what they are asked before it is done, and which sale they mean.

use livetill::{
    engine::Origin,
    id::Buyer,
    platform::{Reply, console::message},
    sale::{
        event::{Claim, ClaimLimits, Event},
        offer::Extras,
    },
};

use crate::world::{MUG, World, mins, secs};

const BOWL: &str = "[templates.bowl]\nprice = \"9.00\"\nstock = 2\nwarm = 0\n";

/// Another person says something; their own answer.
async fn other(world: &World, who: &str, line: &str) -> Vec<String> {
    let mut said = message(format!("{who}: {line}"), line);
    said.user.id = who.to_owned();
    let reply = world.app.chat.hear(&said).await;
    world.settle().await;
    reply.map(|Reply { lines, .. }| lines).unwrap_or_default()
}

async fn first(world: &mut World, line: &str) -> String {
    world.heard();
    world.says(line).await.into_iter().next().unwrap_or_default()
}

#[tokio::test]
async fn undo_never_takes_back_anything_older_than_the_last_thing() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    // Refused: it hides the start.
    assert!(first(&mut world, "!sale restock -300").await.contains("end the sale"));
    let said = first(&mut world, "!sale undo").await;
    assert_eq!(said, "Nothing to undo: your last command (restock) changed nothing.");
    assert_eq!(world.newest().state.word(), "open");
    // Asked and confirmed.
    world.clicks("ana").await;
    world.heard();
    assert!(first(&mut world, "!sale extend -5m").await.contains("!sale yes"));
    world.says("!sale yes").await;
    world.advance(secs(2)).await;
    let said = first(&mut world, "!sale undo").await;
    assert!(said.starts_with("Undone · #1 Fern Mug · open"), "{said}");
    let said = first(&mut world, "!sale status").await;
    assert!(said.ends_with("10 min"), "{said}");
    world.advance(secs(3)).await;
    assert!(first(&mut world, "!sale undo").await.starts_with("Nothing to undo"));
    // Asked, and not confirmed: the question is taken back.
    world.advance(secs(3)).await;
    assert!(first(&mut world, "!sale stop").await.contains("!sale yes"));
    let said = first(&mut world, "!sale undo").await;
    assert_eq!(said, "Undone: the question about your stop is withdrawn.");
    let said = first(&mut world, "!sale yes").await;
    assert_eq!(said, "Nothing to confirm (a question expires after 30 s).");
    world.advance(mins(14)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn every_verb_is_taken_back_or_says_that_it_stays() {
    let mut world = World::new(&format!("{MUG}{BOWL}")).await;
    world.says("!sale start mug 10m").await;
    let undo = async |world: &mut World| {
        world.advance(secs(2)).await;
        world.heard();
        first(world, "!sale undo").await
    };
    world.says("!sale pause").await;
    assert!(undo(&mut world).await.contains("Fern Mug · open"));
    world.says("!sale pause").await;
    world.says("!sale resume").await;
    assert!(undo(&mut world).await.contains("Fern Mug · paused"), "a resume is taken back, too");
    world.says("!sale resume").await;
    world.says("!sale restock 2").await;
    assert!(undo(&mut world).await.starts_with("Undone"));
    assert_eq!(world.newest().stock, 3);
    world.says("!sale extend 1m").await;
    assert!(undo(&mut world).await.starts_with("Undone"));
    for (line, state) in [("!sale arm bowl 5m", "armed"), ("!sale next bowl 6m", "armed")] {
        world.says(line).await;
        assert_eq!(world.newest().state.word(), state);
        assert!(undo(&mut world).await.contains("bowl · cancelled"), "{line}");
    }
    world.says("!sale arm bowl 7m").await;
    world.says("!sale start #4").await;
    let said = undo(&mut world).await;
    assert_eq!(said, "Your start cannot be undone. To end it: !sale stop #4");
    world.advance(secs(2)).await;
    world.says("!sale stop #4").await;
    let said = undo(&mut world).await;
    assert_eq!(said, "Your stop cannot be undone. To start it once more: !sale again");
    // What ended by itself meanwhile is over.
    world.advance(secs(2)).await;
    world.says("!sale extend -9m").await;
    world.heard();
    world.advance(secs(19)).await;
    world.advance(mins(5)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn what_others_did_and_what_was_sold_since_is_respected() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale pause").await;
    other(&world, "ben", "!sale resume").await;
    let said = first(&mut world, "!sale undo").await;
    assert!(said.starts_with("Somebody else changed that sale since your pause."), "{said}");
    // The order of these does not matter.
    world.says("!sale restock 2").await;
    other(&world, "ben", "!sale extend 1m").await;
    world.advance(secs(2)).await;
    world.heard();
    assert!(first(&mut world, "!sale undo").await.starts_with("Undone"));
    assert_eq!(world.newest().stock, 3);
    // Units that buyers have are nobody's to take back.
    world.says("!sale restock 1").await;
    for who in ["ana", "bo", "cy"] {
        world.clicks(who).await;
    }
    world.advance(secs(2)).await;
    world.says("!sale restock 1").await;
    world.clicks("di").await;
    world.heard();
    world.clicks("eve").await;
    world.heard();
    world.advance(secs(2)).await;
    let views = world.app.engine.views().all();
    assert_eq!(views[0].left, 0, "{views:?}");
    let said = first(&mut world, "!sale undo").await;
    assert!(said.starts_with("It can no longer be undone: of those units only 0"), "{said}");
    assert_eq!((world.newest().stock, world.newest().short), (5, 0));
    world.advance(mins(20)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_start_is_not_taken_back_from_buyers_who_wait_for_their_page() {
    let mut world = World::new(&MUG.replace("stock = 3", "stock = 3\nper_buyer = 2")).await;
    world.says("!sale start mug 10m").await;
    let id = world.newest().id;
    let claim = Claim {
        buyer: Buyer::from("web:ana"),
        buyer_name: None,
        address: None,
        units: 2,
        delivery: None,
        answers: Default::default(),
        extras: Extras::default(),
        form: None,
        limits: ClaimLimits { per_address: 3, tries: 3 },
    };
    // Nothing is worked off before the undo: her page is not made yet.
    let told = world.app.engine.tell(id, Event::Claimed(Box::new(claim)), "ana", Origin::Any).await;
    assert!(told.expect("free").page.is_none());
    let said = first(&mut world, "!sale undo").await;
    assert_eq!(said, "Somebody has reserved one already. To end it anyway: !sale stop");
    let view = world.newest();
    assert_eq!((view.state.word(), view.held), ("open", 2));
    world.advance(mins(20)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_second_sale_of_one_shelf_needs_a_yes() {
    let mut world = World::new(&format!("{MUG}{BOWL}")).await;
    world.says("!sale start mug 10m").await;
    let asks = "Fern Mug is on already (#1). A second one? To confirm, type !sale yes within 30 s.";
    for line in ["!sale start mug 5m", "!sale arm mug", "!sale next mug 7m"] {
        assert_eq!(first(&mut world, line).await, asks, "{line}");
    }
    // A title that reads the same is the same.
    for title in ["fern mug", "Fern  Mug", " FERN mug "] {
        let said = first(&mut world, &format!("!sale start mug 5m title=\"{title}\"")).await;
        assert!(said.contains("is on already (#1). A second one?"), "{title}: {said}");
    }
    assert_eq!(other(&world, "ben", "!sale start mug 10m").await, [asks]);
    assert_eq!(world.app.engine.views().all().len(), 1, "nothing was started");
    // Other goods of the same template are another shelf, and so is another template.
    world.says("!sale arm mug title=\"Blue Fern\"").await;
    world.says("!sale arm bowl").await;
    assert_eq!(world.app.engine.views().all().len(), 3);
    // Armed counts, too.
    let said = first(&mut world, "!sale start bowl").await;
    assert!(said.starts_with("bowl is on already (#3). A second one?"), "{said}");
    let said = first(&mut world, "!sale yes").await;
    assert!(said.starts_with("Preparing #4 bowl"), "{said}");
    world.says("!sale stop #2").await;
    world.says("!sale stop #3").await;
    world.says("!sale stop #4").await;
    world.says("!sale stop #1").await;
    // Over is over.
    let said = first(&mut world, "!sale again").await;
    assert!(said.starts_with("Preparing #5"), "{said}");
    assert!(first(&mut world, "!sale again").await.starts_with("The same as just now"));
    world.advance(secs(2)).await;
    let said = first(&mut world, "!sale again").await;
    assert!(said.contains("A second one?"), "{said}");
    world.says("!sale stop #5").await;
    world.advance(secs(40)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn of_two_starts_at_one_moment_one_is_asked() {
    let mut world = World::new(MUG).await;
    let (ana, ben) = tokio::join!(
        other(&world, "ana", "!sale start mug 10m"),
        other(&world, "ben", "!sale start mug 10m")
    );
    let asked = [ana, ben].into_iter().flatten().filter(|line| line.contains("A second one?"));
    assert_eq!((asked.count(), world.app.engine.views().all().len()), (1, 1));
    world.says("!sale stop").await;
    world.advance(secs(40)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_price_that_is_hardly_meant_needs_a_yes() {
    let mut world = World::new(&format!("{MUG}max_price = \"40\"\n{BOWL}")).await;
    let said = first(&mut world, "!sale start mug price=2200").await;
    assert_eq!(
        said,
        "Fern Mug for $2200: that is more than $40 (max_price of the template). To confirm, \
         type !sale yes within 30 s."
    );
    assert!(world.app.engine.views().all().is_empty());
    assert!(first(&mut world, "!sale yes").await.starts_with("Preparing #1 Fern Mug · 3 × $2200"));
    let said = first(&mut world, "!sale start bowl price=27.01").await;
    assert!(said.starts_with("bowl for $27.01: that is more than $27 (max_price"), "{said}");
    let said = first(&mut world, "!sale start bowl price=27").await;
    assert!(said.starts_with("Preparing #2 bowl"), "{said}");
    // Both questions, one after the other.
    world.says("!sale start bowl price=99999999").await;
    world.advance(secs(2)).await;
    let said = first(&mut world, "!sale yes").await;
    assert!(said.starts_with("bowl is on already (#2). A second one?"), "{said}");
    world.advance(secs(2)).await;
    let said = first(&mut world, "!sale yes").await;
    assert!(said.starts_with("Preparing #3 bowl"), "{said}");
    for n in 1..=3 {
        world.says(&format!("!sale stop #{n}")).await;
    }
    world.done().await;
}

#[tokio::test]
async fn without_a_number_the_one_that_is_sold_is_meant_and_a_stop_holds_the_queue() {
    let mut world = World::new(&format!("{MUG}{BOWL}")).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale next bowl 5m").await;
    assert!(first(&mut world, "!sale extend 1m").await.starts_with("#1 ends in 11 min"));
    assert!(first(&mut world, "!sale pause").await.starts_with("Paused #1"));
    assert!(first(&mut world, "!sale resume").await.starts_with("#1 ends in 11 min"));
    let said = world.says("!sale stop").await;
    assert_eq!(said[0], "Stopping #1");
    let waits = "The queue waits for your word: #2 bowl opens with !sale start #2";
    assert!(said.contains(&waits.to_owned()), "{said:?}");
    world.advance(mins(2)).await;
    assert_eq!(world.newest().state.word(), "armed", "nothing opens by itself");
    assert!(world.says("!sale status").await.contains(&waits.to_owned()));
    // Whoever queues more is told, too; the word sets all of it going.
    assert!(world.says("!sale next mug 3m").await.contains(&waits.to_owned()));
    world.says("!sale start #2").await;
    world.advance(mins(6)).await;
    assert_eq!(world.newest().state.word(), "open", "the queue goes on");
    world.advance(mins(8)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_sale_that_is_taken_back_holds_the_queue_as_well() {
    let mut world = World::new(&format!("{MUG}{BOWL}")).await;
    other(&world, "ben", "!sale start mug 10m").await;
    world.says("!sale next bowl 5m").await;
    let said = other(&world, "ben", "!sale undo").await;
    assert!(said[0].starts_with("Undone") && said[1].starts_with("The queue waits"), "{said:?}");
    assert_eq!(world.newest().state.word(), "armed");
    // Taking the queued one back ends the waiting.
    let said = first(&mut world, "!sale undo").await;
    assert!(said.starts_with("Undone · #2 bowl · cancelled"), "{said}");
    let said = world.says("!sale next bowl 6m").await;
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN · bowl")), "{said:?}");
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn a_yes_is_no_answer_to_a_question_that_was_left_behind() {
    let mut world = World::new(&format!("{MUG}{BOWL}")).await;
    world.says("!sale start mug 10m").await;
    assert!(first(&mut world, "!sale start mug 5m").await.contains("A second one?"));
    // To look is not to go on.
    world.says("!sale status").await;
    assert_eq!(first(&mut world, "!sale stop all").await, "Stopping #1");
    assert!(first(&mut world, "!sale yes").await.starts_with("Nothing to confirm"));
    assert!(world.app.engine.views().all().iter().all(|view| view.state.is_over()));
    world.done().await;
}

#[tokio::test]
async fn stop_all_ends_every_sale_after_one_yes() {
    let mut world = World::new(&format!("{MUG}{BOWL}")).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale arm bowl 10m").await;
    let said = first(&mut world, "!sale stop all").await;
    assert!(said.starts_with("This ends 2 sales and closes their payment pages: #"), "{said}");
    // The room may read along.
    assert!(said.contains("#2 (armed)") && !said.contains("bowl"), "{said}");
    assert!(said.ends_with("To confirm, type !sale yes within 30 s."), "{said}");
    assert!(world.app.engine.views().all().iter().all(|view| !view.state.is_over()));
    let said = first(&mut world, "!sale yes").await;
    assert!(said == "Stopping #2, #1" || said == "Stopping #1, #2", "{said}");
    assert!(world.app.engine.views().all().iter().all(|view| view.state.is_over()));
    let said = first(&mut world, "!sale undo").await;
    assert!(said.starts_with("Your yes cannot be undone."), "{said}");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
