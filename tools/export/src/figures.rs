//! How many readings the service counts in a range, and their exact sum.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::client::Client;

/// A count of readings, and their sum in thousandths of a degree Celsius.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many there are.
    pub count: u64,
    /// Their sum.
    pub sum: i64,
}

impl Figures {
    /// Adds a reading.
    pub fn add(&mut self, millicelsius: i32) {
        self.count += 1;
        self.sum += i64::from(millicelsius);
    }
}

/// The figures of one region, whose name is escaped, or of all, over whole minutes.
pub fn of_service(
    client: &Client,
    region: Option<&str>,
    [from, to]: &[String; 2],
) -> Result<Figures> {
    let mut figures = Figures::default();
    if let Some(region) = region {
        let answer = client.get(&format!("/v1/regions/{region}?from={from}&to={to}"), JSON)?;
        figures.take(&answer.json()?)?;
        return Ok(figures);
    }
    let mut path = Some(format!("/v1/regions?from={from}&to={to}"));
    while let Some(this) = path {
        let answer = client.get(&this, JSON)?;
        let body = answer.json()?;
        let regions = body.get("regions").and_then(Value::as_array);
        for region in regions.context("the answer has no regions")? {
            figures.take(region)?;
        }
        path = answer.next(&this)?;
    }
    Ok(figures)
}

const JSON: &str = "application/json";

impl Figures {
    /// Adds those of a region.
    fn take(&mut self, region: &Value) -> Result<()> {
        let count = region.get("count").and_then(Value::as_u64);
        self.count += count.context("the figures have no count")?;
        // Of no reading it is null.
        self.sum += region.get("sum_millicelsius").and_then(Value::as_i64).unwrap_or(0);
        Ok(())
    }
}
