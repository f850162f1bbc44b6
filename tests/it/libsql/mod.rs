//! The regions on a server of libSQL, which is `support::hrana` here: with Spin's own client, on
//! Spin or in the embedded runtime.

mod away;
mod early;
mod streams;
