//! The kinds of lines that are sent to both, and in what each kind differs.
//!
//! In a template, `{d}` and `{r}` are the device and the region, `{v}` the temperature as some
//! client writes it, `{f}` the same with three decimals, `{w}` its whole degrees, and `{t}` the
//! time in the precision of the request.

/// A kind of lines.
#[derive(Debug)]
pub(super) struct Kind {
    /// What the names of its devices begin with.
    pub(super) name: &'static str,
    /// The first words of the row about it in the documentation; empty where there is no
    /// difference.
    pub(super) documented: &'static str,
    /// Whether InfluxDB takes such a line. One that is not taken makes the request a 400.
    pub(super) influx_takes: bool,
    /// Whether Isotherm does.
    pub(super) isotherm_takes: bool,
    pub(super) points: Points,
    pub(super) sent: Sent,
    /// The line. The second one, where there is one, is sent some time after the first.
    pub(super) templates: &'static [&'static str],
}

impl Kind {
    /// The line that is sent some time after the first, if there is one.
    pub(super) fn second(&self) -> Option<&'static str> {
        let has_second = matches!(self.points, Points::LastAndFirst | Points::BothAndFirst);
        has_second.then(|| self.templates[1])
    }

    /// How much warmer that one is, in thousandths of a degree.
    pub(super) fn second_is_warmer_by(&self) -> i64 {
        if matches!(self.name, "changed" | "tagged" | "fine") { 1_500 } else { 0 }
    }
}

/// What becomes of the points of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Points {
    /// Both have them: the same devices, regions, times and temperatures.
    Same,
    /// The same, but the temperature is rounded to a thousandth.
    Rounded,
    Neither,
    OnlyInflux,
    OnlyIsotherm,
    /// InfluxDB has the second of two, Isotherm the first.
    LastAndFirst,
    /// InfluxDB has both of two, Isotherm the first.
    BothAndFirst,
    /// InfluxDB has another time, by this factor.
    Earlier(i64),
}

/// With which other lines, and which times, a kind is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Among all others.
    Among,
    /// The same, of 1975.
    Of1975,
    /// The same, an hour ahead of the clock.
    Ahead,
    /// The same, of before `retention`.
    Old,
    /// In requests of this kind alone, with this parameter; the numbers of its times count so
    /// many nanoseconds.
    Alone(&'static str, i64),
    /// In requests of this kind alone, whose lines end in CR LF.
    CrLf,
    /// Last but one in a request: behind it is a good line of the kind `swallowed…`.
    AtTheEnd,
    /// Only behind another one.
    Behind,
}

const GOOD: &str = "t,device_id={d},region={r} temperature_c={v} {t}";

/// Lines that mean the same to both.
pub(super) const PLAIN: [&str; 13] = [
    GOOD,
    GOOD,
    GOOD,
    "t,device_id={d},region={r} temperature_c={f} {t}",
    "t,host=a\\ b\\,c\\=d,region={r},device_id={d} x=1,temperature_c={v} {t}",
    "t,device_id={d},region={r} temperature_c={v},note=\"a \\\"b\\\" \\\\ c, d=e # f\" {t}",
    "t,device_id={d},region={r} note=\"two\nlines\",temperature_c={v},ok=t {t}",
    "  t,device_id={d},region={r}  temperature_c={v}   {t} ",
    "\tt,device_id={d},region={r} temperature_c={v} 0{t}",
    "t\\ x\\,y=z,device_id={d},region={r} temperature_c={v} {t}",
    "t,ü=ö\\x,device_id={d},region={r} temperature_c={v},n=-5i,ok=False {t}",
    "\"t\",device_id={d},region={r},site=\"s\" x=2.5,x=3,temperature_c={v},note=\"\" {t}",
    "t,device_id={d},region={r} \"x\"=.5,temperature_c={v} {t}",
];

/// What is no line.
pub(super) const SPACE: [&str; 6] = ["", "# a comment", "   ", "  # m f=1 x", "\t", "#"];

