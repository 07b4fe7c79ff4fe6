//! Values of BER taken apart and put together, as far as a proxy needs it.

/// A message, each of whose parts is what `part` makes of it (its place, its tag, its content).
pub fn rebuilt(message: &[u8], part: impl FnMut(usize, u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let whole = parts(message);
    let (tag, body) = whole[0];
    encoded(tag, &rebuilt_body(body, part))
}

pub fn rebuilt_body(body: &[u8], mut part: impl FnMut(usize, u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let parts = parts(body).into_iter().enumerate();
    parts
        .flat_map(|(at, (tag, content))| encoded(tag, &part(at, tag, content)))
        .collect()
}

/// The values one after another in `bytes`, each with its tag.
pub fn parts(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut parts = vec![];
    while let [tag, first, ..] = *bytes {
        let (start, length) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let start = 2 + usize::from(first & 0x7f);
            (start, number(&bytes[2..start]))
        };
        parts.push((tag, &bytes[start..start + length]));
        bytes = &bytes[start + length..];
    }
    parts
}

pub fn encoded(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    match u8::try_from(body.len()) {
        Ok(length) if length < 0x80 => all.push(length),
        _ => {
            all.push(0x84);
            all.extend((body.len() as u32).to_be_bytes());
        }
    }
    all.extend(body);
    all
}

pub fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

/// The content of a small positive INTEGER.
pub fn integer(number: usize) -> Vec<u8> {
    debug_assert!(number < 0x8000, "the first bit would be its sign");
    (number as u16).to_be_bytes().to_vec()
}
