//! A recording played into a server that goes away in the middle of it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use simulator::cli::{Play, Speed};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// Answers one connection until it has `cut_after` samples, and drops it then without a word.
/// Returns all samples as value and timestamp.
async fn serve(stream: TcpStream, cut_after: usize) -> Vec<(i64, i64)> {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let mut samples = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let (join_ref, reference, topic, event, payload): (Value, Value, String, String, Value) =
            serde_json::from_str(&text).unwrap();
        let mut take = |sample: &Value| {
            let number = |key: &str| sample[key].as_i64().unwrap();
            samples.push((number("payload"), number("timestamp")));
        };
        match event.as_str() {
            "measurement" => take(&payload),
            "measurements_batch" => payload.as_array().unwrap().iter().for_each(take),
            _ => {
                let reply = json!({"status": "ok", "response": payload});
                let reply = json!([join_ref, reference, topic, "phx_reply", reply]).to_string();
                let _ = socket.send(Message::text(reply)).await;
            }
        }
        if event == "phx_join" && topic.starts_with("sensocto:sensor:") {
            let pacing = json!({"recommended_batch_window": 50, "recommended_batch_size": 7});
            let push = json!([join_ref, null, topic, "backpressure_config", pacing]).to_string();
            let _ = socket.send(Message::text(push)).await;
        }
        if samples.len() >= cut_after {
            break;
        }
    }
    samples
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_goes_away_in_the_middle() {
    const COUNT: i64 = 4000;
    let folder = std::env::temp_dir().join(format!("sensocto-play-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("numbers.csv");
    let lines: String = (0..COUNT).map(|n| format!("{n}\n")).collect();
    std::fs::write(&file, format!("value\n{lines}")).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let play = Play {
        file,
        rate: 360.0,
        attribute: "ecg".into(),
        to: format!("http://{}", listener.local_addr().unwrap()),
        column: None,
        sensor_id: None,
        sensor_name: None,
        sensor_type: None,
        speed: Speed::Max,
        repeat: false,
        token: "missing".into(),
        start_now: false,
        start: Some(1_000_000),
    };
    let server = async {
        let mut lives = Vec::new();
        for cut_after in [1200, 900, usize::MAX] {
            let (stream, _) = listener.accept().await.unwrap();
            lives.push(serve(stream, cut_after).await);
        }
        lives
    };
    let (played, lives) = tokio::join!(play.run(), server);
    std::fs::remove_dir_all(&folder).unwrap();
    played.unwrap();

    let stamp = |n: i64| 1_000_000 + (n as f64 * 1000.0 / 360.0).round() as i64;
    let mut behind = 0;
    for life in &lives {
        let (first, _) = life[0];
        assert!(first <= behind, "a gap between {behind} and {first}");
        assert!(
            behind - first <= 2000,
            "{} sent again, more than what was on its way",
            behind - first
        );
        for (expected, sample) in (first..).zip(life) {
            assert_eq!(*sample, (expected, stamp(expected)));
        }
        behind = first + life.len() as i64;
    }
    assert_eq!(behind, COUNT);
}
