//! The public view as JSON, readable from anywhere.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Web;
use crate::{id::SaleId, view::View};

const HEADERS: [(header::HeaderName, &str); 2] =
    [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::CACHE_CONTROL, "no-store")];

pub(super) async fn sales(State(web): State<Arc<Web>>) -> Response {
    let mut views = web.engine.shown();
    views.retain(|view| !view.secret);
    (HEADERS, Json(views)).into_response()
}

pub(super) async fn sale(State(web): State<Arc<Web>>, Path(id): Path<String>) -> Response {
    match find(&web, &id).await {
        Some(view) => (HEADERS, Json(view)).into_response(),
        None => {
            let none = json!({ "error": "no_such_sale" });
            (StatusCode::NOT_FOUND, HEADERS, Json(none)).into_response()
        }
    }
}

/// A sale by its id or its number, old ones included, unless it is a secret.
pub(super) async fn find(web: &Web, key: &str) -> Option<Arc<View>> {
    let view = find_any(web, key).await?;
    if view.secret { web.engine.public(view.id).await } else { Some(view) }
}

async fn find_any(web: &Web, key: &str) -> Option<Arc<View>> {
    let views = web.engine.views();
    let id = match (key.parse::<SaleId>(), key.parse::<u32>()) {
        (Ok(id), _) => id,
        (_, Ok(number)) => match views.all().iter().find(|view| view.number == number) {
            Some(view) => view.id,
            None => web.engine.store().sale_numbered(number).await.ok()??,
        },
        _ => return None,
    };
    if let Some(view) = views.get(id) {
        return Some(web.engine.honest(view));
    }
    let link = web.engine.link().to_owned();
    web.engine.look(id, move |sale| Arc::new(View::of(sale, &link))).await.ok()
}

/// The same, if viewers may know of it: what is not open yet is nobody's business.
pub(super) async fn find_public(web: &Web, key: &str) -> Option<Arc<View>> {
    let view = find_any(web, key).await?;
    if view.is_public() {
        return Some(view);
    }
    web.engine.public(view.id).await
}
