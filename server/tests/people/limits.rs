//! How often one may ask: every route of the document that is limited says so in every answer, and
//! refuses whoever goes on; the others say nothing of the kind.

use super::openapi::METHODS;
use super::them::Them;
use super::*;

/// One that comes back after three seconds or more is used up by who asks without a pause, however slow
/// the machine.
const ATTEMPT_COUNT_MAX: usize = 1000;

/// A limit of more is not used up here.
const LIMIT_TRIED_MAX: u64 = 20;

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name).unwrap_or_else(|| panic!("{name}: {}", answer.head));
    value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
}

/// Limit, what remains, and until when all is there.
fn standing(answer: &Answer) -> (u64, u64, u64) {
    let said = |name: &str| number(answer, &format!("x-ratelimit-{name}"));
    (said("limit"), said("remaining"), said("reset"))
}

/// Somebody who comes from an address of their own.
async fn somebody(house: &House, from: &str, n: usize) -> Them {
    let words = json!({ "email": format!("talker{n}@example.org"), "password": PASSWORD });
    let come = ask(house, "POST", "/api/auth/register", &[from], &words.to_string()).await;
    Them::of(&come)
}

#[tokio::test]
async fn every_limited_route_says_how_it_stands_and_no_other_does() {
    let folder = Folder::new("limits");
    let settings = [("data", folder.0.to_str().unwrap()), ("proxies", "127.0.0.1")];
    let house = house(&settings).await;
    let document = ask(&house, "GET", "/api/openapi", &[], "").await.body;
    let mut tried = Vec::new();
    let mut n = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in METHODS.iter().filter(|method| operations[**method].is_object()) {
            n += 1;
            // Each from an address of its own.
            let from = format!("x-forwarded-for: 192.0.2.{n}");
            let is_talk = path.contains("/chat") && ["post", "patch"].contains(method);
            let mut asked = path.replace("{message}", &"0".repeat(32));
            let mut headers = vec![from.clone()];
            let mut body = "{}".to_owned();
            if is_talk {
                let them = somebody(&house, &from, n).await;
                let room = them.do_it(&house, "POST", "/api/rooms", json!({})).await;
                let id = room.body["room"]["id"].as_str().unwrap();
                asked = asked.replace("{id}", id);
                if *method == "patch" {
                    let talk = asked.rsplit_once('/').unwrap().0;
                    let said = them.do_it(&house, "POST", talk, json!({ "content": "x" })).await;
                    asked = format!("{talk}/{}", said.body["message"]["id"].as_str().unwrap());
                }
                headers.push(them.bearer);
                body = json!({ "content": "x" }).to_string();
            }
            let asked: String = asked
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let verb = method.to_uppercase();
            let knock = || ask(&house, &verb, &asked, &headers, &body);
            let first = knock().await;
            let what = format!("{method} {path}: {} {}", first.status, first.text);
            let operation = &operations[*method];
            if !operation["responses"]["429"].is_object() {
                for name in ["limit", "remaining", "reset"] {
                    let name = format!("x-ratelimit-{name}");
                    assert_eq!(first.header(&name), None, "it is not in the document: {what}");
                }
                continue;
            }
            assert_ne!(first.status, 429, "{what}");
            let (limit, mut remaining, reset) = standing(&first);
            assert!(remaining < limit && reset >= 1, "{what}");
            tried.push(format!("{method} {path} {limit}"));
            if limit > LIMIT_TRIED_MAX {
                continue;
            }
            let mut refused = None;
            for _ in 0..ATTEMPT_COUNT_MAX {
                let answer = knock().await;
                let now = standing(&answer);
                assert_eq!(now.0, limit, "{what}");
                if answer.status == 429 {
                    refused = Some(answer);
                    break;
                }
                remaining = remaining.min(now.1);
            }
            let refused = refused.unwrap_or_else(|| panic!("nobody is refused: {what}"));
            assert_eq!(remaining, 0, "the last that was let in was told so: {what}");
            let (_, remaining, reset) = standing(&refused);
            let retry = number(&refused, "retry-after");
            assert!(remaining == 0 && retry >= 1 && reset >= retry, "{what}: {}", refused.head);
            assert!(refused.body["error"].is_string() && refused.body["code"].is_string());
        }
    }
    tried.sort();
    let expected = [
        "get /api/people 3000",
        "get /api/people/{id} 3000",
        "get /api/rooms/by-code/{code}/ticket 10",
        "get /api/search 3000",
        "patch /api/chat/{message} 5",
        "patch /api/rooms/{id}/chat/{message} 5",
        "post /api/auth/exchange 20",
        "post /api/auth/guest 10",
        "post /api/auth/link 20",
        "post /api/auth/magic-link 10",
        "post /api/auth/refresh 20",
        "post /api/auth/register 5",
        "post /api/auth/sign-in 10",
        "post /api/auth/sign-out 20",
        "post /api/auth/sign-out-everywhere 20",
        "post /api/auth/verify 20",
        "post /api/chat 5",
        "post /api/rooms/join 10",
        "post /api/rooms/verify-ticket 10",
        "post /api/rooms/{id}/chat 5",
        "put /api/me/password 10",
    ];
    assert_eq!(tried, expected);
    house.close().await;
}
