//! The page of a mode, as this service gives it out.
//!
//! Owns which page that is, and its policy. Must not know what is on it: `vr_sim::view` does. VIEW.md §4.

use super::answer;
use super::routes::Mode;
use http::{HeaderValue, Response, header};
use vr_sim::view::page::{Page, Source, header_policy, html};
use vr_tokio::AnswerBody;

/// The page of a mode.
pub(super) fn page(mode: &Mode, name: &str) -> Response<AnswerBody> {
    let source = match mode {
        Mode::Live(_) => Source::Live,
        Mode::Trace(_) => Source::Trace,
        Mode::Lab(_) => Source::Lab,
    };
    let mut response = answer::whole("text/html; charset=utf-8", html(&Page::of(source, name)));
    if let Ok(policy) = HeaderValue::try_from(header_policy(source)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
