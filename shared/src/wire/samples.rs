//! What the tests of several formats make their bodies of.

use proptest::prelude::*;

/// A reading as text: a device, a region, thousandths of a degree, Unix milliseconds.
pub(super) type Sample = (String, String, i64, i64);

/// A valid reading.
pub(super) fn sample() -> impl Strategy<Value = Sample> {
    (
        "[A-Za-z0-9][A-Za-z0-9._:-]{0,20}",
        "[A-Za-z0-9][A-Za-z0-9._:-]{0,20}",
        -273_150_i64..=1_000_000,
        1_000_000_000_000_i64..4_000_000_000_000,
    )
}

/// Thousandths as a decimal number.
pub(super) fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let value = thousandths.abs();
    format!("{sign}{}.{:03}", value / 1_000, value % 1_000)
}

/// A reading in JSON, valid or with something wrong in one of its fields.
pub(super) fn json_item() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("\"\"".to_owned()),
        Just("\"a b\"".to_owned()),
        Just("NaN".to_owned()),
        Just("1e999".to_owned()),
        "-?[0-9]{1,20}",
        "\"[a-z]{1,4}\"",
    ];
    (sample(), prop::option::of((0_usize..5, value))).prop_map(|(sample, fault)| {
        let (device, region, temperature, time) = sample;
        let mut values = [
            format!("\"{device}\""),
            format!("\"{region}\""),
            decimal(temperature),
            time.to_string(),
            "1".to_owned(),
        ];
        if let Some((place, value)) = fault {
            values[place] = value;
        }
        let names = ["device_id", "region", "temperature_c", "timestamp", "rssi"];
        let pair = |(name, value): (&str, &String)| format!("\"{name}\":{value}");
        let pairs: Vec<String> = names.into_iter().zip(&values).map(pair).collect();
        format!("{{{}}}", pairs.join(","))
    })
}
