//! The guard before hyper, fed with whatever: it never panics, any split of its input gives the same
//! result, and a head that it lets through is a head for httparse too, of the same length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smoothserve::proxy::guard::{Framer, Step};
use smoothserve_fuzz::in_portions;

const MAX_FIELDS: usize = 64 * 1024;

/// Where messages end, and why the rest was refused.
fn follow(input: &mut [u8], cuts: &[usize]) -> (Vec<usize>, Option<String>) {
    let mut framer = Framer::new(MAX_FIELDS);
    let (mut ends, mut passed) = (Vec::new(), 0);
    for &cut in cuts.iter().chain([&input.len()]) {
        while passed < cut {
            let begins = !framer.is_inside();
            let step = framer.next(&mut input[passed..cut]);
            let count = match step {
                Ok(Step::Pass(count)) => count,
                Ok(Step::More) => break,
                Err(refusal) => return (ends, Some(refusal.reason().to_owned())),
            };
            if begins {
                check_head(&input[passed..passed + count]);
            }
            passed += count;
            if !framer.is_inside() {
                ends.push(passed);
            }
        }
    }
    (ends, None)
}

fn check_head(message: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let parsed = httparse::Request::new(&mut headers).parse(message);
    let length = parsed.expect("httparse takes it").unwrap();
    assert!(message[..length].ends_with(b"\r\n\r\n"));
    let lines = message[..length].iter().filter(|&&byte| byte == b'\n').count();
    let returns = message[..length].iter().filter(|&&byte| byte == b'\r').count();
    assert_eq!(lines, returns, "every line ends in CR LF and holds neither");
}

fuzz_target!(|data: &[u8]| {
    let Some((input, portions)) = in_portions(data) else { return };
    let cuts: Vec<usize> = portions
        .iter()
        .scan(0, |sum, portion| {
            *sum += portion.len();
            Some(*sum)
        })
        .collect();
    let (mut at_once, mut in_pieces) = (input.to_vec(), input.to_vec());
    assert_eq!(follow(&mut at_once, &[]), follow(&mut in_pieces, &cuts));
    assert_eq!(at_once, in_pieces);
});
