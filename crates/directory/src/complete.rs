//! Proof that a list was read to its end.

/// A value that was read completely.
///
/// Absence is believed only of complete lists: whatever could take something away from somebody
/// asks for `Complete<Directory>` and `Complete<Organization>`, and only the last line of a read
/// that saw its end makes one.
#[derive(Debug, Clone)]
pub struct Complete<T>(T);

impl<T> Complete<T> {
    /// Vouches that `value` holds everything the other side has.
    ///
    /// Call this only where the protocol said that there is no more: the last page was marked as
    /// such, the body ended as announced, no referral was left unread.
    pub fn after_last_page(value: T) -> Self {
        Self(value)
    }

    /// Gives the value away, and with it the proof that it is complete.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Complete<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
