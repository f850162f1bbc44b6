//! What a client sees over a real socket, answer by answer.

mod bodies;
mod configuration;
mod input;
mod regions;
mod sending;
