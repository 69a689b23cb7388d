//! How things look: roles instead of colours, and two sets of glyphs.

pub mod glyphs;
pub mod ink;
pub mod theme;

pub use glyphs::Glyphs;
pub use ink::Ink;
pub use theme::{Background, Role, Theme};
