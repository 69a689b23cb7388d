//! The fixture backend: a small web service that can misbehave on request.
//!
//! `fixture-backend -port=N [--option value]…`; [`options`] lists the options, [`answer`] the paths.
//! It knows nothing of smoothserve.

mod answer;
mod body;
mod broken;
mod h2c;
mod lifetime;
mod listener;
mod options;
mod server;
mod web_socket;

use std::process::ExitCode;

use crate::options::{Options, Start};

fn main() -> ExitCode {
    match Options::read() {
        Ok(options) => begin(options),
        Err(error) => {
            eprintln!("fixture: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn begin(options: Options) -> ExitCode {
    if let Start::Refuse { code } = options.start {
        eprintln!("fixture: refusing to start: told to exit with {code}");
        return ExitCode::from(code);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(lifetime::live(options)),
        Err(error) => {
            eprintln!("fixture: no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
