//! Style and script, compiled in.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

const CSS: &str = include_str!("../pages/live.css");
const OVERLAY_CSS: &str = include_str!("../pages/overlay.css");
const OVERLAY_JS: &str =
    concat!(include_str!("../pages/stream.js"), include_str!("../pages/overlay.js"));
const JS: &str = concat!(include_str!("../pages/stream.js"), include_str!("../pages/live.js"));

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "live.css" => ("text/css; charset=utf-8", CSS),
        "live.js" => ("text/javascript; charset=utf-8", JS),
        "overlay.css" => ("text/css; charset=utf-8", OVERLAY_CSS),
        "overlay.js" => ("text/javascript; charset=utf-8", OVERLAY_JS),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
