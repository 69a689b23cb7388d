//! Small things that several screens draw.

pub mod drain;
pub mod found;
pub mod ledger;
pub mod pips;
pub mod rows;
pub mod rule;
pub mod spark;

pub use rows::{Canvas, Pen};
