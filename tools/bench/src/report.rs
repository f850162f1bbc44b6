//! The figures as a table and as JSON.

use serde::Serialize;

/// One line of the table. What was not measured is absent.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The number of connections.
    pub(crate) connections: usize,
    /// Requests per second.
    pub(crate) requests_per_s: f64,
    /// Readings per second: acknowledged, and counted if the name says so.
    pub(crate) readings_per_s: Option<f64>,
    /// The median latency of a request, in milliseconds.
    pub(crate) p50_ms: f64,
    /// The 99th percentile of the latency, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Requests per second as a share of the hello's on as many connections.
    pub(crate) of_hello: Option<f64>,
    /// CPU seconds of the service for a million readings, or for a million requests if
    /// there are no readings.
    pub(crate) cpu_s_per_million: Option<f64>,
    /// Bytes that the service wrote to the disk, per reading.
    pub(crate) written_per_reading: Option<f64>,
    /// Bytes by which its regions database grew, per reading.
    pub(crate) disk_per_reading: Option<f64>,
    /// The sum of its processes' peak memory so far, in MiB.
    pub(crate) host_mib: Option<f64>,
}

/// Everything that a run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The runtime.
    pub(crate) runtime: String,
    /// `fdatasync` of 4 KiB per second, beside the stores.
    pub(crate) fdatasync_per_s: f64,
    /// The table.
    pub(crate) rows: Vec<Row>,
    /// From the start of the process to the first 200, in milliseconds.
    pub(crate) start_ms: f64,
    /// The same for the hello.
    pub(crate) hello_start_ms: f64,
    /// From a request to the first byte of its answer, in milliseconds: of the first
    /// request after the start, and of later ones. Each has a fresh instance.
    pub(crate) first_instance_ms: f64,
    pub(crate) later_instance_ms: f64,
    /// The median time to fold 64 batches of 1,000 readings, in milliseconds.
    pub(crate) fold_ms: f64,
    /// The most memory that an instance of a component had, in MiB, if the runtime
    /// reports it.
    pub(crate) guest_mib: Vec<(String, f64)>,
}

impl Report {
    /// The table as Markdown, one line per row.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| what | c | requests/s | readings/s | p50 ms | p99 ms | of hello | CPU s/M | \
             written B | disk B | host MiB |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            let digits = |value: Option<f64>, digits: usize| {
                value.map_or(String::new(), |value| format!("{value:.digits$}"))
            };
            text += &format!(
                "| {} | {} | {:.0} | {} | {:.2} | {:.2} | {} | {} | {} | {} | {} |\n",
                row.name,
                row.connections,
                row.requests_per_s,
                digits(row.readings_per_s, 0),
                row.p50_ms,
                row.p99_ms,
                digits(row.of_hello, 2),
                digits(row.cpu_s_per_million, 2),
                digits(row.written_per_reading, 0),
                digits(row.disk_per_reading, 1),
                digits(row.host_mib, 0),
            );
        }
        text
    }

    /// What is not in the table, one item per line.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!(
            "fdatasync of 4 KiB: {:.0}/s\n\
             process start to the first 200: {:.0} ms, hello {:.0} ms\n\
             request to the first byte, fresh instance: first {:.2} ms, then {:.2} ms (median)\n\
             a fold of 64 batches of 1,000: {:.0} ms (median)\n",
            self.fdatasync_per_s,
            self.start_ms,
            self.hello_start_ms,
            self.first_instance_ms,
            self.later_instance_ms,
            self.fold_ms,
        );
        for (component, mib) in &self.guest_mib {
            text += &format!("the most memory of an instance of {component}: {mib:.1} MiB\n");
        }
        text
    }
}
