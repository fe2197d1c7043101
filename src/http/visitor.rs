//! Who looks at a page or sends its form: known by a cookie, by the form, or new.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use super::Web;
use crate::id::Buyer;

/// Whose request it is.
pub(super) struct Visitor {
    /// Everything this browser has is kept under this name.
    pub(super) buyer: Buyer,
    /// Whether it could have something already.
    pub(super) is_known: bool,
    /// Which showing of a page its form came from.
    pub(super) form: Option<u32>,
    /// What it is to remember, if it does not.
    cookie: Option<HeaderValue>,
}

impl Visitor {
    /// Whoever asks for a page.
    pub(super) fn of(web: &Web, headers: &HeaderMap) -> Self {
        match web.keys.buyer(headers) {
            Some(buyer) => Self { buyer, is_known: true, form: None, cookie: None },
            None => Self::new(web),
        }
    }

    /// Whoever sent a form with this key. A browser that keeps no cookies is known by that alone,
    /// so that pressing twice is not two buyers.
    pub(super) fn sent(web: &Web, headers: &HeaderMap, key: Option<&str>) -> Self {
        let form = key.and_then(|key| web.keys.form(key));
        let known = web.keys.buyer(headers);
        match (known, form) {
            (Some(buyer), form) => {
                let form = form.map(|form| form.nth);
                Self { buyer, is_known: true, form, cookie: None }
            }
            (None, Some(form)) if web.keys.is_ours(&form) => {
                let buyer = form.buyer();
                let cookie = Some(web.keys.cookie(&buyer, is_secure(web)));
                Self { buyer, is_known: true, form: Some(form.nth), cookie }
            }
            (None, _) => Self::new(web),
        }
    }

    fn new(web: &Web) -> Self {
        let (entropy, now) = (web.engine.entropy(), web.engine.now());
        let (buyer, cookie) = web.keys.new_buyer(entropy, now, is_secure(web));
        Self { buyer, is_known: false, form: None, cookie: Some(cookie) }
    }

    /// A key for one showing of a form.
    pub(super) fn form_key(&self, web: &Web) -> String {
        let nth = web.engine.entropy().bytes();
        web.keys
            .form_key(&self.buyer, nth.first_chunk().map_or(0, |four| u32::from_le_bytes(*four)))
    }

    /// An answer that lets the browser remember who it is.
    pub(super) fn remembers(self, mut answer: Response) -> Response {
        if let Some(cookie) = self.cookie {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
    }
}

fn is_secure(web: &Web) -> bool {
    web.base_url.starts_with("https://")
}
