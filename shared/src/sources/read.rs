//! A mapping applied to a message: what was measured, and what was refused, ignored or void.

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Reason;
use crate::domain::rejection::Rejection;
use crate::limits;
use crate::sources::csv;
use crate::sources::form;
use crate::sources::glob;
use crate::sources::json;
use crate::sources::line::ReadLines;
use crate::sources::mapping::Body;
use crate::sources::mapping::Mapping;
use crate::sources::mapping::Take;
use crate::sources::measure::Value;
use crate::sources::number;
use crate::sources::number::Stop;
use crate::sources::scope::Outside;
use crate::sources::scope::Place;
use crate::sources::scope::Scope;
use crate::sources::senml;
use crate::sources::steps::Steps;
use crate::sources::subject;
use crate::sources::taken;
use crate::sources::taken::Measured;
use crate::sources::taken::Taken;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// What a device sent.
pub(crate) struct Message<'m> {
    /// The query as it was sent, without its `?`.
    pub(crate) query: &'m str,
    pub(crate) body: &'m [u8],
    /// The value of a header, by its name in lower case.
    pub(crate) header: &'m dyn Fn(&str) -> Option<String>,
    /// Reads the lines of a body in line protocol.
    pub(crate) lines: &'m ReadLines<'m>,
}

/// What was read of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Every value that is a temperature, in the order of the message; at most
    /// `limits::READINGS_PER_REQUEST_MAX`.
    pub(crate) taken: Vec<Taken>,
    /// How many messages of the body held no temperature, or are not `only`.
    pub(crate) ignored: u64,
    /// How many values say that there is no temperature.
    pub(crate) void: u64,
    /// How many steps it took.
    pub(crate) steps: u64,
}

/// Reads a message that arrived at `now`.
pub(crate) fn read(
    mapping: &Mapping,
    message: &Message<'_>,
    now: UnixMillis,
) -> Result<Read, Unread> {
    let outside = Outside {
        header: message.header,
        query: form_urlencoded::parse(message.query.as_bytes()).collect(),
    };
    let steps = Steps::of(message.body.len().saturating_add(message.query.len()));
    let mut reader = Reader { mapping, outside: &outside, now, steps, read: Read::default() };
    match mapping.body {
        Body::Json => reader.json(&json::parse(text(message.body)?)?)?,
        Body::Senml => reader.senml(json::parse(text(message.body)?)?)?,
        Body::Form => reader.message("", &form::parse(message.query, message.body)?)?,
        Body::Query => reader.message("", &form::parse(message.query, b"")?)?,
        Body::Ndjson => reader.ndjson(message.body)?,
        Body::Csv(separator) => reader.csv(text(message.body)?, separator)?,
        Body::Line => {
            let mut index = 0;
            (message.lines)(text(message.body)?, &mut |line| reader.part(&mut index, line))?;
        }
    }
    reader.read.steps = reader.steps.taken();
    let mut read = reader.read;
    taken::refuse_flush(&mut read.taken);
    Ok(read)
}