/// Damaged lines, each in one way. None of them is a point of either.
const BAD: &[&str] = &[
    "t",
    "t ",
    "t,device_id={d},region={r}",
    "t,device_id={d},region={r} ",
    ",device_id={d},region={r} temperature_c={v} {t}",
    "t,,device_id={d},region={r} temperature_c={v} {t}",
    "t, device_id={d},region={r} temperature_c={v} {t}",
    "t,device_id={d},region temperature_c={v} {t}",
    "t,device_id={d},region= temperature_c={v} {t}",
    "t,device_id={d},={r} temperature_c={v} {t}",
    "t,device_id={d},region={r}=x temperature_c={v} {t}",
    "t,device_id={d},region={r}, temperature_c={v} {t}",
    "t,device_id={d},region={r},region={r} temperature_c={v} {t}",
    "t,device_id={d},region={r}\ttemperature_c={v} {t}",
    "t,device_id={d},region={r}\\ temperature_c={v} {t}",
    "t,device_id={d},region={r} temperature_c {t}",
    "t,device_id={d},region={r} temperature_c= {t}",
    "t,device_id={d},region={r} temperature_c={v}, {t}",
    "t,device_id={d},region={r} temperature_c={v}, x=1 {t}",
    "t,device_id={d},region={r} temperature_c={v},x {t}",
    "t,device_id={d},region={r} temperature_c={v},=1 {t}",
    "t,device_id={d},region={r} temperature_c ={v} {t}",
    "t,device_id={d},region={r} temperature_c=NaN {t}",
    "t,device_id={d},region={r} temperature_c=inf {t}",
    "t,device_id={d},region={r} temperature_c=1.2.3 {t}",
    "t,device_id={d},region={r} temperature_c=0x10 {t}",
    "t,device_id={d},region={r} temperature_c=1_0 {t}",
    "t,device_id={d},region={r} temperature_c=1e400 {t}",
    "t,device_id={d},region={r} temperature_c=- {t}",
    "t,device_id={d},region={r} temperature_c=1.5i {t}",
    "t,device_id={d},region={r} temperature_c=unavailable {t}",
    "t,device_id={d},region={r} temperature_c='21' {t}",
    "t,device_id={d},region={r} temperature_c={v},x=word {t}",
    // The field is a float by now.
    "t,device_id={d},region={r} temperature_c=\"21\" {t}",
    "t,device_id={d},region={r} temperature_c=true {t}",
    "t,device_id={d},region={r} temperature_c={v} x",
    "t,device_id={d},region={r} temperature_c={v} {t}x",
    "t,device_id={d},region={r} temperature_c={v} {t}.5",
    "t,device_id={d},region={r} temperature_c={v} +{t}",
    "t,device_id={d},region={r} temperature_c={v} {t} {t}",
    "t,device_id={d},region={r} temperature_c={v} {t},x=1",
    "t,device_id={d},region={r} temperature_c={v}\t{t}",
    "t,device_id={d},region={r} temperature_c={v} 99999999999999999999",
    "{\"device_id\":\"{d}\",\"temperature_c\":{v}}",
];

/// A kind without a difference; the others are made of it.
const NONE: Kind = Kind {
    name: "",
    documented: "",
    influx_takes: true,
    isotherm_takes: true,
    points: Points::Same,
    sent: Sent::Among,
    templates: &[GOOD],
};

/// A kind that InfluxDB takes and Isotherm does not.
const STRICTER: Kind = Kind { isotherm_takes: false, points: Points::OnlyInflux, ..NONE };

/// A kind that Isotherm takes and InfluxDB does not.
const LAXER: Kind = Kind { influx_takes: false, points: Points::OnlyIsotherm, ..NONE };

/// Two readings of one device and time.
const TWINS: Kind = Kind { points: Points::BothAndFirst, ..NONE };

/// Kinds that are good, or bad, for both.
pub(super) static AGREED: [Kind; 3] = [
    Kind { name: "plain", templates: &PLAIN, ..NONE },
    Kind {
        name: "other",
        documented: "Other quantities",
        points: Points::Neither,
        templates: &[
            "cpu,host={d} usage=1.5 {t}",
            "t,device_id={d},region={r} humidity=40,battery=97i",
            "disk,path=/\\ x free=1i,label=\"temperature_c=1\" {t}",
        ],
        ..NONE
    },
    Kind {
        name: "bad",
        influx_takes: false,
        isotherm_takes: false,
        points: Points::Neither,
        templates: BAD,
        ..NONE
    },
];

