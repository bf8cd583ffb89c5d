//! What every answer over HTTP says to a browser.

use super::*;

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let house = house(&[]).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/anything/else"),
        ("GET", "/swaggerui"),
        ("GET", "/api/openapi"),
        ("GET", "/api/rooms/public"),
        ("GET", "/api/me"),
        ("POST", "/api/auth/sign-in"),
        ("GET", "/health/live"),
        ("GET", "/metrics"),
        ("DELETE", "/api/none"),
        ("PUT", "/"),
    ] {
        let answer = ask(&house, method, path, &[], "").await;
        let csp = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        let rules: Vec<&str> = csp.split(';').map(str::trim).collect();
        for rule in [
            "default-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(rules.contains(&rule), "{path}: {csp}");
        }
        for hole in ["unsafe-inline", "unsafe-eval", "http:", "*"] {
            assert!(!csp.contains(hole), "{path}: {csp}");
        }
        assert_eq!(answer.headers("content-security-policy").count(), 1, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.headers("access-control-allow-origin").count(), 0, "{path}");
    }
    house.close().await;
}
