//! x
#[derive(Default)]
pub struct Memory;
