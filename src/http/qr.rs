//! The link in chat as a QR code, for a phone pointed at the stream.

use std::sync::{Arc, OnceLock};

use axum::{
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use qrcode::{EcLevel, QrCode, render::svg};

use super::Web;

/// The picture, drawn when it is first asked for: the link never changes while the program runs.
pub type Picture = OnceLock<Option<Bytes>>;

pub(super) async fn qr(State(web): State<Arc<Web>>) -> Response {
    let Some(picture) = web.memory.qr.get_or_init(|| draw(web.engine.link())) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, picture.clone()).into_response()
}

/// `None` if the link is too long for a code.
fn draw(link: &str) -> Option<Bytes> {
    // A quarter of it may be hidden behind an encoder's artefacts.
    let code = QrCode::with_error_correction_level(link, EcLevel::Q).ok()?;
    Some(code.render::<svg::Color<'_>>().min_dimensions(240, 240).build().into())
}
