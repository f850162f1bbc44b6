//! The limits of the rooms, set on a node.

use anyhow::{Result, bail};
use serde_json::json;

use super::ROOMS;
use crate::sender::Sender;

/// Sets the limits of the rooms that have some. False if the node's release keeps none.
pub fn set_limits(sender: &Sender) -> Result<bool> {
    for room in &ROOMS {
        let Some((low, high)) = room.limits else { continue };
        let degrees = |millicelsius: i64| millicelsius as f64 / 1_000.0;
        let body = json!({"low_c": degrees(low), "high_c": degrees(high), "for": "20m"});
        let path = format!("/v1/regions/{}/limits", room.region);
        let answer = sender.put(&path, body.to_string().as_bytes())?;
        match answer.status {
            200 | 201 | 204 => {}
            // No such resource, or none that takes a PUT.
            404 | 405 => return Ok(false),
            status => bail!("{path}: {status} {}", answer.body),
        }
    }
    Ok(true)
}
