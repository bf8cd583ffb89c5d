//! Who may speak: bearer tokens of devices, viewers and administrators, in three modes
//! (`reference/wire.md` 2.1b, H5).

use std::net::IpAddr;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// How strictly tokens are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Configured tokens only.
    Strict,
    /// Configured tokens, and the word `missing`.
    Dev,
    /// Any string, the empty one included.
    Open,
}

impl Mode {
    pub const NAMES: [&'static str; 3] = ["strict", "dev", "open"];

    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "strict" => Some(Self::Strict),
            "dev" => Some(Self::Dev),
            "open" => Some(Self::Open),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Dev => "dev",
            Self::Open => "open",
        }
    }
}

/// A configured token and whose it is. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedToken {
    pub name: Arc<str>,
    pub token: Box<str>,
}

impl std::fmt::Debug for NamedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NamedToken({})", self.name)
    }
}

/// Who somebody is when nobody asked.
pub const ANONYMOUS: &str = "anonymous";

/// The token does not open this door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unauthorized;

/// Why somebody is no administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// There are tokens for it, and this is none of them.
    Token(Unauthorized),
    /// Nobody is, from there, as this server is set up.
    Nobody,
}

#[derive(Debug)]
pub struct Auth {
    pub mode: Mode,
    pub device_tokens: Vec<NamedToken>,
    pub viewer_tokens: Vec<NamedToken>,
    pub admin_tokens: Vec<NamedToken>,
}

impl Auth {
    /// The owner of what a device with this token sends. `None`: the token was null or not a
    /// string, which no mode takes.
    pub fn device(&self, token: Option<&str>) -> Result<Arc<str>, Unauthorized> {
        let token = token.ok_or(Unauthorized)?;
        self.admit(&self.device_tokens, token)
    }

    /// Who asks for a viewer, by its `Authorization` header. Without a token only strict refuses.
    pub fn viewer(&self, authorization: Option<&str>) -> Result<Arc<str>, Unauthorized> {
        match (bearer(authorization), self.mode) {
            (Some(token), Mode::Strict) => find(&self.viewer_tokens, token).ok_or(Unauthorized),
            (Some(token), _) => {
                Ok(find(&self.viewer_tokens, token).unwrap_or_else(|| ANONYMOUS.into()))
            }
            (None, Mode::Strict) => Err(Unauthorized),
            (None, _) => Ok(ANONYMOUS.into()),
        }
    }

    /// Whether whoever sends this `Authorization` header from this address may see what concerns
    /// everybody. Where no `admin_tokens` are configured, whoever is on this machine may, unless
    /// the mode is strict.
    pub fn administrator(
        &self,
        authorization: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<(), Forbidden> {
        if !self.admin_tokens.is_empty() {
            let known = bearer(authorization).and_then(|token| find(&self.admin_tokens, token));
            return known.map(drop).ok_or(Forbidden::Token(Unauthorized));
        }
        let is_here = peer.is_some_and(|peer| peer.is_loopback());
        if self.mode != Mode::Strict && is_here { Ok(()) } else { Err(Forbidden::Nobody) }
    }

    fn admit(&self, tokens: &[NamedToken], token: &str) -> Result<Arc<str>, Unauthorized> {
        if let Some(name) = find(tokens, token) {
            return Ok(name);
        }
        match self.mode {
            Mode::Open => Ok(ANONYMOUS.into()),
            Mode::Dev if token == "missing" => Ok(ANONYMOUS.into()),
            _ => Err(Unauthorized),
        }
    }
}

/// The token of an `Authorization` header.
pub(crate) fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Compares with every token, each in constant time, so that time says nothing of which matched.
fn find(tokens: &[NamedToken], token: &str) -> Option<Arc<str>> {
    let mut found = None;
    for known in tokens {
        if bool::from(known.token.as_bytes().ct_eq(token.as_bytes())) {
            found = Some(Arc::clone(&known.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_takes_the_tokens_of_its_table() {
        let auth = |mode| Auth {
            mode,
            device_tokens: vec![NamedToken { name: "anna".into(), token: "secret".into() }],
            viewer_tokens: vec![],
            admin_tokens: vec![],
        };
        let table = [
            // token, strict, dev, open
            (Some(""), [None, None, Some(ANONYMOUS)]),
            (None, [None, None, None]),
            (Some("missing"), [None, Some(ANONYMOUS), Some(ANONYMOUS)]),
            (Some("fake"), [None, None, Some(ANONYMOUS)]),
            (Some("guest:guest_a:b"), [None, None, Some(ANONYMOUS)]),
            (Some("secret"), [Some("anna"), Some("anna"), Some("anna")]),
            (Some("secret "), [None, None, Some(ANONYMOUS)]),
        ];
        for (token, expected) in table {
            for (mode, expected) in [Mode::Strict, Mode::Dev, Mode::Open].into_iter().zip(expected)
            {
                assert_eq!(
                    auth(mode).device(token).ok().as_deref(),
                    expected,
                    "{token:?} {mode:?}"
                );
            }
        }
    }

    #[test]
    fn strict_asks_viewers_for_a_bearer_token() {
        let auth = |mode| Auth {
            mode,
            device_tokens: vec![],
            viewer_tokens: vec![NamedToken { name: "eve".into(), token: "v".into() }],
            admin_tokens: vec![],
        };
        assert_eq!(auth(Mode::Strict).viewer(Some("Bearer v")).as_deref(), Ok("eve"));
        assert!(auth(Mode::Strict).viewer(Some("Bearer w")).is_err());
        assert!(auth(Mode::Strict).viewer(None).is_err());
        assert_eq!(auth(Mode::Dev).viewer(None).as_deref(), Ok(ANONYMOUS));
    }

    #[test]
    fn an_administrator_has_a_token_or_sits_at_the_machine() {
        let auth = |mode, tokens: &[&str]| Auth {
            mode,
            device_tokens: vec![],
            viewer_tokens: vec![NamedToken { name: "eve".into(), token: "v".into() }],
            admin_tokens: tokens
                .iter()
                .map(|token| NamedToken { name: "root".into(), token: (*token).into() })
                .collect(),
        };
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        let away = Some(IpAddr::from([192, 0, 2, 1]));
        for mode in [Mode::Strict, Mode::Dev, Mode::Open] {
            let with = auth(mode, &["a"]);
            assert_eq!(with.administrator(Some("Bearer a"), away), Ok(()));
            for wrong in [None, Some("Bearer v"), Some("Bearer "), Some("a")] {
                let refused = Err(Forbidden::Token(Unauthorized));
                assert_eq!(with.administrator(wrong, here), refused, "{wrong:?}");
            }
            let without = auth(mode, &[]);
            assert_eq!(without.administrator(Some("Bearer v"), away), Err(Forbidden::Nobody));
            assert_eq!(without.administrator(None, None), Err(Forbidden::Nobody));
            let at_home = if mode == Mode::Strict { Err(Forbidden::Nobody) } else { Ok(()) };
            assert_eq!(without.administrator(None, here), at_home, "{mode:?}");
        }
    }
}
