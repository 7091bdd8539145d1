//! The console: one page, its modules and its style, carried by the binary. It speaks only the public API.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use stdx::digest::Digest;

/// Nothing but our own scripts and styles, no frames, no forms elsewhere; the page itself never writes markup.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);
/// Kept, and asked about each time: a new Remit shows at once.
const CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The URLs of pages. All are the same document; its script reads the path.
const PAGES: [&str; 14] = [
    "/login",
    "/inbox",
    "/inbox/{call}",
    "/runs",
    "/runs/{run}",
    "/calls",
    "/calls/{call}",
    "/agents",
    "/agents/{agent}",
    "/tools",
    "/tools/{tool}",
    "/rules",
    "/spend",
    "/ledger",
];

struct Asset {
    path: &'static str,
    kind: HeaderValue,
    bytes: &'static [u8],
    tag: HeaderValue,
}

macro_rules! assets {
    ($($kind:literal: $($name:literal)+;)+) => {
        vec![$($(Asset::new(
            concat!("/console/", $name),
            $kind,
            include_bytes!(concat!("../assets/console/", $name)),
        ),)+)+]
    };
}

static SHELL: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("/", "text/html; charset=utf-8", include_bytes!("../assets/console/index.html"))
});

fn assets() -> Vec<Asset> {
    assets! {
        "text/javascript; charset=utf-8": "app.js" "api.js" "dom.js" "parts.js" "live.js" "now.js" "runs.js" "calls.js"
            "plans.js" "family.js" "incident.js" "change.js" "agents.js" "inbox.js" "tools.js" "rules.js"
            "spend.js" "ledger.js" "login.js";
        "text/css; charset=utf-8": "console.css";
        "image/svg+xml": "icon.svg";
    }
}

impl Asset {
    fn new(path: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
        let tag = HeaderValue::from_str(&format!("\"{}\"", Digest::of(bytes).short()));
        let tag = tag.unwrap_or(HeaderValue::from_static("\"\""));
        Asset { path, kind: HeaderValue::from_static(kind), bytes, tag }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let fixed: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_TYPE, self.kind.clone()),
            (header::CACHE_CONTROL, CACHE),
            (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
            (header::ETAG, self.tag.clone()),
            (header::VARY, HeaderValue::from_static("Accept")),
        ];
        if headers.get(header::IF_NONE_MATCH) == Some(&self.tag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        (fixed, Bytes::from_static(self.bytes)).into_response()
    }
}

/// The pages and what they load. Nothing here is anybody's secret, so nobody is asked who they are.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut routes = Router::new();
    for page in PAGES {
        routes = routes.route(page, get(|headers: HeaderMap| async move { shell(&headers) }));
    }
    for asset in assets() {
        let (path, asset) = (asset.path, Arc::new(asset));
        routes = routes.route(path, get(async move |headers: HeaderMap| asset.answer(&headers)));
    }
    routes
}

pub(crate) fn shell(headers: &HeaderMap) -> Response {
    SHELL.answer(headers)
}

/// Whether a browser asks for a page.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|text| text.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html")
    })
}
