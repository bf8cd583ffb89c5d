//! An engine names the devices it has, in the words that would open the same feeds again.

use components::command::Command;
use tests::Lab;

#[test]
fn open_feeds_are_named_with_their_attributes() {
    let mut lab = Lab::new();
    let ada = lab.join_as("ada", "one");
    lab.send("ada", "ecg", 1, "0.5");
    lab.send("ada", "imu", 1, "{\"x\":1}");
    lab.join_as("ben", "two");
    lab.tick();
    lab.leave("ben");
    lab.run(8_000);
    let words = lab.engine.devices();
    let [Command::OpenFeed { feed, card, owner }, attributes @ ..] = &words[..] else {
        panic!("{words:?}");
    };
    assert_eq!((*feed, &*card.sensor_id, &**owner), (ada, "ada", "one"));
    let told: Vec<(u16, &str, &str)> = attributes
        .iter()
        .map(|word| match word {
            Command::DeclareAttribute { feed, index, attribute_id, kind, .. } if *feed == ada => {
                (*index, &**attribute_id, kind.name())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(0, "ecg", "ecg"), (1, "imu", "imu")]);
}
