//! Who may ask the service what: hosts, methods, origins, tokens.
//!
//! Owns the decisions, each a line of VIEW.md §5.4, made on the head of a request alone. A page of another site that a
//! browser is on can reach loopback addresses, under any name that its owner lets point there: so the host must be one of
//! ours, and what changes anything must bring a token. Must not know what is asked for.

use super::answer::Problem;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The header that brings the token.
pub(super) const TOKEN_HEADER: &str = "x-vr-token";
/// The cookie that brings it, where looking needs it too.
const COOKIE: &str = "vr-token";

/// 128 random bits, in hexadecimal.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// A new one.
    pub(super) fn new() -> Result<Self, String> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| format!("the operating system gives no random numbers: {error}"))?;
        Ok(Self(format!("{:032x}", u128::from_le_bytes(bits))))
    }

    /// Is it this? Takes as long whichever digit differs.
    fn is(&self, said: &str) -> bool {
        let (ours, said) = (self.0.as_bytes(), said.as_bytes());
        ours.len() == said.len() && ours.iter().zip(said).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What a service at an address allows.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    address: SocketAddr,
    /// What changes anything, and on an exposed address everything, must bring it.
    token: Option<Token>,
    /// Is there anything to be changed?
    takes_posts: bool,
}

impl Guard {
    pub(super) const fn new(address: SocketAddr, token: Option<Token>, takes_posts: bool) -> Self {
        Self { address, token, takes_posts }
    }

    /// Is this request allowed?
    pub(super) fn check(&self, head: &Parts) -> Result<(), Problem> {
        if !self.is_ours(head) {
            return Err(Problem::BadHost);
        }
        match head.method {
            Method::GET | Method::HEAD => {}
            Method::POST if self.takes_posts && head.uri.path().starts_with("/api/v1/lab/") => {
                return self.may_change(head);
            }
            _ => return Err(Problem::MethodNotAllowed("GET, HEAD")),
        }
        if !self.is_exposed() || self.is_admitted(&head.headers) || self.brings_token(head) {
            return Ok(());
        }
        Err(Problem::Forbidden("the address that was printed has a token"))
    }

    /// Does it come with the token in its address, as it was printed? Then a cookie takes its place.
    pub(super) fn cookie_for(&self, head: &Parts) -> Option<String> {
        let token = self.token.as_ref().filter(|_| self.is_exposed() && self.brings_token(head))?;
        Some(format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"))
    }

    const fn is_exposed(&self) -> bool {
        !self.address.ip().is_loopback()
    }

    /// Is the host that it is for this one, by a name that only this machine gives it?
    fn is_ours(&self, head: &Parts) -> bool {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let said = host.to_str().is_ok_and(|host| self.is_our_name(host));
        said && head.uri.authority().is_none_or(|authority| self.is_our_name(authority.as_str()))
    }

    fn is_our_name(&self, host: &str) -> bool {
        let is_bare_v6 = host.ends_with(']');
        let (name, port) = match host.rsplit_once(':').filter(|_| !is_bare_v6) {
            Some((name, port)) => (name, port.parse().ok()),
            None => (host, Some(80)),
        };
        if port != Some(self.address.port()) {
            return false;
        }
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let digits = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        // Without a name there is nothing that could be made to point here.
        let Ok(ip) = digits.parse::<IpAddr>() else { return false };
        let mine = self.address.ip();
        ip.is_loopback() || ip == mine || mine.is_unspecified()
    }

    fn may_change(&self, head: &Parts) -> Result<(), Problem> {
        let headers = &head.headers;
        if let Some(origin) = headers.get(header::ORIGIN) {
            let host = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            if !host.is_some_and(|host| self.is_our_name(host)) {
                return Err(Problem::Forbidden("a page of another origin asks"));
            }
        }
        if !self.is_admitted_by_header(headers) {
            return Err(Problem::Forbidden("the token is missing or wrong: open the address that was printed"));
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Problem::NotJson) }
    }

    fn is_admitted_by_header(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(TOKEN_HEADER).and_then(|token| token.to_str().ok());
        self.is_token(said)
    }

    fn is_admitted(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        self.is_admitted_by_header(headers) || pairs.any(|(name, token)| name == COOKIE && self.is_token(Some(token)))
    }

    fn brings_token(&self, head: &Parts) -> bool {
        let mut pairs = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        head.uri.path() == "/" && pairs.any(|(name, token)| name == "token" && self.is_token(Some(token)))
    }

    fn is_token(&self, said: Option<&str>) -> bool {
        self.token.as_ref().zip(said).is_some_and(|(token, said)| token.is(said))
    }
}

#[cfg(test)]
mod tests;
