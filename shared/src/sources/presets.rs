//! Presets: mappings for devices that many people have. Their shapes are those of the
//! devices' firmware and documentation.

/// The presets, by name.
const ALL: [(&str, &str); 14] = [
    ("airrohr", include_str!("presets/airrohr.json")),
    ("chirpstack", include_str!("presets/chirpstack.json")),
    ("ecowitt", include_str!("presets/ecowitt.json")),
    ("espeasy", include_str!("presets/espeasy.json")),
    ("ispindel", include_str!("presets/ispindel.json")),
    ("rtl433", include_str!("presets/rtl433.json")),
    ("ruuvi", include_str!("presets/ruuvi.json")),
    ("shelly-gen1", include_str!("presets/shelly-gen1.json")),
    ("shelly-gen2", include_str!("presets/shelly-gen2.json")),
    ("tasmota", include_str!("presets/tasmota.json")),
    ("tasmota-influx", include_str!("presets/tasmota-influx.json")),
    ("ttn", include_str!("presets/ttn.json")),
    ("wunderground", include_str!("presets/wunderground.json")),
    ("zigbee2mqtt", include_str!("presets/zigbee2mqtt.json")),
];

/// The mapping of this name, as JSON.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The names of all presets, for people.
pub(crate) fn names() -> String {
    ALL.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::sources::mapping::Mapping;
    use crate::sources::tried::Sent;
    use crate::sources::tried::outcome;
    use crate::sources::tried::tried;

    fn check(preset: &str, sent: Sent<'_>, expected: &[&str]) {
        let mapping = Mapping::parse("test", &format!("preset:{preset}")).unwrap();
        assert_eq!(outcome(tried(&mapping, sent)), expected, "{}{}", sent.query, sent.body);
    }

    fn body(preset: &str, body: &str, expected: &[&str]) {
        check(preset, Sent { body, ..Sent::default() }, expected);
    }

    fn query(preset: &str, query: &str, expected: &[&str]) {
        check(preset, Sent { query, ..Sent::default() }, expected);
    }

    #[test]
    fn every_preset_is_a_small_mapping_and_no_two_are_the_same() {
        let parsed = |(name, _)| Mapping::parse("test", &format!("preset:{name}")).unwrap();
        let mut digests = ALL.map(parsed).map(|mapping| mapping.digest()).to_vec();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), ALL.len());
        assert!(ALL.iter().all(|(_, text)| text.len() < limits::SOURCE_MAPPING_BYTES_MAX / 4));
    }

    #[test]
    fn tasmota_influx() {
        // One probe is there twice, and the processor is no sensor.
        let lines = "temperature,device=cellar,sensor=ds18b20-1,id=0000A1 value=13.3\n\
             temperature,device=cellar,sensor=global value=13.3\n\
             temperature,device=cellar,sensor=esp32 value=47.2\n\
             temperature,device=cellar,sensor=bme280 value=21.4\n\
             humidity,device=cellar,sensor=bme280 value=54.0\n\
             temperature,device=cellar,sensor=ds18b20-2,id=0000A2 value=85.0\n";
        let expected = [
            "/0/fields/value cellar.0000A1 13300 ~0",
            "/3/fields/value cellar.bme280 21400 ~0",
            "void 1",
            "ignored 3",
        ];
        body("tasmota-influx", lines, &expected);
        let line = |end: &str| format!("temperature,device=d,sensor=dht11 {end}");
        for (end, expected) in [
            ("value=21.4 1795647000", "/0/fields/value d.dht11 21400 =-123456"),
            ("value=nan", "/0/fields/value !not_a_number"),
            ("value=\"21.4\"", "/0/fields/value d.dht11 21400 ~0"),
            ("value=1200", "/0/fields/value !temperature_out_of_range"),
            ("value=21.4,value=21.5", "/0 !duplicate_field"),
            ("temperature=21.4", "ignored 1"),
        ] {
            body("tasmota-influx", &line(end), &[expected]);
        }
        body(
            "tasmota-influx",
            "temperature,sensor=dht11 value=21.4",
            &["/0/fields/value !missing_field"],
        );
        // Two lines of one probe: a buffer that was flushed.
        let flush = format!("{}\n{}", line("value=1"), line("value=2"));
        let refused = ["/0/fields/value !missing_timestamp", "/1/fields/value !missing_timestamp"];
        body("tasmota-influx", &flush, &refused);
    }

    #[test]
    fn tasmota() {
        let sensor = |time: &str, unit: &str| {
            format!(
                r#"{{"Time":"{time}","DS18B20-1":{{"Id":"0000A1","Temperature":13.3}},
                "BME280":{{"Temperature":21.4,"Humidity":54.0}},"ESP32":{{"Temperature":47.2}}{unit}}}"#
            )
        };
        let headers = [("x-mqtt-topic", "tele/cellar/SENSOR")];
        let celsius = sensor("2026-11-25T23:50:01+01:00", r#","TempUnit":"C""#);
        let sent = Sent { body: &celsius, query: "device=cellar", headers: &headers };
        let expected = [
            "/DS18B20-1/Temperature cellar.0000A1 13300 =-122456",
            "/BME280/Temperature cellar.BME280 21400 =-122456",
        ];
        check("tasmota", sent, &expected);
        let by_topic = Sent { query: "", ..sent };
        let expected = expected.map(|line| line.replace("cellar.", "tele/cellar/SENSOR."));
        check("tasmota", by_topic, &expected.each_ref().map(String::as_str));
        let both = |reason: &str| {
            ["/DS18B20-1/Temperature", "/BME280/Temperature"].map(|at| format!("{at} !{reason}"))
        };
        for (time, unit, reason) in [
            ("2026-11-25T22:50:01", r#","TempUnit":"C""#, "invalid_timestamp"),
            ("1970-01-01T00:00:17Z", r#","TempUnit":"C""#, "missing_timestamp"),
            ("2026-11-25T22:50:01Z", "", "unknown_unit"),
            ("2026-11-25T22:50:01Z", r#","TempUnit":"K""#, "unknown_unit"),
        ] {
            let text = sensor(time, unit);
            let sent = Sent { body: &text, ..sent };
            check("tasmota", sent, &both(reason).each_ref().map(String::as_str));
        }
        let fahrenheit = sensor("2026-11-25T22:50:01Z", r#","TempUnit":"F""#);
        let sent = Sent { body: &fahrenheit, ..sent };
        let expected = [
            "/DS18B20-1/Temperature cellar.0000A1 -10389 =-122456",
            "/BME280/Temperature cellar.BME280 -5889 =-122456",
        ];
        check("tasmota", sent, &expected);
        let twice =
            r#"{"Time":"2026-11-25T22:50:01Z","A":{"Temperature":1},"A":{"Temperature":2}}"#;
        check("tasmota", Sent { body: twice, ..sent }, &["KeyTwice(\"A\")"]);
        let failed =
            r#"{"Time":"2026-11-25T22:50:01Z","DS18B20":{"Temperature":null},"TempUnit":"C"}"#;
        check("tasmota", Sent { body: failed, ..sent }, &["void 1"]);
        check(
            "tasmota",
            Sent { body: r#"{"Time":"2026-11-25T22:50:01Z"}"#, ..sent },
            &["ignored 1"],
        );
        // The owner says the zone of the device's clock.
        let mapping = Mapping::parse(
            "test",
            r#"{"preset":"tasmota","time":{"at":"/Time","as":"%Y-%m-%dT%H:%M:%S",
                "zone":"CET-1CEST,M3.5.0,M10.5.0/3"}}"#,
        );
        let local = sensor("2026-11-25T23:50:01", r#","TempUnit":"C""#);
        let read = tried(&mapping.unwrap(), Sent { body: &local, ..sent });
        assert_eq!(outcome(read)[0], "/DS18B20-1/Temperature cellar.0000A1 13300 =-122456");
    }

    #[test]
    fn shelly_gen1() {
        query(
            "shelly-gen1",
            "hum=54&temp=21.38&id=shellyht-0A0B0C",
            &["/temp shellyht-0A0B0C 21380 ~0"],
        );
        for (text, expected) in [
            ("hum=54&temp=-99.5&id=s", "void 1"),
            ("hum=54&temp=999&id=s", "void 1"),
            ("hum=54&temp=&id=s", "void 1"),
            ("hum=54&id=s", "ignored 1"),
            ("hum=54&temp=warm&id=s", "/temp !not_a_number"),
            ("hum=54&temp=21.38", "/temp !missing_field"),
            ("temp=1&temp=2&id=s", "KeyTwice(\"temp\")"),
        ] {
            query("shelly-gen1", text, &[expected]);
        }
        let fahrenheit = Mapping::parse("t", r#"{"preset":"shelly-gen1","unit":"F"}"#).unwrap();
        let sent = Sent { query: "temp=70.5&id=s", ..Sent::default() };
        assert_eq!(outcome(tried(&fahrenheit, sent)), ["/temp s 21389 ~0"]);
    }

    #[test]
    fn shelly_gen2() {
        for (text, expected) in [
            ("tC=20.00&tF=68.00&id=0A0B", "/tC 0A0B 20000 ~0"),
            ("tF=68.00&id=0A0B", "/tF 0A0B 20000 ~0"),
            ("tC=20.00&c=temperature:101&id=0A0B", "/tC 0A0B.temperature:101 20000 ~0"),
            ("tC=20.00&ts=1795647000.62&id=0A0B", "/tC 0A0B 20000 =-122836"),
            ("tC=20.00&ts=null&id=0A0B", "/tC 0A0B 20000 ~0"),
            ("tC=20.00&ts=1.33&id=0A0B", "/tC 0A0B 20000 ~0"),
            ("tC=null&id=0A0B", "void 1"),
            ("tC=${ev.tC}&id=0A0B", "/tC !not_a_number"),
            ("tC=20.00&ts=${status.sys.unixtime}&id=0A0B", "/tC !invalid_timestamp"),
            ("tC=20.00", "/tC !missing_field"),
            ("rh=54&id=0A0B", "ignored 1"),
            ("tC=20&tC=21&id=0A0B", "KeyTwice(\"tC\")"),
        ] {
            query("shelly-gen2", text, &[expected]);
        }
    }

    #[test]
    fn espeasy() {
        let sent =
            |name: &str, value: &str| format!("name=attic&task=bme&valuename={name}&value={value}");
        for (text, expected) in [
            (sent("Temperature", "21.40"), "/value attic.bme 21400 ~0"),
            (sent("Temp", "-3.5") + "&time=1795647000", "/value attic.bme -3500 =-123456"),
            (sent("Humidity", "54"), "ignored 1"),
            (sent("Temperature", "nan"), "void 1"),
            (sent("Temperature", "%value%"), "/value !not_a_number"),
            (sent("Temperature", "21.40") + "&time=22:50", "/value !invalid_timestamp"),
            ("valuename=Temperature&value=1&name=attic".to_owned(), "/value !missing_field"),
            (sent("Temperature", "1") + "&value=2", "KeyTwice(\"value\")"),
        ] {
            query("espeasy", &text, &[expected]);
        }
    }

    #[test]
    fn airrohr() {
        let sent = |key: &str, values: &str| {
            format!(
                r#"{{"{key}":"123","software_version":"NRZ-2024-135","sensordatavalues":[{values}]}}"#
            )
        };
        let value =
            |kind: &str, value: &str| format!(r#"{{"value_type":"{kind}","value":"{value}"}}"#);
        let values = [
            value("SDS_P1", "7.10"),
            value("BME280_temperature", "21.40"),
            value("temperature", "-127.00"),
            value("signal", "-61"),
        ];
        let at = "/sensordatavalues";
        let expected =
            [format!("{at}/1/value 123.BME280_temperature 21400 ~0"), "void 1".to_owned()];
        for key in ["esp8266id", "esp32id"] {
            let text = sent(key, &values.join(","));
            body("airrohr", &text, &expected.each_ref().map(String::as_str));
        }
        let first = |end: &str| format!("{at}/0/value {end}");
        for (values, expected) in [
            (value("BME280_temperature", "warm"), first("!not_a_number")),
            (value("BME280_temp", "21.40"), "ignored 1".to_owned()),
            (
                r#"{"value_type":"temperature","value":21.4}"#.to_owned(),
                first("123.temperature 21400 ~0"),
            ),
            (
                r#"{"value_type":"temperature","value":"1","value":"2"}"#.to_owned(),
                "KeyTwice(\"value\")".to_owned(),
            ),
        ] {
            body("airrohr", &sent("esp8266id", &values), &[&expected]);
        }
        let nameless = sent("id", &value("temperature", "21.40"));
        body("airrohr", &nameless, &[&first("!missing_field")]);
        let flush = [value("temperature", "1"), value("temperature", "2")].join(",");
        let refused = [first("!missing_timestamp"), format!("{at}/1/value !missing_timestamp")];
        body("airrohr", &sent("esp8266id", &flush), &refused.each_ref().map(String::as_str));
    }

    #[test]
    fn ispindel() {
        let sent = |temperature: &str, unit: &str| {
            format!(
                r#"{{"name":"i1","ID":4974097,"token":"","angle":25.1,"temperature":{temperature},
                {unit}"battery":4.03,"gravity":3.2,"interval":900,"RSSI":-76}}"#
            )
        };
        let unit = |unit: &str| format!(r#""temp_units":"{unit}","#);
        for (temperature, unit, expected) in [
            ("21.4375", unit("C"), "/temperature 4974097 21438 ~0"),
            ("68.2", unit("F"), "/temperature 4974097 20111 ~0"),
            ("293.15", unit("K"), "/temperature 4974097 20000 ~0"),
            ("\"68.2\"", unit("F"), "/temperature 4974097 20111 ~0"),
            ("68.2", unit("X"), "/temperature !unknown_unit"),
            ("68.2", String::new(), "/temperature !unknown_unit"),
            ("-127", unit("C"), "void 1"),
            ("nan", unit("C"), "/temperature !not_a_number"),
            ("true", unit("C"), "/temperature !not_a_number"),
            ("[1]", unit("C"), "/temperature !not_a_number"),
            ("1,\"temperature\":2", unit("C"), "KeyTwice(\"temperature\")"),
        ] {
            body("ispindel", &sent(temperature, &unit), &[expected]);
        }
        body("ispindel", r#"{"ID":1,"temp":20,"temp_units":"C"}"#, &["ignored 1"]);
    }

    #[test]
    fn ruuvi() {
        let sent = |tags: &str| {
            format!(
                r#"{{"data":{{"coordinates":"","timestamp":1795647000,"nonce":7,"gw_mac":"0A:0B",
                "tags":{{{tags}}}}}}}"#
            )
        };
        let tag = |mac: &str, rest: &str| format!(r#""{mac}":{{"rssi":-60,{rest}}}"#);
        let two = [
            tag(
                "F1:01",
                r#""timestamp":1795646991,"temperature":-18.250,"measurementSequenceNumber":411"#,
            ),
            tag("F1:02", r#""counter":17,"temperature":4.005,"measurementSequenceNumber":65534"#),
        ];
        let at = "/data/tags";
        let expected = [
            format!("{at}/F1:01/temperature F1:01 -18250 =-132456"),
            format!("{at}/F1:02/temperature F1:02 4005 ~0#65534"),
        ];
        body("ruuvi", &sent(&two.join(",")), &expected.each_ref().map(String::as_str));
        let own = |rest: &str| sent(&tag("F1:01", rest));
        for (rest, expected) in [
            (r#""timestamp":1795646991,"temperature":"4.0""#, "F1:01 4000 =-132456"),
            (r#""timestamp":1795646991123,"temperature":4.0"#, "!invalid_timestamp"),
            (r#""timestamp":17,"temperature":4.0"#, "F1:01 4000 ~0"),
            (r#""temperature":4.0,"measurementSequenceNumber":-1"#, "!wrong_type"),
            (r#""temperature":4.0,"measurementSequenceNumber":1.5"#, "!wrong_type"),
            (r#""temperature":4.0,"measurementSequenceNumber":4294967296"#, "!wrong_type"),
            (r#""temperature":4.0,"measurementSequenceNumber":null"#, "F1:01 4000 ~0"),
        ] {
            body("ruuvi", &own(rest), &[&format!("{at}/F1:01/temperature {expected}")]);
        }
        body("ruuvi", &own(r#""temperature":null"#), &["void 1"]);
        body("ruuvi", &own(r#""data":"0201061BFF99""#), &["ignored 1"]);
        let twice = [tag("F1:01", r#""temperature":1"#), tag("F1:01", r#""temperature":2"#)];
        body("ruuvi", &sent(&twice.join(",")), &["KeyTwice(\"F1:01\")"]);
    }

    #[test]
    fn ttn() {
        let sent = |time: &str, payload: &str| {
            format!(
                r#"{{"end_device_ids":{{"device_id":"cold-7","dev_eui":"70B3D57ED0000001"}},
                "received_at":"2026-11-25T22:50:00.1Z","uplink_message":{{"f_port":2,"f_cnt":81,
                {time}{payload}}}}}"#
            )
        };
        let time = r#""received_at":"2026-11-25T22:49:59.900123456Z","#;
        let at = "/uplink_message";
        let good = "70B3D57ED0000001 3980 =-123556";
        for (payload, expected) in [
            (
                r#""decoded_payload":{"TempC_SHT":3.98}"#,
                format!("{at}/decoded_payload/TempC_SHT {good}"),
            ),
            (
                r#""decoded_payload":{"temperature":3.98,"TempC_SHT":4}"#,
                format!("{at}/decoded_payload/temperature {good}"),
            ),
            (
                r#""decoded_payload":{"temperature":39.2},"normalized_payload":[{"air":{"temperature":3.98}}]"#,
                format!("{at}/normalized_payload/0/air/temperature {good}"),
            ),
            (
                r#""decoded_payload":{"temperature":"3.98"}"#,
                format!("{at}/decoded_payload/temperature {good}"),
            ),
            (
                r#""decoded_payload":{"temperature":{}}"#,
                format!("{at}/decoded_payload/temperature !not_a_number"),
            ),
            (r#""decoded_payload":{"temp":3.98}"#, "ignored 1".to_owned()),
            (
                r#""decoded_payload":{"temperature":1,"temperature":2}"#,
                "KeyTwice(\"temperature\")".to_owned(),
            ),
        ] {
            body("ttn", &sent(time, payload), &[&expected]);
        }
        let untimed = sent("", r#""decoded_payload":{"temperature":3.98}"#);
        body("ttn", &untimed, &[&format!("{at}/decoded_payload/temperature !missing_timestamp")]);
        let join = r#"{"end_device_ids":{"dev_eui":"70B3"},"join_accept":{"session_key_id":"x"}}"#;
        body("ttn", join, &["ignored 1"]);
        let simulated = sent(time, r#""decoded_payload":{"temperature":3.98}"#).replacen(
            '{',
            r#"{"simulated":true,"#,
            1,
        );
        body("ttn", &simulated, &["ignored 1"]);
    }

    #[test]
    fn chirpstack() {
        let sent = |object: &str| {
            format!(
                r#"{{"deduplicationId":"3ac7e3c4","time":"2026-11-25T22:50:00.775023242+00:00",
                "deviceInfo":{{"devEui":"0101010101010101","tags":{{"region":"cold store"}}}},
                "fCnt":81,"fPort":2{object}}}"#
            )
        };
        let up = |body: &str, expected: &str| {
            check("chirpstack", Sent { query: "event=up", body, headers: &[] }, &[expected]);
        };
        let good = "0101010101010101@cold-store 3900 =-122681";
        up(&sent(r#","object":{"temperature":3.9}"#), &format!("/object/temperature {good}"));
        up(&sent(r#","object":{"TempC_SHT":"3.90"}"#), &format!("/object/TempC_SHT {good}"));
        // The codec has failed.
        up(&sent(""), "ignored 1");
        up(&sent(r#","object":{"temperature":"OK"}"#), "/object/temperature !not_a_number");
        up(&sent(r#","object":{"a":1,"a":2}"#), "KeyTwice(\"a\")");
        let untagged = sent(r#","object":{"temperature":3.9}"#).replace("region", "room");
        up(&untagged, "/object/temperature 0101010101010101 3900 =-122681");
        up(&untagged.replace("\"time\"", "\"at\""), "/object/temperature !missing_timestamp");
        let status = sent(r#","object":{"temperature":3.9}"#);
        for query in ["event=status", "event=join", ""] {
            check("chirpstack", Sent { query, body: &status, headers: &[] }, &["ignored 1"]);
        }
    }

    #[test]
    fn wunderground() {
        let sent =
            |rest: &str| format!("ID=KX1&PASSWORD=secret&action=updateraw&humidity=54&{rest}");
        query(
            "wunderground",
            &sent("dateutc=2026-11-25%2022%3A50%3A00&tempf=70.5&indoortempf=68.9&temp2f=-9999"),
            &["/tempf KX1.out 21389 =-123456", "/indoortempf KX1.in 20500 =-123456", "void 1"],
        );
        for (rest, expected) in [
            ("dateutc=2026-11-25+22:50:00&tempf=70.5", "/tempf KX1.out 21389 =-123456"),
            ("dateutc=2026-11-25T22:50:00&tempf=70.5", "/tempf KX1.out 21389 =-123456"),
            ("dateutc=now&tempf=70.5", "/tempf KX1.out 21389 ~0"),
            ("tempf=70.5", "/tempf !missing_timestamp"),
            ("dateutc=2026-11-31+22:50:00&tempf=70.5", "/tempf !invalid_timestamp"),
            ("dateutc=now&tempf=--", "/tempf !not_a_number"),
            ("dateutc=now&tempc=21", "ignored 1"),
            ("dateutc=now&tempf=1&tempf=2", "KeyTwice(\"tempf\")"),
        ] {
            query("wunderground", &sent(rest), &[expected]);
        }
        let mapping = Mapping::parse("test", "preset:wunderground").unwrap();
        assert_eq!(mapping.replies.kept.unwrap().text, "success\n");
    }

    #[test]
    fn ecowitt() {
        let sent = |rest: &str| {
            format!("PASSKEY=01AB&stationtype=GW2000A_V3.1.3&runtime=17&{rest}&model=GW2000A\r\n")
        };
        body(
            "ecowitt",
            &sent("dateutc=2026-11-25+22:50:00&tempinf=70.5&tempf=-9999&temp1f=32.0&tf_ch8=98.6"),
            &[
                "/tempinf 01AB.in 21389 =-123456",
                "/temp1f 01AB.1 0 =-123456",
                "/tf_ch8 01AB.probe8 37000 =-123456",
                "void 1",
            ],
        );
        for (rest, expected) in [
            ("tempf=70.5", "/tempf 01AB.out 21389 ~0"),
            ("dateutc=1970-01-01+00:00:17&tempf=70.5", "/tempf 01AB.out 21389 ~0"),
            ("dateutc=25.11.2026&tempf=70.5", "/tempf !invalid_timestamp"),
            ("dateutc=2026-11-25+22:50:00&tempf=warm", "/tempf !not_a_number"),
            ("dateutc=2026-11-25+22:50:00&tempc=21", "ignored 1"),
            ("tempf=1&tempf=2", "KeyTwice(\"tempf\")"),
        ] {
            body("ecowitt", &sent(rest), &[expected]);
        }
        body("ecowitt", "tempf=70.5", &["/tempf !missing_field"]);
    }

    #[test]
    fn zigbee2mqtt() {
        let headers = [("x-mqtt-topic", "zigbee2mqtt/kitchen/window")];
        let topic = |body: &str, expected: &str| {
            check("zigbee2mqtt", Sent { query: "", body, headers: &headers }, &[expected]);
        };
        let id = "zigbee2mqtt/kitchen/window";
        let slot = -3_456;
        for (body, expected) in [
            (r#"{"temperature":21.4,"battery":97}"#, format!("/temperature {id} 21400 ~{slot}")),
            (
                r#"{"temperature":21.4,"last_seen":1795647000123}"#,
                format!("/temperature {id} 21400 =-123333"),
            ),
            (
                r#"{"temperature":21.4,"last_seen":"2026-11-25T23:50:00+01:00"}"#,
                format!("/temperature {id} 21400 =-123456"),
            ),
            (r#"{"local_temperature":19.5}"#, format!("/local_temperature {id} 19500 ~{slot}")),
            (r#"{"temperature":null}"#, "void 1".to_owned()),
            (r#"{"temperature":"21.4"}"#, format!("/temperature {id} 21400 ~{slot}")),
            (r#"{"temperature":"on"}"#, "/temperature !not_a_number".to_owned()),
            (
                r#"{"temperature":21.4,"last_seen":"soon"}"#,
                "/temperature !invalid_timestamp".to_owned(),
            ),
            (r#"{"device_temperature":31}"#, "ignored 1".to_owned()),
            (r#"{"temperature":1,"temperature":2}"#, "KeyTwice(\"temperature\")".to_owned()),
        ] {
            topic(body, &expected);
        }
        let with_device = r#"{"temperature":21.4,"device":{"ieeeAddr":"0x00158d0001"}}"#;
        body("zigbee2mqtt", with_device, &["/temperature 0x00158d0001 21400 ~-3456"]);
        body("zigbee2mqtt", r#"{"temperature":21.4}"#, &["/temperature !missing_field"]);
    }

    #[test]
    fn rtl433() {
        let sent = |time: &str, rest: &str| {
            format!(r#"{{"time":"{time}","model":"Nexus-TH","id":194,"channel":1,{rest}}}"#)
        };
        let zoned = "2026-11-25T23:50:01+0100";
        for (time, rest, expected) in [
            (zoned, r#""temperature_C":-18.3"#, "/temperature_C Nexus-TH.1.194 -18300 =-122456"),
            (zoned, r#""temperature_F":32.0"#, "/temperature_F Nexus-TH.1.194 0 =-122456"),
            (
                "2026-11-25T23:50:01.123456+0100",
                r#""temperature_C":1"#,
                "/temperature_C Nexus-TH.1.194 1000 =-122333",
            ),
            (
                "2026-11-25 22:50:01Z",
                r#""temperature_C":1"#,
                "/temperature_C Nexus-TH.1.194 1000 =-122456",
            ),
            (
                "1795647001.123456",
                r#""temperature_C":1"#,
                "/temperature_C Nexus-TH.1.194 1000 =-122333",
            ),
            ("2026-11-25 22:50:01", r#""temperature_C":1"#, "/temperature_C !invalid_timestamp"),
            ("@0.123456s", r#""temperature_C":1"#, "/temperature_C !invalid_timestamp"),
            ("", r#""temperature_C":1"#, "/temperature_C !missing_timestamp"),
            (zoned, r#""temperature_C":"1.0""#, "/temperature_C Nexus-TH.1.194 1000 =-122456"),
            (zoned, r#""temperature_C":"low""#, "/temperature_C !not_a_number"),
            (zoned, r#""temperature":1"#, "ignored 1"),
            (zoned, r#""temperature_C":1,"temperature_C":2"#, "KeyTwice(\"temperature_C\")"),
            (zoned, r#""type":"TPMS","temperature_C":31"#, "ignored 1"),
        ] {
            body("rtl433", &sent(time, rest), &[expected]);
        }
        let both = sent(zoned, r#""temperature_C":20.0,"temperature_F":68.1"#);
        body("rtl433", &both, &["/temperature_C Nexus-TH.1.194 20000 =-122456"]);
        let plain =
            format!(r#"{{"time":"{zoned}","model":"LaCrosse-TX","id":7,"temperature_C":2.5}}"#);
        body("rtl433", &plain, &["/temperature_C LaCrosse-TX.7 2500 =-122456"]);
        body("rtl433", &plain.replace("\"id\":7,", ""), &["/temperature_C !missing_field"]);
    }
}
