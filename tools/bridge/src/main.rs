//! `isotherm-bridge`: messages of an MQTT broker to a node. A message is acknowledged to the
//! broker once the node has it, so what was published with QoS 1 is not lost, and a reading
//! counts once however often it is sent.
//!
//! - `options`: what the command line and the environment say;
//! - `bridge`: the connection to the broker, and what is done with its messages;
//! - `arrivals`: acknowledgements, in the order of the messages;
//! - `lane`: threads that send messages to the node, those of a topic in their order;
//! - `gate`: what lanes have to know of the connection;
//! - `post`: one request to the node, and what its answer means;
//! - `pauses`: how long to wait after a failure;
//! - `report`: counters, and the lines that the program prints.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;

use crate::options::Options;
use crate::report::Report;

mod arrivals;
mod bridge;
mod gate;
mod lane;
mod options;
mod pauses;
mod post;
mod report;

fn main() -> ExitCode {
    match try_main() {
        Ok(()) => ExitCode::SUCCESS,
        // One line, with its causes: it is for the person that gave the command.
        Err(error) => {
            report::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn try_main() -> Result<()> {
    let Some(options) = Options::of_command_line()? else {
        report::say(options::USAGE);
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = Arc::new(Report::default());
    let ended = runtime.block_on(bridge::run(&options, &report));
    report.status();
    ended
}
