//! The listener: pages for viewers, claims, webhooks, views as JSON and as a stream.
//!
//! Nothing here decides. GET changes nothing. Bodies, connections and waits are bounded.

mod answers;
mod api;
mod asset;
pub mod buyer;
pub mod desk;
mod desk_page;
pub mod door;
mod events;
mod extras;
mod hold;
mod holds;
pub mod hosts;
mod live;
pub mod made;
mod ops;
mod overlay;
mod page;
pub mod peer;
pub mod places;
mod qr;
pub mod serve;
pub mod settings;
mod timely;
mod told;
mod visitor;
mod webhook;

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

use self::{
    buyer::Keys,
    desk::Logins,
    door::Doors,
    hosts::Hosts,
    made::{Events, Pages},
    page::photo_origins,
    peer::StrangeProxies,
    serve::Served,
};
use crate::{
    chat::Chat,
    engine::Engine,
    gate::Gate,
    meter,
    net::AddressRange,
    platform::Platform,
    sale::{event::ClaimLimits, template::Templates},
    secret::Secret,
};

/// A webhook larger than this is turned away with 413.
const WEBHOOK_MAX: usize = 256 * 1024;

/// The same for everything that people send.
const FORM_MAX: usize = 32 * 1024;

/// What the pages need.
pub struct Web {
    /// The engine.
    pub engine: Engine,
    /// The shop's name.
    pub shop_name: String,
    /// What browsers call us, without a slash at the end.
    pub base_url: String,
    /// Keys for cookies, tokens and marks of addresses.
    pub keys: Keys,
    /// Proxies whose word is taken.
    pub trusted_proxies: Vec<AddressRange>,
    /// Names we are asked by.
    pub hosts: Hosts,
    /// Bounds on greed.
    pub limits: ClaimLimits,
    /// Bounds on connections and streams.
    pub doors: Doors,
    /// Checks codes before claims.
    pub gate: Gate,
    /// Whether the sandbox's pages are for everybody.
    pub sandbox_public: bool,
    /// Moderators' lines typed at the desk go in here.
    pub chat: Arc<Chat>,
    /// The templates in use.
    pub templates: Templates,
    /// Opens the desk; without one there is none.
    pub desk_token: Secret,
    /// Chat services, to say how they stand.
    pub platforms: Vec<Arc<dyn Platform>>,
    /// What it remembers from one request to the next.
    pub memory: Memory,
    /// Ends streams when the program stops.
    pub stop: CancellationToken,
}

impl Web {
    /// Whether a template's provider takes pretended money only.
    fn pretends(&self, provider: &str) -> bool {
        self.engine.provider(provider).is_some_and(|one| !one.capabilities().real_money)
    }

    /// Whether nothing that is sold here costs real money.
    fn only_pretends(&self) -> bool {
        let templates = self.templates.read().unwrap_or_else(PoisonError::into_inner);
        templates.values().all(|template| self.pretends(&template.provider))
    }
}

/// What is remembered from one request to the next; nothing of it is missed after a restart.
#[derive(Default)]
pub struct Memory {
    /// Wrong tries at the desk.
    pub logins: Logins,
    /// Sales' pages as strangers see them.
    pub pages: Pages,
    /// What streams tell.
    pub events: Events,
    /// Proxies of our own network that are not listed.
    pub strange_proxies: StrangeProxies,
    /// The QR code of the link.
    pub qr: qr::Picture,
}

/// Everything we serve, within its bounds; `sandbox` goes under `/sandbox`.
///
/// What holds for every request stands around the router, not inside it: there it would cost each
/// request a copy of every layer.
pub fn service(web: Arc<Web>, sandbox: Router) -> impl Served {
    let (policy, requests) = (Policy::new(&web), meter::Requests::new(PARTS));
    let shell = Arc::new(Shell { web: web.clone(), policy, requests });
    // What announces itself as too large is turned away before it is read.
    let router = router(web, sandbox);
    let up_to = |max, router| {
        ServiceBuilder::new()
            .layer(RequestBodyLimitLayer::new(max))
            .layer(DefaultBodyLimit::max(max))
            .service(router)
    };
    let (forms, webhooks) = (up_to(FORM_MAX, router.clone()), up_to(WEBHOOK_MAX, router));
    let answers = service_fn(move |request: Request| {
        let is_webhook = request.uri().path().starts_with("/webhooks/");
        let within = if is_webhook { webhooks.clone() } else { forms.clone() };
        answer(shell.clone(), within, request)
    });
    ServiceBuilder::new().layer(CatchPanicLayer::new()).service(answers)
}

fn router(web: Arc<Web>, sandbox: Router) -> Router {
    let sandbox = sandbox.layer(from_fn_with_state(web.clone(), peer::private_only));
    Router::new()
        .route("/", get(live::home))
        .route("/live", get(live::live))
        .route("/overlay", get(overlay::overlay))
        .route("/qr.svg", get(qr::qr))
        .route("/sales/{id}", get(live::sale))
        .route("/sales/{id}/events", get(events::events))
        .route("/sales/{id}/holds", post(holds::claim))
        .route("/sales/{id}/line", post(holds::join))
        .route("/holds/{token}", get(hold::show))
        .route("/holds/{token}/accept", post(holds::accept))
        .route("/holds/{token}/release", post(holds::release))
        .merge(desk::routes(&web))
        .route("/api/sales", get(api::sales))
        .route("/api/sales/{id}", get(api::sale))
        .route("/webhooks/{provider}", post(webhook::webhook))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/assets/{name}", get(asset::asset))
        .fallback(live::not_found)
        .with_state(web)
        .nest("/sandbox", sandbox)
}