/// Kinds in which the two differ.
#[rustfmt::skip] // One kind after the other.
pub(super) static DIFFERENCES: [Kind; 37] = [
    Kind { name: "changed", documented: "Another value", points: Points::LastAndFirst, templates: &["t,device_id={d},region={r} temperature_c={f} {t}", "t,device_id={d},region={r} temperature_c={f} {t}"], ..TWINS },
    Kind { name: "tagged", documented: "Other tags", templates: &["t,device_id={d},region={r},host=a temperature_c={f} {t}", "t,device_id={d},region={r},host=b temperature_c={f} {t}"], ..TWINS },
    Kind { name: "measured", documented: "The measurement", templates: &["t,device_id={d},region={r} temperature_c={f} {t}", "other,device_id={d},region={r} temperature_c={f} {t}"], ..TWINS },
    Kind { name: "moved", documented: "Another region", templates: &["t,device_id={d},region={r} temperature_c={f} {t}", "t,device_id={d},region=elsewhere temperature_c={f} {t}"], ..TWINS },
    Kind { name: "fine", documented: "Microseconds and nanoseconds", sent: Sent::Alone("&precision=n", 1), templates: &["t,device_id={d},region={r} temperature_c={f} {t}", "t,device_id={d},region={r} temperature_c={f} {t}"], ..TWINS },
    Kind { name: "rounded", documented: "Decimals", points: Points::Rounded, templates: &["t,device_id={d},region={r} temperature_c={f}26 {t}"], ..NONE },
    Kind { name: "seconds", documented: "No precision", points: Points::Earlier(1_000_000_000), sent: Sent::Alone("", 1_000_000_000), ..NONE },
    Kind { name: "millis", documented: "No precision", points: Points::Earlier(1_000_000), sent: Sent::Alone("", 1_000_000), ..NONE },
    Kind { name: "micros", documented: "Precision `us`", points: Points::Earlier(1_000), sent: Sent::Alone("&precision=us", 1_000), ..NONE },
    Kind { name: "nanos", documented: "Times before 1978", sent: Sent::Alone("&precision=n", 1_000_000_000), ..STRICTER },
    Kind { name: "negative", documented: "Times before 1978", templates: &["t,device_id={d},region={r} temperature_c={v} -{t}"], ..STRICTER },
    Kind { name: "early", documented: "Times before 1978", sent: Sent::Of1975, ..STRICTER },
    Kind { name: "ahead", documented: "Times ahead or too old", sent: Sent::Ahead, ..STRICTER },
    Kind { name: "old", documented: "Times ahead or too old", sent: Sent::Old, ..STRICTER },
    Kind { name: "timeless", documented: "No time", templates: &["t,device_id={d},region={r} temperature_c={v}"], ..STRICTER },
    Kind { name: "nodevice", documented: "Missing tags", templates: &["t,device={d},region={r} temperature_c={v} {t}"], ..STRICTER },
    Kind { name: "noregion", documented: "Missing tags", templates: &["t,device_id={d} temperature_c={v} {t}"], ..STRICTER },
    Kind { name: "named", documented: "Names", templates: &["t,device_id={d}\\ x,region={r} temperature_c={v} {t}", "t,device_id={d},region=a/b temperature_c={v} {t}", "t,device_id={d}\\,ü,region={r} temperature_c={v} {t}"], ..STRICTER },
    Kind { name: "range", documented: "Temperatures that can't be", templates: &["t,device_id={d},region={r} temperature_c=1000.1 {t}", "t,device_id={d},region={r} temperature_c=-273.16 {t}", "t,device_id={d},region={r} temperature_c=1e300 {t}"], ..STRICTER },
    Kind { name: "twice", documented: "The field twice", templates: &["t,device_id={d},region={r} temperature_c={v},temperature_c={v} {t}"], ..STRICTER },
    Kind { name: "text", documented: "Behind a string", templates: &["t,device_id={d},region={r} temperature_c={v},note=\"a\"b {t}", "t,device_id={d},region={r} temperature_c={v},note=\"a\"\"b\" {t}"], ..STRICTER },
    Kind { name: "parts", documented: "Many parts", templates: &["t,device_id={d},region={r} temperature_c={v}{600 fields} {t}"], ..STRICTER },
    Kind { name: "integer", documented: "Integers", templates: &["t,device_id={d},region={r} temperature_c={w}i {t}"], ..LAXER },
    Kind { name: "unsigned", documented: "Integers", templates: &["t,device_id={d},region={r} temperature_c={w}u {t}"], ..LAXER },
    Kind { name: "plus", documented: "A plus sign", templates: &["t,device_id={d},region={r} temperature_c=+{f} {t}"], ..LAXER },
    Kind { name: "large", documented: "Large numbers", templates: &["t,device_id={d},region={r} temperature_c={v},x=1e400 {t}", "t,device_id={d},region={r} temperature_c={v},n=9223372036854775808i {t}"], ..LAXER },
    Kind { name: "tags", documented: "Other tags twice", templates: &["t,device_id={d},region={r},host=a,host=b temperature_c={v} {t}"], ..LAXER },
    Kind { name: "time", documented: "A tag `time`", templates: &["t,device_id={d},region={r},time=5 temperature_c={v} {t}"], ..LAXER },
    Kind { name: "crlf", documented: "CR LF", sent: Sent::CrLf, templates: &["t,device_id={d},region={r} temperature_c={v} {t}", "t,device_id={d},region={r} temperature_c={v},ok=t {t}"], ..LAXER },
    Kind { name: "unclosed", documented: "An open quote", influx_takes: false, isotherm_takes: false, points: Points::Neither, sent: Sent::AtTheEnd, templates: &["t,device_id={d},region={r} temperature_c={v},note=\"a {t}"] },
    Kind { name: "swallowedunclosed", documented: "An open quote", sent: Sent::Behind, ..LAXER },
    Kind { name: "quoted", documented: "A quote in a comment", points: Points::Neither, sent: Sent::AtTheEnd, templates: &["# a=\"b"], ..NONE },
    Kind { name: "swallowedquoted", documented: "A quote in a comment", influx_takes: true, sent: Sent::Behind, ..LAXER },
    Kind { name: "continued", documented: "A backslash at the end", influx_takes: false, isotherm_takes: false, points: Points::Neither, sent: Sent::AtTheEnd, templates: &["t,device_id={d},region={r}\\"] },
    Kind { name: "swallowedcontinued", documented: "A backslash at the end", sent: Sent::Behind, ..LAXER },
    Kind { name: "escaped", documented: "A backslash at the end", points: Points::Neither, sent: Sent::AtTheEnd, templates: &["# a comment \\"], ..NONE },
    Kind { name: "swallowedescaped", documented: "A backslash at the end", influx_takes: true, sent: Sent::Behind, ..LAXER },
];
