//! Closing a page so that it can certainly not be paid any more.
//!
//! A deleted link whose answer names no cancelled order was seen to stay payable, so the order
//! itself is cancelled then, and whatever was paid on it is reported.

use serde_json::{Value, json};

use super::{Square, client::text, error::Fault, money::payment_fact};
use crate::{
    clock::{Span, Timestamp},
    provider::{Call, ProviderError, rest::segment},
    sale::{
        event::CloseAnswer,
        payment::{PaymentFact, PaymentStatus},
    },
};

/// An order that changes while we cancel it is read and cancelled again this often.
const TRIES: u32 = 3;

/// An order this young may only not be visible yet (seen for a moment right after an event).
const SETTLES: Span = Span::from_secs(600);

impl Square {
    /// Closes whatever one order of a hold made, known or not.
    pub(super) async fn close(
        &self,
        link: Option<&str>,
        body: &Value,
        call: &Call,
    ) -> Result<CloseAnswer, ProviderError> {
        let made_at = body["made_at"].as_i64().map_or(call.now, Timestamp::from_millis);
        match (link, body["order"].as_str()) {
            (Some(link), Some(order)) => self.close_page(Some(link), order, made_at, call).await,
            (link, _) => {
                let mark = body["mark"].as_str().unwrap_or_default();
                match (link, self.find_link(mark).await?) {
                    (_, Some((link, order))) => {
                        self.close_page(Some(&link), &order, made_at, call).await
                    }
                    // Its making was given up, and it is not there: none was made.
                    (None, None) => Ok(CloseAnswer::Closed),
                    (Some(link), None) => self.close_unlisted(link).await,
                }
            }
        }
    }

    /// A link whose order we never learned.
    async fn close_unlisted(&self, link: &str) -> Result<CloseAnswer, ProviderError> {
        match self.delete_link(link).await {
            Ok(Some(_)) => Ok(CloseAnswer::Closed),
            Ok(None) => Ok(CloseAnswer::CannotClose {
                says: "Square deleted the link and did not say that its order is cancelled"
                    .to_owned(),
            }),
            Err(fault) if fault.is_not_found() => Ok(CloseAnswer::Closed),
            Err(fault) => Err(fault.steady()),
        }
    }

    pub(super) async fn close_page(
        &self,
        link: Option<&str>,
        order: &str,
        made_at: Timestamp,
        call: &Call,
    ) -> Result<CloseAnswer, ProviderError> {
        if let Some(link) = link {
            match self.delete_link(link).await {
                Ok(Some(cancelled)) if cancelled == order => return Ok(CloseAnswer::Closed),
                Ok(_) => {}
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(fault.steady()),
            }
        }
        self.cancel_order(order, made_at, call).await
    }

    async fn cancel_order(
        &self,
        id: &str,
        made_at: Timestamp,
        call: &Call,
    ) -> Result<CloseAnswer, ProviderError> {
        let mut refused = None;
        for _ in 0..TRIES {
            let order = match self.order(id).await {
                Ok(order) => order,
                // What does not exist cannot be paid; what is not visible yet can.
                Err(fault) if fault.is_not_found() && call.now.since(made_at) > SETTLES => {
                    return Ok(CloseAnswer::Closed);
                }
                Err(fault) if fault.is_not_found() => {
                    let says = "Square does not show the order of a link".to_owned();
                    return Err(ProviderError::Retry { says, after: None });
                }
                Err(fault) => return Err(fault.steady()),
            };
            if let Some(answer) = self.paid_on(&order).await? {
                return Ok(answer);
            }
            if order["state"] == "CANCELED" {
                return Ok(CloseAnswer::Closed);
            }
            if let Some(says) = refused {
                return Ok(CloseAnswer::CannotClose { says });
            }
            match self.cancel(id, &order, call).await {
                Ok(state) if state == "CANCELED" => return Ok(CloseAnswer::Closed),
                Ok(_) => {}
                Err(fault) if fault.is_conflict() => {}
                Err(fault) => match fault.steady() {
                    // A payment may have come in between: look once more before giving up.
                    ProviderError::Reject { says } => refused = Some(says),
                    error => return Err(error),
                },
            }
        }
        match refused {
            Some(says) => Ok(CloseAnswer::CannotClose { says }),
            None => {
                let says = "the order keeps changing while it is cancelled".to_owned();
                Err(ProviderError::Retry { says, after: None })
            }
        }
    }

