//! The program: hands its arguments to the command line, and its end to the shell.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    // One thread: a command waits far more than it works, and starts sooner without a pool.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments = std::env::args_os().skip(1).collect();
    let exit = runtime.block_on(smoothtool::cli::run(arguments));
    // A question that was still being read from the terminal must not keep the program.
    runtime.shutdown_background();
    Ok(exit.into())
}
