//! The text formats of metrics.

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    Prometheus,
    OpenMetrics,
}

impl Exposition {
    /// The formats on offer; the first is the default.
    pub(crate) const OFFERS: &[(&str, Self)] =
        &[("text/plain", Self::Prometheus), ("application/openmetrics-text", Self::OpenMetrics)];

    /// The media type with its parameters.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Metrics as text.
pub(super) struct Text {
    pub(super) exposition: Exposition,
    pub(super) text: String,
}

impl Text {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // In OpenMetrics, `_total` belongs to a counter's sample, not to its name.
        let name = match self.exposition {
            Exposition::Prometheus => name,
            Exposition::OpenMetrics => name.trim_end_matches("_total"),
        };
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        self.line(name, labels, &value.to_string());
    }

    /// A value in millionths.
    pub(super) fn decimal(&mut self, name: &str, labels: &[(&str, &str)], millionths: i64) {
        let sign = if millionths < 0 { "-" } else { "" };
        let size = millionths.unsigned_abs();
        let value = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
        self.line(name, labels, value.trim_end_matches('0').trim_end_matches('.'));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.text.push_str(&format!("{name}{labels} {value}\n"));
    }
}
