//! Bytes that are nearly a message.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What somebody sends; shown as text.
#[derive(Clone)]
pub(crate) struct Input(pub(crate) Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Such texts, some of them with one or two bytes changed for such as make a difference.
pub(crate) fn mangled(texts: impl Strategy<Value = String>) -> impl Strategy<Value = Input> {
    let odd = select(b"\r\n\0\t :;,/#09afx-+\x7f\x80\xc3HTP1.".to_vec());
    let changes = vec((any::<Index>(), odd, 0..3_u8), 0..3);
    (texts, changes).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (place, byte, how) in changes {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        Input(bytes)
    })
}

/// The places where such an input is cut, in order.
pub(crate) fn places(input: &[u8], cuts: &[Index]) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.sort_unstable();
    places
}