    /// Cancels an order as it was read; answers the state it has then.
    async fn cancel(&self, id: &str, order: &Value, call: &Call) -> Result<String, Fault> {
        let version = order["version"].as_i64().unwrap_or(1);
        let mut change = json!({
            "location_id": self.location,
            "version": version,
            "state": "CANCELED",
        });
        let open = |one: &&Value| {
            !matches!(one["state"].as_str(), Some("COMPLETED" | "CANCELED" | "FAILED"))
        };
        let fulfillments = order["fulfillments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let cancelled: Vec<Value> = fulfillments
            .iter()
            .filter(open)
            .filter_map(|one| Some(json!({ "uid": one["uid"].as_str()?, "state": "CANCELED" })))
            .collect();
        if !cancelled.is_empty() {
            change["fulfillments"] = Value::from(cancelled);
        }
        // A repeated key would answer 200 and change nothing, so each version has its own.
        let body = json!({
            "order": change,
            "idempotency_key": format!("{}-{version}", call.key),
        });
        let answer = self.client.put(&format!("/v2/orders/{}", segment(id)), &body).await?;
        text(&answer, "/order/state").map(str::to_owned)
    }

    /// The payments on an order, if they cover it or one is under way.
    async fn paid_on(&self, order: &Value) -> Result<Option<CloseAnswer>, ProviderError> {
        let mut pending = false;
        let mut paid = Vec::new();
        for id in payment_ids(order) {
            let payment = self.payment(&id).await.map_err(|fault| match fault.is_not_found() {
                // The order names it: it is only not visible yet.
                true => {
                    let says = "Square does not show a payment of the order yet".to_owned();
                    ProviderError::Retry { says, after: None }
                }
                false => fault.steady(),
            })?;
            match payment_fact(&payment) {
                Some(fact) if fact.status == PaymentStatus::Completed => paid.push(fact),
                Some(fact) if fact.status == PaymentStatus::Failed => {}
                Some(_) | None => pending = true,
            }
        }
        // A gift card may pay for a part, and nothing for the rest.
        if covers(order, &paid) {
            let mut paid = paid.into_iter();
            let payment = paid.next().map(Box::new);
            return Ok(
                payment.map(|payment| CloseAnswer::AlreadyPaid { payment, more: paid.collect() })
            );
        }
        Ok(pending.then_some(CloseAnswer::PaymentPending))
    }
}

/// Whether these payments come to what an order asks for.
fn covers(order: &Value, paid: &[PaymentFact]) -> bool {
    let money = |name: &str| order.pointer(&format!("/{name}/amount")).and_then(Value::as_i64);
    let sum = paid.iter().fold(0_i64, |sum, one| sum.saturating_add(one.amount.minor));
    match (money("total_money"), money("net_amount_due_money")) {
        _ if paid.is_empty() => false,
        (Some(total), _) => sum >= total,
        (None, Some(due)) => due <= 0,
        (None, None) => true,
    }
}

/// The payments that an order names.
pub(super) fn payment_ids(order: &Value) -> Vec<String> {
    let tenders = order["tenders"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |tender: &Value| {
        let id = tender["payment_id"].as_str().or(tender["id"].as_str())?;
        Some(id.to_owned())
    };
    tenders.iter().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::HoldId,
        provider::{
            square::{
                link::mark,
                tests::answers::{hold, square},
            },
            tests::service::{Answer, Service},
        },
    };

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const LINK: &str = "DELETE /v2/online-checkout/payment-links/K1";
    const LINKS: &str = "GET /v2/online-checkout/payment-links?limit=1000";
    const READ: &str = "GET /v2/orders/O1";
    const WRITE: &str = "PUT /v2/orders/O1";

    fn no(status: u16, code: &str) -> Answer {
        Answer::Is(status, json!({ "errors": [{ "category": "X", "code": code, "detail": code }] }))
    }

    fn deleted(order: Option<&str>) -> Answer {
        match order {
            Some(order) => json!({ "id": "K1", "cancelled_order_id": order }).into(),
            None => json!({ "id": "K1" }).into(),
        }
    }

    /// An order of $18 on which these payments were tried.
    fn order(state: &str, version: i64, payments: &[&str]) -> Answer {
        let tender = |id: &&str| json!({ "id": format!("T-{id}"), "payment_id": id });
        let tenders: Vec<Value> = payments.iter().map(tender).collect();
        json!({ "order": {
            "id": "O1", "state": state, "version": version, "tenders": tenders,
            "total_money": { "amount": 1800, "currency": "USD" },
            "fulfillments": [{ "uid": "f1", "state": "PROPOSED" }],
        } })
        .into()
    }

    fn payment(id: &str, status: &str, amount: i64) -> Answer {
        let money = json!({ "amount": amount, "currency": "USD" });
        json!({ "payment": { "id": id, "status": status, "order_id": "O1", "total_money": money } })
            .into()
    }

    /// Closes the page of a link and an order that are known, `later` after they were made.
    async fn closes(service: &Service, later: Span) -> Result<CloseAnswer, ProviderError> {
        let call = Call { key: "key".to_owned(), now: NOW + later, first: true };
        let body = json!({ "order": "O1", "made_at": NOW, "mark": mark(hold(1), 1) });
        square(&service.url).close(Some("K1"), &body, &call).await
    }

    /// Deleting the link says nothing of the order, of which the rest is told.
    async fn after(
        parts: Vec<(&'static str, Vec<Answer>)>,
    ) -> (Service, Result<CloseAnswer, ProviderError>) {
        let all = parts.into_iter().chain([(LINK, vec![deleted(None)])]);
        let service = Service::plays(all).await;
        let answer = closes(&service, Span::from_secs(180)).await;
        (service, answer)
    }

    fn ids(answer: Result<CloseAnswer, ProviderError>) -> Vec<String> {
        match answer {
            Ok(CloseAnswer::AlreadyPaid { payment, more }) => {
                let all = std::iter::once(&*payment).chain(&more);
                all.map(|fact| fact.id.to_string()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn is_retry(answer: &Result<CloseAnswer, ProviderError>) -> bool {
        matches!(answer, Err(ProviderError::Retry { .. }))
    }

    fn cannot(answer: &Result<CloseAnswer, ProviderError>) -> bool {
        matches!(answer, Ok(CloseAnswer::CannotClose { .. }))
    }

    #[tokio::test]
    async fn a_deleted_link_closes_its_page_if_it_names_that_order_and_no_other() {
        let service = Service::plays([(LINK, vec![deleted(Some("O1"))])]).await;
        assert_eq!(closes(&service, Span::ZERO).await, Ok(CloseAnswer::Closed));
        assert_eq!(service.calls(), [LINK]);
        // Of another order, gone before, or not said: the order itself is what counts.
        for said in [deleted(Some("O2")), deleted(None), no(404, "NOT_FOUND")] {
            let parts = [
                (LINK, vec![said]),
                (READ, vec![order("DRAFT", 3, &[])]),
                (WRITE, vec![order("CANCELED", 4, &[])]),
            ];
            let service = Service::plays(parts).await;
            assert_eq!(closes(&service, Span::ZERO).await, Ok(CloseAnswer::Closed));
            assert_eq!(service.calls(), [LINK, READ, WRITE]);
            let body = &service.bodies(WRITE)[0];
            let change = json!({
                "location_id": "L1", "version": 3, "state": "CANCELED",
                "fulfillments": [{ "uid": "f1", "state": "CANCELED" }],
            });
            assert_eq!(body["order"], change);
        }
    }

    #[tokio::test]
    async fn an_order_that_is_not_visible_yet_is_waited_for_and_one_that_never_comes_is_none() {
        let parts = || [(LINK, vec![deleted(None)]), (READ, vec![no(404, "NOT_FOUND")])];
        for (later, closed) in
            [(Span::ZERO, false), (SETTLES, false), (SETTLES + Span::from_millis(1), true)]
        {
            let answer = closes(&Service::plays(parts()).await, later).await;
            assert_eq!(answer == Ok(CloseAnswer::Closed), closed, "{later:?}: {answer:?}");
            assert_eq!(is_retry(&answer), !closed, "{later:?}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn what_was_paid_is_found_by_whichever_state_the_order_is_in() {
        for state in ["DRAFT", "OPEN", "COMPLETED", "CANCELED"] {
            let (service, answer) = after(vec![
                (READ, vec![order(state, 3, &["P1"])]),
                ("GET /v2/payments/P1", vec![payment("P1", "COMPLETED", 1800)]),
            ])
            .await;
            assert_eq!(ids(answer), ["P1"], "{state}");
            assert!(service.bodies(WRITE).is_empty(), "{state}");
        }
        let (_, answer) = after(vec![(READ, vec![order("CANCELED", 3, &[])])]).await;
        assert_eq!(answer, Ok(CloseAnswer::Closed));
    }

    #[tokio::test]
    async fn several_cards_that_come_to_the_whole_are_all_told() {
        let (_, answer) = after(vec![
            (READ, vec![order("OPEN", 3, &["P1", "P2", "P3"])]),
            ("GET /v2/payments/P1", vec![payment("P1", "COMPLETED", 1000)]),
            ("GET /v2/payments/P2", vec![payment("P2", "FAILED", 800)]),
            ("GET /v2/payments/P3", vec![payment("P3", "COMPLETED", 800)]),
        ])
        .await;
        assert_eq!(ids(answer), ["P1", "P3"]);
    }

    #[tokio::test]
    async fn a_payment_under_way_is_waited_for_and_a_failed_one_is_not() {
        for (status, pending) in [
            ("APPROVED", true),
            ("PENDING", true),
            ("SOMETHING_NEW", true),
            ("FAILED", false),
            ("CANCELED", false),
        ] {
            let (service, answer) = after(vec![
                (READ, vec![order("OPEN", 3, &["P1"])]),
                (WRITE, vec![order("CANCELED", 4, &["P1"])]),
                ("GET /v2/payments/P1", vec![payment("P1", status, 1800)]),
            ])
            .await;
            let expected = if pending { CloseAnswer::PaymentPending } else { CloseAnswer::Closed };
            assert_eq!(answer, Ok(expected), "{status}");
            assert_eq!(service.bodies(WRITE).is_empty(), pending, "{status}");
        }
    }

    #[tokio::test]
    async fn a_part_is_not_the_whole_and_its_rest_is_waited_for_while_it_is_under_way() {
        for (rest, expected) in
            [("APPROVED", CloseAnswer::PaymentPending), ("FAILED", CloseAnswer::Closed)]
        {
            let (_, answer) = after(vec![
                (READ, vec![order("OPEN", 3, &["P1", "P2"])]),
                (WRITE, vec![order("CANCELED", 4, &["P1", "P2"])]),
                ("GET /v2/payments/P1", vec![payment("P1", "COMPLETED", 1000)]),
                ("GET /v2/payments/P2", vec![payment("P2", rest, 800)]),
            ])
            .await;
            assert_eq!(answer, Ok(expected), "{rest}");
        }
        let paid = |minor: i64| {
            payment_fact(&json!({
                "id": "P", "status": "COMPLETED",
                "total_money": { "amount": minor, "currency": "USD" },
            }))
        };
        let one = [paid(1000).expect("a payment")];
        for (order, whole) in [
            (json!({ "total_money": { "amount": 1000 } }), true),
            (json!({ "total_money": { "amount": 1001 } }), false),
            (json!({ "net_amount_due_money": { "amount": 0 } }), true),
            (json!({ "net_amount_due_money": { "amount": 1 } }), false),
            (json!({}), true),
        ] {
            assert_eq!(covers(&order, &one), whole, "{order}");
            assert!(!covers(&order, &[]), "{order}");
        }
    }

    #[tokio::test]
    async fn a_payment_that_cannot_be_read_is_not_none() {
        for said in
            [no(404, "NOT_FOUND"), no(500, "INTERNAL_SERVER_ERROR"), no(401, "UNAUTHORIZED")]
        {
            let (service, answer) = after(vec![
                (READ, vec![order("OPEN", 3, &["P1"])]),
                (WRITE, vec![order("CANCELED", 4, &["P1"])]),
                ("GET /v2/payments/P1", vec![said]),
            ])
            .await;
            assert!(is_retry(&answer), "{answer:?}");
            assert!(service.bodies(WRITE).is_empty());
        }
    }

    #[tokio::test]
    async fn an_order_that_changes_meanwhile_is_read_and_cancelled_again_as_it_is_then() {
        // The buyer's card was declined in between; then a payment came in.
        let (service, answer) = after(vec![
            (
                READ,
                vec![
                    order("DRAFT", 3, &[]),
                    order("DRAFT", 4, &["P1"]),
                    order("OPEN", 5, &["P1", "P2"]),
                ],
            ),
            (WRITE, vec![no(409, "VERSION_MISMATCH"), no(400, "VERSION_MISMATCH")]),
            ("GET /v2/payments/P1", vec![payment("P1", "FAILED", 1800)]),
            ("GET /v2/payments/P2", vec![payment("P2", "COMPLETED", 1800)]),
        ])
        .await;
        assert_eq!(ids(answer), ["P2"]);
        let written = service.bodies(WRITE);
        let versions: Vec<_> = written.iter().map(|one| one["order"]["version"].clone()).collect();
        assert_eq!(versions, [3, 4]);
        // A key that was used answers 200 and changes nothing.
        let keys: Vec<_> = written.iter().map(|one| one["idempotency_key"].clone()).collect();
        assert_eq!(keys, ["key-3", "key-4"], "of this call and of this version");
    }

    #[tokio::test]
    async fn an_order_that_keeps_changing_or_stays_as_it_is_is_tried_again_later() {
        let races = (3..9).map(|version| order("DRAFT", version, &[])).collect();
        let (service, answer) =
            after(vec![(READ, races), (WRITE, vec![no(409, "CONFLICT")])]).await;
        assert!(is_retry(&answer), "{answer:?}");
        assert_eq!(service.bodies(WRITE).len(), 3);
        // The answer is good and the order is not cancelled: a repeated key, say.
        let open = order("DRAFT", 3, &[]);
        let (_, answer) = after(vec![(READ, vec![open.clone()]), (WRITE, vec![open])]).await;
        assert!(is_retry(&answer), "{answer:?}");
    }

    #[tokio::test]
    async fn a_refusal_counts_once_it_is_sure_that_nothing_was_paid_meanwhile() {
        let (service, answer) = after(vec![
            (READ, vec![order("DRAFT", 3, &[])]),
            (WRITE, vec![no(400, "BAD_REQUEST")]),
        ])
        .await;
        assert!(cannot(&answer), "{answer:?}");
        assert_eq!(service.calls(), [LINK, READ, WRITE, READ]);
        for (state, closed) in [("OPEN", false), ("CANCELED", true)] {
            let paid: &[&str] = if closed { &[] } else { &["P1"] };
            let (_, answer) = after(vec![
                (READ, vec![order("DRAFT", 3, &[]), order(state, 4, paid)]),
                (WRITE, vec![no(400, "BAD_REQUEST")]),
                ("GET /v2/payments/P1", vec![payment("P1", "COMPLETED", 1800)]),
            ])
            .await;
            match closed {
                true => assert_eq!(answer, Ok(CloseAnswer::Closed)),
                false => assert_eq!(ids(answer), ["P1"]),
            }
        }
        // It was refused for our token, or not answered: nobody knows, and it is tried again.
        for said in [no(401, "UNAUTHORIZED"), no(503, "X")] {
            let (_, answer) =
                after(vec![(READ, vec![order("DRAFT", 3, &[])]), (WRITE, vec![said])]).await;
            assert!(is_retry(&answer), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn only_what_is_still_to_be_done_of_an_order_is_cancelled_with_it() {
        let own = |uid: &str, state: &str| json!({ "uid": uid, "state": state });
        let of = |fulfillments: Vec<Value>| {
            json!({ "order": {
            "id": "O1", "state": "OPEN", "version": 3, "fulfillments": fulfillments,
        } })
        };
        let all = vec![own("f1", "COMPLETED"), own("f2", "RESERVED"), own("f3", "CANCELED")];
        let (service, _) =
            after(vec![(READ, vec![of(all).into()]), (WRITE, vec![order("CANCELED", 4, &[])])])
                .await;
        let change = &service.bodies(WRITE)[0]["order"];
        assert_eq!(change["fulfillments"], json!([own("f2", "CANCELED")]));
        let (service, _) = after(vec![
            (READ, vec![of(vec![own("f1", "FAILED")]).into()]),
            (WRITE, vec![order("CANCELED", 4, &[])]),
        ])
        .await;
        assert!(service.bodies(WRITE)[0]["order"]["fulfillments"].is_null());
    }

    #[tokio::test]
    async fn a_link_whose_order_was_never_learned_is_looked_for_and_else_believed_in_part() {
        let call = Call { key: "key".to_owned(), now: NOW, first: true };
        let body = json!({ "order": null, "made_at": NOW, "mark": mark(hold(1), 1) });
        let link = |hold: HoldId, nth: u32| json!({ "id": "K1", "order_id": "O1", "description": format!("{} of shop", mark(hold, nth)) });
        let listed =
            |links: Vec<Value>| (LINKS, vec![Answer::from(json!({ "payment_links": links }))]);
        for (known, found, said, expected) in [
            (Some("K1"), false, deleted(Some("O1")), Some(CloseAnswer::Closed)),
            (Some("K1"), false, no(404, "NOT_FOUND"), Some(CloseAnswer::Closed)),
            (Some("K1"), false, deleted(None), None),
            (None, false, no(500, "never asked"), Some(CloseAnswer::Closed)),
            (None, true, deleted(Some("O1")), Some(CloseAnswer::Closed)),
        ] {
            // Those of other holds and of other orders of this one are not meant.
            let others = [link(hold(11), 1), link(hold(1), 12), link(hold(1), 2)];
            let others = others.into_iter().map(|one| {
                json!({
                    "id": "K9", "order_id": "O9", "description": one["description"],
                })
            });
            let ours = found.then(|| link(hold(1), 1));
            let service =
                Service::plays([listed(others.chain(ours).collect()), (LINK, vec![said])]).await;
            let answer = square(&service.url).close(known, &body, &call).await;
            match expected {
                Some(expected) => assert_eq!(answer, Ok(expected), "{known:?} {found}"),
                None => assert!(cannot(&answer), "{answer:?}"),
            }
            assert!(!service.calls().iter().any(|call| call.contains("K9")));
        }
        let parts = [listed(Vec::new()), (LINK, vec![no(500, "X")])];
        let answer = square(&Service::plays(parts).await.url).close(Some("K1"), &body, &call).await;
        assert!(is_retry(&answer), "{answer:?}");
    }
}
