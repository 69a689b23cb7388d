//! smoothtool: the command line and the console of smoothserve.
//!
//! The console, in reading order: [`msg`] and [`effect`] (what goes in and comes out), [`model`]
//! (what is known), [`keymap`] and [`keys`] (what keys do), [`update`] (how it changes), [`view`] (how it looks),
//! [`runtime`] (the loop around them).

pub mod action;
pub mod canary;
pub mod cli;
pub mod client;
pub mod console;
pub mod demo;
pub mod effect;
pub mod export;
pub mod fmt;
pub mod input;
pub mod keymap;
pub mod keys;
pub mod model;
pub mod msg;
pub mod net;
pub mod recall;
pub mod runtime;
pub mod style;
pub mod term;
pub mod update;
pub mod view;
pub mod widgets;
pub mod words;