/// What stands around the router.
struct Shell {
    web: Arc<Web>,
    policy: Policy,
    requests: meter::Requests<{ PARTS.len() }>,
}

/// Answers a request: turns away forms from other sites, gives pages their headers, counts.
async fn answer(
    shell: Arc<Shell>,
    within: impl Served,
    request: Request,
) -> Result<Response, Infallible> {
    let method = request.method().clone();
    // A path may hold a buyer's token: only its first part is logged.
    let nth = part_of(request.uri().path());
    let part = PARTS[nth];
    let is_form = !method.is_safe() && !takes_from_others(part);
    let mut answer = if !takes_any_name(part) && !is_for_us(&shell.web, &request) {
        (StatusCode::MISDIRECTED_REQUEST, NOT_OURS).into_response()
    } else if is_form && !is_same_origin(&shell.web, request.headers()) {
        (StatusCode::FORBIDDEN, "This form was sent from another site.\n").into_response()
    } else {
        within.oneshot(request).await?.map(Body::new)
    };
    if is_for_people(part) {
        shell.policy.apply(&mut answer);
    }
    let status = answer.status().as_u16();
    shell.requests.answered(nth, status);
    tracing::debug!(%method, path = part, status, "served");
    Ok(answer)
}

/// What whoever asks by another name reads.
const NOT_OURS: &str = "This shop is not called so. If it is yours, add the name to http.hosts in \
                        config.toml.\n";

/// Asked for by programs, which may call us by any name.
fn takes_any_name(part: &str) -> bool {
    matches!(part, "webhooks" | "healthz" | "readyz" | "metrics")
}

/// Whether a request names this shop; only programs send none.
fn is_for_us(web: &Web, request: &Request) -> bool {
    let host = request.headers().get(header::HOST);
    let named = request.uri().authority();
    host.is_none_or(|host| web.hosts.serve(host.as_bytes()))
        && named.is_none_or(|named| web.hosts.serve(named.as_str().as_bytes()))
}

/// What is posted there comes from programs, or from a payment page.
fn takes_from_others(part: &str) -> bool {
    matches!(part, "webhooks" | "sandbox")
}

/// Everything else is for programs, or brings headers of its own.
fn is_for_people(part: &str) -> bool {
    !matches!(part, "api" | "assets" | "healthz" | "metrics" | "readyz" | "sandbox" | "webhooks")
}

/// First parts of our paths; whatever else is asked for becomes no label.
const PARTS: [&str; 14] = [
    "other", "desk", "live", "sales", "holds", "api", "webhooks", "assets", "overlay", "qr.svg",
    "healthz", "readyz", "metrics", "sandbox",
];

/// Which of [`PARTS`] a path begins with.
fn part_of(path: &str) -> usize {
    let first = path.split('/').nth(1).unwrap_or_default();
    PARTS.iter().position(|known| *known == first).unwrap_or(0)
}

/// Whether a form comes from a page of ours.
fn is_same_origin(web: &Web, headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers say so themselves, and no page can make them say otherwise.
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin") => return true,
        Some("cross-site") => return false,
        _ => {}
    }
    match text(header::ORIGIN) {
        // Old browsers and scripts send none; the cookie is SameSite=Lax.
        None => !headers.contains_key(header::ORIGIN),
        Some(origin) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            origin == web.base_url || (host.is_some() && host == text(header::HOST))
        }
    }
}

/// What a page of ours may load, and where its forms may lead; but for its photos, it is the same
/// for every page.
struct Policy {
    forms: String,
    /// Of a page without photos.
    plain: Option<HeaderValue>,
}

impl Policy {
    fn new(web: &Web) -> Self {
        let mut hosts: Vec<String> =
            web.engine.providers().flat_map(|provider| provider.checkout_hosts()).collect();
        hosts.sort();
        let mut policy = Self { forms: hosts.join(" "), plain: None };
        policy.plain = policy.with("");
        policy
    }

    fn with(&self, photos: &str) -> Option<HeaderValue> {
        let forms = &self.forms;
        let text = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             img-src 'self' data:{photos}; form-action 'self' {forms}; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        HeaderValue::from_str(&text).ok()
    }

    /// Gives a page for people its headers.
    fn apply(&self, answer: &mut Response) {
        let is_page = !answer.status().is_redirection();
        let photos = photo_origins(answer);
        let headers = answer.headers_mut();
        headers.reserve(4);
        // A buyer's own address is told to nobody else. (With "no-referrer", browsers would send
        // our own forms with an Origin of "null".)
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        // Whoever is sent on sees nothing of ours.
        if is_page {
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            let policy = if photos.is_empty() { self.plain.clone() } else { self.with(&photos) };
            headers.extend(policy.map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
        }
    }
}
