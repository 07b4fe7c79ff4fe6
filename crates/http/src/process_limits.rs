//! What holds for every connection and answer of this process, whatever a resource says.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::egress::EgressPolicy;

/// Limits of the whole process, which its flags set.
#[derive(Debug, Clone)]
pub struct ProcessLimits {
    /// Which servers may be connected to.
    pub egress: EgressPolicy,
    /// The largest answer, in bytes after decompression; of LDAP, all pages of one search.
    pub max_response_bytes: u64,
    /// The longest list, in items, in all its pages; of LDAP, of one search.
    pub max_list_items: usize,
    /// The largest LDAP message, in bytes. One entry is one message, so this bounds the members of a
    /// group. A decoder needs about five times as much memory.
    pub max_ldap_message_bytes: usize,
}

impl Default for ProcessLimits {
    /// As for the command line: every server, and answers as large as a million people's.
    fn default() -> Self {
        Self {
            egress: EgressPolicy::unrestricted(),
            max_response_bytes: 1 << 30,
            max_list_items: 2_000_000,
            max_ldap_message_bytes: 256 << 20,
        }
    }
}

static LIMITS: OnceLock<ProcessLimits> = OnceLock::new();

/// Sets the limits, once, before the first connection.
///
/// # Errors
/// When they were set or used before.
pub fn set_process_limits(limits: ProcessLimits) -> Result<(), LimitsInUse> {
    LIMITS.set(limits).map_err(|_| LimitsInUse)
}

/// The limits were set or used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limits of this process are in use already")]
pub struct LimitsInUse;

/// The limits that hold.
pub fn process_limits() -> &'static ProcessLimits {
    LIMITS.get_or_init(ProcessLimits::default)
}

/// How an error about a list that is too long begins.
pub(crate) const TOO_MANY: &str = "the list is longer than";

/// Reads a list of at most [`ProcessLimits::max_list_items`] items: what is kept of an answer is
/// bounded, however small its items are. For `#[serde(deserialize_with = "…")]`.
///
/// # Errors
/// When there are more.
pub fn bounded_list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Bounded<T>(usize, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == self.0 {
                    return Err(A::Error::custom(format_args!(
                        "{TOO_MANY} {} items; raise --max-list-items if it is right",
                        self.0
                    )));
                }
                list.push(item);
            }
            Ok(list)
        }
    }
    let most = process_limits().max_list_items;
    deserializer.deserialize_seq(Bounded(most, PhantomData))
}

/// Counts the items of one list over all its pages. A server can have always another page.
#[derive(Debug, Default)]
pub struct ListLength(usize);

impl ListLength {
    /// One more page came, with so many items.
    ///
    /// # Errors
    /// Why no more are read: the list is longer than the limit.
    pub fn add(&mut self, items: usize) -> Result<(), String> {
        self.add_below(items, process_limits().max_list_items)
    }

    fn add_below(&mut self, items: usize, most: usize) -> Result<(), String> {
        // Pages without items can be endless as well.
        self.0 = self.0.saturating_add(items.max(1));
        match self.0 > most {
            true => Err(format!(
                "it has more than {most} items over all its pages; raise --max-list-items if it is right"
            )),
            false => Ok(()),
        }
    }
}

/// A list as a whole answer, read as by [`bounded_list`].
#[derive(Debug, Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
pub struct BoundedList<T>(#[serde(deserialize_with = "bounded_list")] pub Vec<T>);

/// Any JSON, made of at most 100,000 values. For what has to be sent back as it came: decoded,
/// a small value takes twenty times the bytes that were sent.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundedValue(pub Value);

/// Of 10,000 collections each has five values.
const VALUES_MAX: usize = 100_000;
/// How an error about too many values begins.
pub(crate) const TOO_MANY_VALUES: &str = "more values than";

impl<'de> Deserialize<'de> for BoundedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(VALUES_MAX);
        ValueSeed(&left).deserialize(deserializer).map(Self)
    }
}

impl serde::Serialize for BoundedValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A list of any JSON, for `#[serde(deserialize_with = "…")]`: bounded as a [`BoundedValue`].
///
/// # Errors
/// When it is larger, or neither a list nor null.
pub fn bounded_values<'de, D>(deserializer: D) -> Result<Option<Vec<Value>>, D::Error>
where
    D: Deserializer<'de>,
{
    match BoundedValue::deserialize(deserializer)?.0 {
        Value::Null => Ok(None),
        Value::Array(values) => Ok(Some(values)),
        _ => Err(D::Error::custom("invalid type: map, expected a list")),
    }
}

/// Decodes a value as long as there are some left.
struct ValueSeed<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| {
            D::Error::custom(format_args!("{TOO_MANY_VALUES} {VALUES_MAX} in one field"))
        })?;
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(ValueSeed(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = serde_json::Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            map.insert(name, fields.next_value_seed(ValueSeed(self.0))?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_sent_back_is_as_it_came_and_bounded() {
        let text = r#"[{"id":"a","n":[1,-2,0.5,null,true]},{}]"#;
        let value: BoundedValue = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
        for small in ["[],", "0,", "{},", "[0],"] {
            let many = format!("[{}0]", small.repeat(VALUES_MAX));
            let error = serde_json::from_str::<BoundedValue>(&many).unwrap_err();
            assert!(error.to_string().starts_with(TOO_MANY_VALUES), "{error}");
        }
    }

    #[test]
    fn a_list_over_many_pages_is_read_to_its_limit() {
        let mut length = ListLength::default();
        for _ in 0..3 {
            length.add_below(2, 7).unwrap();
        }
        length.add_below(0, 7).unwrap();
        let why = length.add_below(0, 7).unwrap_err();
        assert!(
            why.contains("more than 7 items") && why.contains("--max-list-items"),
            "{why}"
        );
    }

    #[test]
    fn a_list_is_read_to_its_limit() {
        #[derive(Debug, serde::Deserialize)]
        struct Holder {
            #[serde(deserialize_with = "bounded_list")]
            items: Vec<u8>,
        }
        let read: Holder = serde_json::from_str(r#"{"items": [1, 2, 3]}"#).unwrap();
        assert_eq!(read.items, [1, 2, 3]);
    }
}
