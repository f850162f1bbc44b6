//! Several nodes that send each other what they have.

mod alone;
mod as_seen;
mod catch_up;
mod corrected;
mod damaged;
mod faults;
mod fleet;
mod kills;
mod linked;
mod many;
mod marks;
mod member;
mod mesh;
mod model;
mod overlap;
mod pruned;
mod registered;
mod rules;
mod stories;
mod timers;
mod traffic;
mod two;
mod wire;
