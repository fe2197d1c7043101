//! The link in chat as a QR code, for a phone pointed at the stream.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use qrcode::{EcLevel, QrCode, render::svg};

use super::Web;

pub(super) async fn qr(State(web): State<Arc<Web>>) -> Response {
    // A quarter of it may be hidden behind an encoder's artefacts.
    let Ok(code) = QrCode::with_error_correction_level(web.engine.link(), EcLevel::Q) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let picture = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, picture).into_response()
}
