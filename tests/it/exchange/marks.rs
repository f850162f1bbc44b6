//! Which regions of a hub lack readings of a node that sends to it.

use http::Method;
use serde_json::{Value, json};

use super::linked::Linked;
use super::stories::{readings_of, settle};
use crate::corrections_of_all::in_steps;
use crate::support::readings::{DAY, HOUR, MINUTE};

/// What each region of the hub lacks, in the order of their names.
fn lacking(linked: &mut Linked) -> Vec<(String, Value)> {
    let answer = linked.hub.read("/v1/regions");
    linked.pass(0);
    let name = |region: &Value| region["region"].as_str().unwrap().to_owned();
    let lack = |region: &Value| json!([region["behind_senders"], region["behind"]]);
    let regions = answer["regions"].as_array().unwrap().iter();
    let all: Vec<_> = regions.map(|region| (name(region), lack(region))).collect();
    for (name, lack) in &all {
        let region = linked.hub.read(&format!("/v1/regions/{name}"));
        linked.pass(0);
        assert_eq!(json!([region["behind_senders"], region["behind"]]), *lack, "{name} alone");
    }
    all
}

fn of(regions: &[(&str, &[&str])]) -> Vec<(String, Value)> {
    let lack = |behind: &[&str]| json!([behind.len(), behind]);
    regions.iter().map(|(name, behind)| ((*name).to_owned(), lack(behind))).collect()
}

/// The gateway gets ten readings of this region.
fn accept(linked: &mut Linked, region: &str) {
    let body = readings_of(linked, region, region, (0..10).map(|age| age * MINUTE));
    linked.gateway.accept(&body);
}

/// A gateway that measures in the hall and the attic, and a hub that measures on its roof.
fn hall_attic_and_roof() -> Linked {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "hall");
    accept(&mut linked, "attic");
    settle(&mut linked, 2);
    let own = readings_of(&linked, "own", "roof", (0..10).map(|age| age * MINUTE));
    linked.hub.accept(&own);
    linked
}

#[test]
fn a_region_lacks_readings_while_a_node_that_sent_of_it_is_silent_and_others_do_not() {
    let mut linked = hall_attic_and_roof();
    let nothing = of(&[("attic", &[]), ("hall", &[]), ("roof", &[])]);
    assert_eq!(lacking(&mut linked), nothing);
    linked.pass(HOUR);
    let two = of(&[("attic", &["gw-1"]), ("hall", &["gw-1"]), ("roof", &[])]);
    assert_eq!(lacking(&mut linked), two);
    // Of a range, what is lacking is in the coverage alone.
    let day = format!("/v1/regions/hall?from={}&to={}", linked.now - DAY, linked.now);
    let region = linked.hub.read(&day);
    let said = ["behind_senders", "behind", "silent_senders"].map(|name| region[name].clone());
    assert_eq!(said, [json!(null), json!(null), json!(1)]);
    linked.pass(0);
    linked.beat();
    linked.pass(0);
    assert_eq!(lacking(&mut linked), nothing);
}

#[test]
fn a_region_lacks_readings_while_a_node_that_sent_of_it_is_behind_by_more_than_two_minutes() {
    let mut linked = hall_attic_and_roof();
    linked.hub.fold();
    for (minutes, behind) in [(2, &[][..]), (3, &["gw-1"])] {
        linked.hub.execute(&format!("UPDATE senders SET minutes = {minutes}"));
        linked.pass(0);
        let expected = of(&[("attic", behind), ("hall", behind), ("roof", &[])]);
        assert_eq!(lacking(&mut linked), expected, "{minutes} minutes");
    }
    // It says itself that it has nothing more to send.
    linked.beat();
    linked.pass(0);
    assert_eq!(lacking(&mut linked), of(&[("attic", &[]), ("hall", &[]), ("roof", &[])]));
}

#[test]
fn what_was_renamed_or_merged_at_the_hub_goes_on_lacking_readings() {
    let mut linked = hall_attic_and_roof();
    in_steps(&linked.hub, json!({"region": "hall", "rename": "lobby", "reason": "a new name"}));
    in_steps(&linked.hub, json!({"region": "attic", "rename": "roof", "reason": "one room"}));
    linked.pass(HOUR);
    let lack = of(&[("lobby", &["gw-1"]), ("roof", &["gw-1"])]);
    assert_eq!(lacking(&mut linked), lack);
    // The gateway sends under the old names, and is known by them.
    let node = linked.hub.read("/v1/senders")["nodes"][0]["node"].clone();
    let forget = format!("/v1/senders/{}", node.as_str().unwrap());
    assert_eq!(linked.hub.change(Method::DELETE, &forget, "").status, 200);
    linked.pass(0);
    assert_eq!(lacking(&mut linked), of(&[("lobby", &[]), ("roof", &[])]));
    accept(&mut linked, "hall");
    accept(&mut linked, "attic");
    for _ in 0..3 {
        linked.beat();
    }
    linked.pass(HOUR);
    assert_eq!(lacking(&mut linked), lack);
}

#[test]
fn of_many_nodes_five_are_named_the_longest_silent_first() {
    let mut linked = hall_attic_and_roof();
    linked.hub.fold();
    // Seven more, each a minute longer silent than the one before; the last has no name.
    for number in 0..7 {
        let name = if number == 6 { String::new() } else { format!("gw-{number}x") };
        linked.hub.execute(&format!(
            "INSERT INTO senders (node, name, first, contact, as_of, minutes, waiting, hour, sends, \
                                  readings) \
             SELECT unhex('{number:032}'), '{name}', first, contact - {number} * 60000, as_of, 0, \
                    0, 0, 1, 0 FROM senders WHERE name = 'gw-1'"
        ));
    }
    linked.hub.execute(
        "INSERT INTO sender_regions SELECT sender, (SELECT id FROM regions WHERE name = 'hall') \
         FROM senders WHERE name <> 'gw-1'",
    );
    linked.pass(HOUR);
    let [attic, hall, roof] = &lacking(&mut linked)[..] else { panic!("three regions") };
    let unnamed = format!("{:032}", 6);
    assert_eq!(hall.1, json!([8, [unnamed, "gw-5x", "gw-4x", "gw-3x", "gw-2x"]]));
    assert_eq!([&attic.1, &roof.1], [&json!([1, ["gw-1"]]), &json!([0, []])]);
}
