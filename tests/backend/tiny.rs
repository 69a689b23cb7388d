//! The smallest web service there is: one thread, one answer, a few hundred kilobytes of its own,
//! so that a thousand of them fit anywhere.
//!
//! `tiny-backend -port=N`; it listens at once and goes at once, as TERM does by itself.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n";

fn main() -> ExitCode {
    match port().map(serve) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("tiny: {error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("tiny: no port was given");
            ExitCode::from(2)
        }
    }
}

fn port() -> Option<u16> {
    std::env::args().find_map(|argument| argument.strip_prefix("-port=")?.parse().ok())
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    for client in listener.incoming() {
        // A client that goes away is its own business.
        let _ = answer(client?);
    }
    Ok(())
}

fn answer(mut client: TcpStream) -> io::Result<()> {
    let mut head = [0; 1024];
    let mut read = 0;
    while !head[..read].windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut head[read..])? {
            // It asked nothing, or more than fits.
            0 => return Ok(()),
            more => read += more,
        }
    }
    client.write_all(ANSWER)
}
