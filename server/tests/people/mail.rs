//! A link to sign in with comes by mail, to whoever has an account, once.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::them::{Them, open_house};
use super::*;

/// A mail server that takes everything; what it took, each mail with its recipients before it.
async fn mail_server() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (took, taken) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let took = took.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let mut mail: Option<String> = None;
                let mut envelope = String::new();
                write.write_all(b"220 mail.test\r\n").await.unwrap();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match &mut mail {
                        Some(text) if line == "." => {
                            let _ = took.try_send(std::mem::take(text));
                            mail = None;
                            "250 taken"
                        }
                        Some(text) => {
                            text.push_str(&line);
                            text.push('\n');
                            continue;
                        }
                        None if line.starts_with("RCPT") => {
                            envelope.push_str(&format!("{line}\n"));
                            "250 ok"
                        }
                        None if line == "DATA" => {
                            mail = Some(std::mem::take(&mut envelope));
                            "354 go on"
                        }
                        None if line == "QUIT" => "221 bye",
                        None => "250 ok",
                    };
                    write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, taken)
}

async fn mailing(server: SocketAddr) -> House {
    house(&[
        ("mail", &format!("smtp://{server}")),
        ("mail_from", "Sensocto <mail@example.org>"),
        ("public_url", "https://sensocto.example.org/"),
        ("address_limit_factor", "1000"),
    ])
    .await
}

async fn ask_for_link(house: &House, email: &str) -> Answer {
    post(house, "/api/auth/magic-link", json!({ "email": email })).await
}

#[tokio::test]
async fn a_link_that_came_by_mail_signs_its_reader_in_once() {
    let (server, mut mails) = mail_server().await;
    let house = mailing(server).await;
    let anna = Them::person(&house, "anna").await;
    let unknown = ask_for_link(&house, "nobody@example.org").await;
    let known = ask_for_link(&house, " Anna@Example.org").await;
    assert_eq!((unknown.status, &unknown.body), (202, &known.body), "the same to both");
    assert_eq!(known.text("by"), "mail");
    let bare = open_house().await;
    assert_eq!(ask_for_link(&bare, "nobody@example.org").await.text("by"), "log");
    bare.close().await;
    let mail = timeout(PATIENCE, mails.recv()).await.expect("it comes").unwrap();
    assert!(mail.starts_with("RCPT TO:<Anna@Example.org>\n"), "{mail}");
    assert!(mail.contains("From: Sensocto <mail@example.org>"), "{mail}");
    let mail = mail.replace("=\n", "");
    let link = "https://sensocto.example.org/#/enter/";
    let token = mail.split(link).nth(1).expect("a link").split_whitespace().next().unwrap();
    let exchange = || post(&house, "/api/auth/exchange", json!({ "token": token }));
    let come = exchange().await;
    assert_eq!((come.status, &come.body["user"]["id"]), (200, &json!(anna.id)), "{}", come.body);
    assert_eq!(exchange().await.status, 401, "once");
    assert!(mails.try_recv().is_err(), "nobody else was written to");
    let metrics = ask(&house, "GET", "/metrics", &[], "").await.text;
    assert!(metrics.contains("sensocto_mails_total{outcome=\"sent\"} 1"), "{metrics}");
    house.close().await;
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_left_in_peace_and_nobody_learns_who_has_an_account() {
    let (server, mails) = mail_server().await;
    let house = mailing(server).await;
    Them::person(&house, "anna").await;
    drop(mails);
    // Nobody listens there any more.
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    house.close().await;
    let house = mailing(away).await;
    Them::person(&house, "anna").await;
    let asking = async {
        loop {
            let answer = ask_for_link(&house, "anna@example.org").await;
            if answer.status != 202 {
                return answer;
            }
        }
    };
    let refused = timeout(PATIENCE, asking).await.expect("the breaker opens");
    assert_eq!((refused.status, refused.text("code")), (503, "mail_unavailable"));
    let unknown = ask_for_link(&house, "nobody@example.org").await;
    assert_eq!((unknown.status, &unknown.body), (503, &refused.body), "the same to both");
    let metrics = ask(&house, "GET", "/metrics", &[], "").await.text;
    assert!(metrics.contains("sensocto_mail_breaker_open 1"), "{metrics}");
    house.close().await;
}

#[test]
fn mail_is_set_as_a_whole_and_its_password_is_in_no_error() {
    let check = |settings: &[(&str, &str)]| {
        let mut given = Given::default();
        for (key, value) in settings {
            given.flag(key, *value).unwrap();
        }
        given.check().map(drop).map_err(|error| error.to_string())
    };
    let server = ("mail", "smtps://anna:secret@mail.example.org");
    let from = ("mail_from", "mail@example.org");
    let url = ("public_url", "https://sensocto.example.org");
    assert_eq!(check(&[server, from, url]), Ok(()));
    for (settings, part) in [
        (&[server][..], "mail_from"),
        (&[server, from], "public_url"),
        (&[("mail", "anna:secret@mail.example.org"), from, url], "smtp://"),
        (&[server, ("mail_from", "nobody"), url], "mail_from"),
        (&[server, from, ("public_url", "sensocto.example.org")], "https://"),
    ] {
        let problem = check(settings).unwrap_err();
        assert!(problem.contains(part) && !problem.contains("secret"), "{problem}");
    }
}
