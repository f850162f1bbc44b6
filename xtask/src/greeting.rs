//! What `cargo xtask up` says before it serves.

use crate::peers::Peers;
use crate::{Runtime, step};

/// Says what is served. `access` is what there is to say of `--auth`, and `said` of the
/// variables: a line about what is kept, and one about access control.
pub(crate) fn print(
    runtime: Runtime,
    listen: &str,
    peers: &Peers,
    said: &str,
    access: Option<&str>,
) {
    let reason = match runtime {
        Runtime::Spin => "with spin",
        Runtime::Embedded => {
            "with the embedded runtime, as `spin` is not on the PATH or not wanted"
        }
    };
    step(&format!("Serving Isotherm on http://{listen} {reason}; end it with Ctrl-C"));
    let (kept, open_or_not) = said.split_once('\n').unwrap_or((said, ""));
    let is_on = access.is_some() || is_on(open_or_not);
    let (with_token, credential) = match is_on {
        true => (", with a token in TOKEN", "-H \"authorization: Bearer $TOKEN\" "),
        false => ("", ""),
    };
    let access = access.map_or_else(
        || match is_on {
            true => format!("{open_or_not}."),
            false => format!("{open_or_not}.\n`cargo xtask up --auth` turns it on."),
        },
        ToOwned::to_owned,
    );
    let peers = match peers.origins() {
        [] => String::new(),
        origins => {
            format!("Sends everything it has to {}, every ten seconds.\n", origins.join(" and "))
        }
    };
    println!(
        "
    POST /v1/readings                  one reading or an array of them
    GET  /v1/regions                   the averages of all regions
    GET  /v1/regions/{{region}}          the average of one; ?from=&to= narrow it
    GET  /v1/regions/{{region}}/windows  the same step by step; ?from=&to=&step=1h
    GET  /v1/regions/{{region}}/devices  the devices that sent them
    GET  /v1/regions/{{region}}/limits   what is set for it; PUT sets low_c and high_c
    GET  /v1/regions/{{region}}/excursions  when it was outside of that
    GET  /v1/devices/{{device_id}}       one device; below it its /readings
    GET  /v1/conflicts                 readings that contradict a counted one
    GET  /v1/rejections                what was rejected, of which device, and why
    GET  /v1/quarantine                readings that could not be counted
    GET  /v1/readings                  single readings as they stand, for an export
    POST /v1/corrections               takes a counted reading back, or replaces it
    GET  /v1/status                    how much there is, what it takes, and will take
    GET  /v1/sync                      what its peers may not have yet
    GET  /v1/senders                   the nodes that send to it, and what they have left
    GET  /metrics  /readyz  /healthz  /v1/events  /v1/tokens  /openapi.json

The page with all regions and their charts: http://{listen}/
{kept}; /v1/status has what that takes.
{peers}
{access}

Try, in another terminal{with_token}:

    curl {credential}-H 'content-type: application/json' -H 'prefer: wait' \\
        -d '{{\"device_id\":\"d1\",\"region\":\"hall\",\"temperature_c\":21.5,\"timestamp\":'$(date +%s000)'}}' \\
        http://{listen}/v1/readings
    curl {credential}http://{listen}/v1/regions/hall
"
    );
}

/// Whether access control is on, by what is said of the variables.
pub(crate) fn is_on(said: &str) -> bool {
    said.contains("is on")
}