/// A body as text, without a byte order mark.
fn text(body: &[u8]) -> Result<&str, Unread> {
    let text = std::str::from_utf8(body).map_err(|e| {
        Unread::Syntax(format!("the message is not valid UTF-8 at byte {}", e.valid_up_to()))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

struct Reader<'r> {
    mapping: &'r Mapping,
    outside: &'r Outside<'r>,
    now: UnixMillis,
    steps: Steps,
    read: Read,
}

impl<'r> Reader<'r> {
    /// One message; or each object of an array, if the mapping does not say where the items of
    /// a message are.
    fn json(&mut self, root: &Node<'_>) -> Result<(), Unread> {
        let is_object = |item: &Node<'_>| matches!(item, Node::Object(_));
        match root {
            Node::Array(items)
                if self.mapping.each.parts.is_empty()
                    && !items.is_empty()
                    && items.iter().all(is_object) =>
            {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| self.message(&format!("/{index}"), item))
            }
            _ => self.message("", root),
        }
    }

    fn senml(&mut self, root: Node<'_>) -> Result<(), Unread> {
        let Node::Array(records) = root else {
            return Err(Unread::Syntax("a SenML pack must be an array of records".to_owned()));
        };
        let mut base = senml::Base::default();
        for (index, record) in records.into_iter().enumerate() {
            self.steps.take(limits::SOURCE_ID_CHARS_MAX)?;
            if let Some(record) = base.record(record)? {
                self.message(&format!("/{index}"), &record)?;
            }
        }
        Ok(())
    }

    fn ndjson(&mut self, body: &[u8]) -> Result<(), Unread> {
        let mut index = 0;
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            self.part(&mut index, text(line).and_then(json::parse))?;
        }
        Ok(())
    }

    fn csv(&mut self, text: &str, separator: char) -> Result<(), Unread> {
        let mut rows = csv::Rows::of(text, separator);
        let names = csv::header(&mut rows)?;
        let mut index = 0;
        while let Some(row) = rows.next_row()? {
            self.steps.take(names.len())?;
            self.part(&mut index, csv::object(&names, row))?;
        }
        Ok(())
    }

    /// A message of a body of several. One that can't be read costs only itself.
    fn part(&mut self, index: &mut usize, root: Result<Node<'_>, Unread>) -> Result<(), Unread> {
        let prefix = format!("/{index}");
        *index += 1;
        self.steps.take(1)?;
        let reason = match root {
            Ok(root) => return self.message(&prefix, &root),
            Err(fatal @ (Unread::TooCostly | Unread::TooMany)) => return Err(fatal),
            Err(Unread::Time(reason, detail)) => (reason, Unread::Syntax(detail)),
            Err(Unread::KeyTwice(key)) => (Reason::DuplicateField, Unread::KeyTwice(key)),
            Err(unread) => (Reason::Malformed, unread),
        };
        self.push(prefix, Err(Rejection::new(reason.0, reason.1.detail())))
    }

    fn push(&mut self, pointer: String, result: Result<Measured, Rejection>) -> Result<(), Unread> {
        if self.read.taken.len() == limits::READINGS_PER_REQUEST_MAX {
            return Err(Unread::TooMany);
        }
        self.read.taken.push(Taken { pointer, result });
        Ok(())
    }

    fn message(&mut self, prefix: &str, root: &Node<'_>) -> Result<(), Unread> {
        let outside = self.outside;
        let whole = Scope { root, item: root, prefix, path: &[], outside };
        let before = (self.read.taken.len(), self.read.void);
        if subject::are_met(&self.mapping.only, &whole, &mut self.steps)? {
            self.walk(&self.mapping.each.parts, &whole, root, &mut Vec::new())?;
        }
        if before == (self.read.taken.len(), self.read.void) {
            self.read.ignored += 1;
        }
        Ok(())
    }

    /// Reads every item below `node` that these parts of `each` lead to.
    fn walk<'s, 'a>(
        &mut self,
        parts: &'s [String],
        whole: &Scope<'s, 'a>,
        node: &'s Node<'a>,
        path: &mut Vec<Place<'s>>,
    ) -> Result<(), Unread>
    where
        'r: 's,
    {
        self.steps.take(0)?;
        let Some((part, rest)) = parts.split_first() else {
            let Scope { root, prefix, outside, .. } = *whole;
            return self.item(&Scope { root, item: node, prefix, path, outside });
        };
        let is_star = part.contains('*');
        let mut below = |reader: &mut Self, key, index, child| {
            path.push(Place { key, index, is_star });
            let done = reader.walk(rest, whole, child, path);
            path.pop();
            done
        };
        match node {
            Node::Array(items) if part == "*" => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| below(self, None, index, item)),
            Node::Object(fields) if is_star => fields.iter().try_for_each(|(key, value)| {
                self.steps.take(key.len() + part.len())?;
                match glob::matches(part, key) {
                    true => below(self, Some(key.as_ref()), 0, value),
                    false => Ok(()),
                }
            }),
            _ => match node.child(part, &mut self.steps)? {
                Some(child) => below(self, Some(part.as_str()), 0, child),
                None => Ok(()),
            },
        }
    }

    /// Reads an item: of the alternatives with one device, the first that is there.
    fn item(&mut self, scope: &Scope<'_, '_>) -> Result<(), Unread> {
        let mut devices = Vec::new();
        for take in &self.mapping.take {
            self.alternative(take, scope, &mut devices)?;
        }
        Ok(())
    }

    fn alternative(
        &mut self,
        take: &Take,
        scope: &Scope<'_, '_>,
        devices: &mut Vec<String>,
    ) -> Result<(), Unread> {
        if !subject::are_met(&take.tests, scope, &mut self.steps)? {
            return Ok(());
        }
        let Some(node) = scope.find(&take.value, &mut self.steps)? else { return Ok(()) };
        self.steps.take(node.scalar().map_or(0, str::len))?;
        let value = node.scalar().map(|text| number::with_point(text, self.mapping.has_comma));
        let is_void = match &value {
            Some(text) => number::is_void(&take.void, text, &mut self.steps)?,
            None => false,
        };
        if is_void || *node == Node::Null {
            self.read.void += 1;
            return Ok(());
        }
        let pointer = scope.concrete(&take.value);
        let device = match subject::joined(&take.device, scope, &mut self.steps)? {
            Ok(device) => device,
            Err(absent) => {
                let detail = format!("the message does not say the device: {absent} is absent");
                return self.push(pointer, Err(Rejection::new(Reason::MissingField, detail)));
            }
        };
        self.steps.take(devices.len())?;
        if devices.contains(&device) {
            return Ok(());
        }
        devices.push(device.clone());
        let found = Value { mapping: self.mapping, take, scope, now: self.now };
        let result = match found.measured(value, &device, &mut self.steps) {
            Ok(measured) => Ok(measured),
            Err(Stop::TooCostly) => return Err(Unread::TooCostly),
            Err(Stop::Rejected(rejection)) => Err(rejection.sent_as(Some(&device), None)),
        };
        self.push(pointer, result)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sources::tried::Sent;
    use crate::sources::tried::mapping;
    use crate::sources::tried::outcome;
    use crate::sources::tried::tried;

    /// A mapping for a body, with its other keys: the time is that of arrival.
    fn assumed(keys: &str) -> Mapping {
        mapping(&format!("{{{keys},\"time\":{{\"missing\":\"received\"}}}}"))
    }

    /// A mapping whose values have a time `at`.
    fn timed(keys: &str) -> Mapping {
        mapping(&format!("{{{keys},\"time\":{{\"at\":\"at\",\"as\":\"unix\"}}}}"))
    }

    fn check(mapping: &Mapping, body: &str, expected: &[&str]) {
        assert_eq!(outcome(tried(mapping, Sent { body, ..Sent::default() })), expected, "{body}");
    }

    #[test]
    fn a_line_that_can_not_be_read_costs_only_itself() {
        let mapping =
            timed(r#""body":"ndjson","take":[{"value":"t"}],"unit":"C","device":["@id"]"#);
        let body = "{\"id\":\"a\",\"t\":1,\"at\":1795647000}\r\n\n\
             {\"id\":\"a\",\"t\":2,\"t\":3,\"at\":1795647001}\n\
             {\"id\":\"a\",\"t\":4\n\
             {\"id\":\"a\",\"t\":nan,\"at\":1795647002}\n\
             [1,2]\n\
             {\"id\":\"a\",\"t\":5,\"at\":1795647003}";
        let expected = [
            "/0/t a 1000 =-123456",
            "/1 !duplicate_field",
            "/2 !malformed",
            "/3/t !not_a_number",
            "/5/t a 5000 =-120456",
            "ignored 1",
        ];
        check(&mapping, body, &expected);
        let deep = format!(
            "{}1{}\n{{\"id\":\"a\",\"t\":1,\"at\":1795647000}}",
            "[".repeat(17),
            "]".repeat(17)
        );
        check(&mapping, &deep, &["/0 !malformed", "/1/t a 1000 =-123456"]);
        let message = Message {
            query: "",
            body: b"{\"id\":\"\xff\"}\n{\"id\":\"a\",\"t\":1,\"at\":1795647000}",
            header: &|_| None,
            lines: &|_, _| Ok(()),
        };
        let read = read(&mapping, &message, UnixMillis::MAX).unwrap();
        assert_eq!(read.taken.len(), 2);
        assert!(read.taken[0].result.is_err() && read.taken[1].result.is_ok());
    }

    #[test]
    fn rows_of_csv_have_their_own_comma() {
        let rows = timed(
            r#""body":"csv","separator":";","decimal":",","take":[{"value":"T"}],"unit":"C",
               "void":["-127"],"device":["@id"]"#,
        );
        let body = "\u{feff}id;T;at\r\na;21,5;1795647000\r\nb;-0,25;1795647000\r\nc;;1795647000\r\n\
             d;1.234,5;1795647000\r\ne;-127,00;1795647000\r\nf;1\r\n\"g;h\";2;1795647000\r\n";
        let expected = [
            "/0/T a 21500 =-123456",
            "/1/T b -250 =-123456",
            "/3/T !not_a_number",
            "/5 !malformed",
            "/6/T g;h 2000 =-123456",
            "void 1",
            "ignored 1",
        ];
        check(&rows, body, &expected);
        check(&rows, "id;T;T\na;1;2", &["KeyTwice(\"T\")"]);
        check(&rows, "", &["Syntax(\"the header line is missing\")"]);
        // A column for each sensor.
        let wide = mapping(
            r#"{"body":"csv","each":"/*","take":[{"value":"","where":{"$0":"!at"}}],"unit":"C",
               "device":["$0"],"time":{"at":"/at","as":"unix"}}"#,
        );
        let body = "at,north,south\n1795647000,1.5,2.5\n";
        check(&wide, body, &["/0/north north 1500 =-123456", "/0/south south 2500 =-123456"]);
    }

    #[test]
    fn an_array_of_objects_is_several_messages_if_the_mapping_names_no_items() {
        let mapping = timed(
            r#""body":"json","only":{"/kind":"!test"},"take":[{"value":"t"},{"value":"/values/t"}],
               "unit":"C","device":["@id"]"#,
        );
        let body = r#"[{"id":"a","t":1,"at":1795647000},{"kind":"test","t":2},
            {"id":"b","values":{"t":3},"at":1795647001},{"t":4}]"#;
        let expected = [
            "/0/t a 1000 =-123456",
            "/2/values/t b 3000 =-122456",
            "/3/t !missing_field",
            "ignored 1",
        ];
        check(&mapping, body, &expected);
        check(&mapping, "[]", &["ignored 1"]);
        check(&mapping, "[{\"id\":\"a\",\"t\":1,\"at\":1795647000},7]", &["ignored 1"]);
    }

    #[test]
    fn items_are_found_through_arrays_and_keys() {
        let mapping = timed(
            r#""body":"json","each":"/rooms/*/s:*","take":[{"value":"t"}],"unit":"C",
               "device":["$0","/","$1","-","@/site"],"region":["?r"]"#,
        );
        let body = r#"{"site":"x y","rooms":[{"s:1":{"t":1,"at":1795647000},"p:1":{"t":2}},
            {"s:2":{"t":3,"at":1795647000},"s:3":[]}]}"#;
        let read = tried(&mapping, Sent { query: "r=hall%201&s=2", body, headers: &[] }).unwrap();
        let names: Vec<&str> =
            read.taken.iter().map(|taken| taken.result.as_ref().unwrap().name.as_str()).collect();
        assert_eq!(names, ["0-s:1-x-y-9042811f", "1-s:2-x-y-be23dad4"]);
        assert_eq!(
            outcome(Ok(read)),
            [
                "/rooms/0/s:1/t 0/s:1-x y@hall-1 1000 =-123456",
                "/rooms/1/s:2/t 1/s:2-x y@hall-1 3000 =-123456",
            ]
        );
    }

    #[test]
    fn of_one_device_the_first_alternative_counts_and_others_are_their_own() {
        let mapping = timed(
            r#""body":"json","take":[{"value":"c","unit":"C"},{"value":"f","unit":"F"},
               {"value":"k","unit":"K","device":"other"}],"void":["-127"],"device":"one""#,
        );
        let body = |rest: &str| format!("{{{rest},\"at\":1795647000}}");
        for (rest, expected) in [
            ("\"c\":20.0,\"f\":68.1", &["/c one 20000 =-123456"][..]),
            ("\"f\":68", &["/f one 20000 =-123456"]),
            ("\"c\":-127.0,\"f\":68", &["/f one 20000 =-123456", "void 1"]),
            ("\"c\":null,\"f\":68", &["/f one 20000 =-123456", "void 1"]),
            ("\"c\":\"x\",\"f\":68", &["/c !not_a_number"]),
            ("\"c\":1,\"k\":293.15", &["/c one 1000 =-123456", "/k other 20000 =-123456"]),
            ("\"x\":1", &["ignored 1"]),
        ] {
            check(&mapping, &body(rest), expected);
        }
    }

    #[test]
    fn a_scale_comes_before_the_unit() {
        let mapping = timed(
            r#""body":"json","take":[{"value":"c","unit":"C","scale":-2},
               {"value":"f","unit":"F","scale":-1,"device":"f"}],"device":"c""#,
        );
        let body = r#"{"c":2150,"f":705,"at":1795647000}"#;
        check(&mapping, body, &["/c c 21500 =-123456", "/f f 21389 =-123456"]);
    }

    #[test]
    fn what_a_source_can_not_measure_is_implausible() {
        let mapping = timed(
            r#""body":"json","take":[{"value":"t"}],"unit":"F","device":"d",
               "limits":{"low":-40,"high":60.0}"#,
        );
        for (value, expected) in [
            ("-40", "/t d -40000 =-123456"),
            ("-40.1", "/t !implausible"),
            ("140", "/t d 60000 =-123456"),
            ("140.1", "/t !implausible"),
            ("2000", "/t !temperature_out_of_range"),
        ] {
            check(&mapping, &format!("{{\"t\":{value},\"at\":1795647000}}"), &[expected]);
        }
    }

    #[test]
    fn texts_that_are_no_names_become_names_of_their_own() {
        let mapping =
            timed(r#""body":"json","each":"/*","take":[{"value":"t"}],"unit":"C","device":["$0"]"#);
        let item = |key: &str, at: u32| format!("\"{key}\":{{\"t\":1,\"at\":{at}}}");
        let body =
            [item("a b", 1_795_647_000), item("a/b", 1_795_647_001), item("c", 1_795_647_000)];
        let body = format!("{{{}}}", body.join(","));
        let expected =
            ["/a b/t a b 1000 =-123456", "/a~1b/t a/b 1000 =-122456", "/c/t c 1000 =-123456"];
        check(&mapping, &body, &expected);
        let read = tried(&mapping, Sent { body: &body, ..Sent::default() }).unwrap();
        let names: Vec<&str> =
            read.taken.iter().map(|taken| taken.result.as_ref().unwrap().name.as_str()).collect();
        assert_eq!(names, ["a-b-10dda12a", "a-b-82871280", "c"]);
        for (key, expected) in [
            ("..", "/../t .. 1000 =-123456"),
            ("", "//t !missing_field"),
            (&"x".repeat(65), "=-123456"),
            (&"ü".repeat(128), "=-123456"),
            (&"ü".repeat(129), "!invalid_device_id"),
        ] {
            let body = format!("{{{}}}", item(key, 1_795_647_000));
            let outcome = outcome(tried(&mapping, Sent { body: &body, ..Sent::default() }));
            assert!(outcome[0].ends_with(expected), "{outcome:?}");
        }
        // One device with two times of its own is two readings.
        let array = timed(
            r#""body":"json","each":"/*","take":[{"value":"t"}],"unit":"C","device":["@id"]"#,
        );
        let body = r#"[{"id":"a","t":1,"at":1795647000},{"id":"a","t":2,"at":1795647001}]"#;
        check(&array, body, &["/0/t a 1000 =-123456", "/1/t a 2000 =-122456"]);
    }

    #[test]
    fn a_flush_is_refused_whole() {
        let mapping = assumed(
            r#""body":"json","each":"/*","take":[{"value":"t"}],"unit":"C","device":["@id"]"#,
        );
        let body = r#"[{"id":"a","t":1},{"id":"b","t":2},{"id":"a","t":1},{"t":3}]"#;
        let expected = [
            "/0/t !missing_timestamp",
            "/1/t !missing_timestamp",
            "/2/t !missing_timestamp",
            "/3/t !missing_field",
        ];
        check(&mapping, body, &expected);
        let one_each = r#"[{"id":"a","t":1},{"id":"b","t":2}]"#;
        check(&mapping, one_each, &["/0/t a 1000 ~0", "/1/t b 2000 ~0"]);
    }

    #[test]
    fn only_says_which_messages_are_the_sources() {
        let mapping = assumed(
            r#""body":"json","only":{"/type":["up*","!upset"],"/data":"*","?e":"!test","/old":"!*"},
               "take":[{"value":"t"}],"unit":"C","device":"d""#,
        );
        let sent = |query: &str, body: &str| {
            outcome(tried(&mapping, Sent { query, body, headers: &[] })).concat()
        };
        for (query, body, expected) in [
            ("", r#"{"type":"uplink","data":{},"t":1}"#, "/t d 1000 ~0"),
            ("e=x", r#"{"type":"uplink","data":[],"t":1}"#, "/t d 1000 ~0"),
            ("e=test", r#"{"type":"uplink","data":{},"t":1}"#, "ignored 1"),
            ("", r#"{"type":"upset","data":{},"t":1}"#, "ignored 1"),
            ("", r#"{"type":"join","data":{},"t":1}"#, "ignored 1"),
            ("", r#"{"type":"uplink","t":1}"#, "ignored 1"),
            ("", r#"{"type":"uplink","data":{},"t":1,"old":null}"#, "ignored 1"),
            ("", r#"{"data":{},"t":1}"#, "ignored 1"),
            (
                "",
                "{\"type\":\"uplink\"",
                "Syntax(\"no valid JSON at character 17: expected `,` or `}` but the message ends\")",
            ),
        ] {
            assert_eq!(sent(query, body), expected, "{query} {body}");
        }
    }

    /// A mapping that looks at as much as one can for each item.
    fn worst() -> Mapping {
        let globs = vec!["\"*a*b*c*d*\""; 32].join(",");
        let tests = format!("{{\"/z\":[{globs}],\"y\":\"!*\"}}");
        let take = format!("{{\"value\":\"\",\"where\":{tests}}}");
        let device = vec!["\"@/z\""; 32].join(",");
        mapping(&format!(
            "{{\"body\":\"json\",\"each\":\"/*/*\",\"take\":[{}],\"unit\":\"C\",\"device\":[{device}],\
             \"void\":[\"-1\"],\"time\":{{\"missing\":\"received\"}}}}",
            vec![take; 16].join(",")
        ))
    }

    #[test]
    fn the_worst_mapping_takes_a_bounded_number_of_steps() {
        let mapping = worst();
        let long = "abc".repeat(10_000);
        for body in [
            format!("{{\"z\":\"{long}\",\"a\":[{}0]}}", "0,".repeat(50_000)),
            format!("{{\"a\":[{}0],\"z\":\"{long}d\"}}", "0,".repeat(5_000)),
            format!(
                "{{{}\"z\":\"abcd\"}}",
                (0..5_000).map(|n| format!("\"{n}\":[0],")).collect::<String>()
            ),
        ] {
            let read = tried(&mapping, Sent { body: &body, ..Sent::default() });
            assert_eq!(read, Err(Unread::TooCostly), "{}", &body[..20]);
        }
        // A small message has enough steps for every mapping.
        let small = "{\"z\":\"abcd\",\"a\":[1]}";
        let read = tried(&mapping, Sent { body: small, ..Sent::default() }).unwrap();
        assert!(
            read.taken.len() == 1 && read.steps < limits::SOURCE_STEPS_FREE / 2,
            "{}",
            read.steps
        );
    }

    #[test]
    fn ordinary_messages_take_a_fraction_of_their_steps_and_in_proportion() {
        let mapping = Mapping::parse("test", "preset:tasmota-influx").unwrap();
        let steps = |lines: usize| {
            let line = |n| format!("temperature,device=d{n},sensor=ds18b20-1 value=13.3\n");
            let body: String = (0..lines).map(line).collect();
            let read = tried(&mapping, Sent { body: &body, ..Sent::default() }).unwrap();
            assert!(read.taken.iter().all(|taken| taken.result.is_ok()));
            (read.steps, u64::try_from(body.len()).unwrap())
        };
        let (once, bytes) = steps(1_000);
        let (twice, _) = steps(2_000);
        assert!(once < 8 * bytes, "{once} steps for {bytes} bytes");
        assert!(twice < once * 21 / 10 && once * 19 / 10 < twice, "{once} {twice}");
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused(
            preset in 0..4_usize, body in "[\\[\\]{}\":,\\\\a0-9. \n=&%;]{0,60}", query in "[a-c=&%+0-9]{0,20}",
        ) {
            let names = ["ruuvi", "ecowitt", "shelly-gen2", "zigbee2mqtt"];
            let mapping = Mapping::parse("x", &format!("preset:{}", names[preset])).unwrap();
            if let Ok(read) = tried(&mapping, Sent { query: &query, body: &body, headers: &[] }) {
                prop_assert!(read.steps <= limits::SOURCE_STEPS_FREE * 2);
            }
        }

        #[test]
        fn a_message_that_is_damaged_gives_no_other_reading(
            at in 0..200_usize, by in "[\\[\\]{}\":,a5. ]?",
        ) {
            let mapping = Mapping::parse("x", "preset:ispindel").unwrap();
            let body = r#"{"name":"i1","ID":47,"temperature":68.2,"temp_units":"F","interval":900}"#;
            let at = at % body.len();
            let damaged = format!("{}{by}{}", &body[..at], &body[at + 1..]);
            for line in outcome(tried(&mapping, Sent { body: &damaged, ..Sent::default() })) {
                // Only a digit of the number or of the id itself can make another one.
                let within = |from: &str, to: &str| {
                    let (from, to) = (body.find(from).unwrap(), body.find(to).unwrap());
                    (from..=to).contains(&at)
                };
                let is_inside = within("68.2", ",\"temp_") || within("47", ",\"temperature");
                prop_assert!(is_inside || !line.contains("~0") || line == "/temperature 47 20111 ~0", "{}", line);
            }
        }
    }

    #[test]
    fn more_temperatures_than_a_request_may_have_are_none() {
        let mapping = assumed(
            r#""body":"json","each":"/*","take":[{"value":""}],"unit":"C","device":["$0"]"#,
        );
        let body = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        let sent = |body: &str| tried(&mapping, Sent { body, ..Sent::default() });
        assert_eq!(sent(&body(10_000)).map(|read| read.taken.len()), Ok(10_000));
        assert_eq!(sent(&body(10_001)), Err(Unread::TooMany));
    }
}
