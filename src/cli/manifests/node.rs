//! YAML as a tree that knows its lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value with the line it stands on.
#[derive(Debug, Clone)]
pub struct Node {
    /// The parsed value.
    pub content: NodeValue,
    /// Its line in the file, counted from 1.
    pub line: u64,
}

/// What a manifest can hold.
#[derive(Debug, Clone)]
pub enum NodeValue {
    /// Text, a number, true, false or nothing.
    Scalar(Value),
    /// A YAML sequence, in the order of the file.
    List(Vec<Node>),
    /// An object, in the order of the file.
    Object(Vec<Entry>),
}

/// One entry of an object.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as written, without quotes.
    pub key: String,
    /// The line of the key, from 1.
    pub line: u64,
    /// The value, with the lines of what it holds.
    pub value: Node,
}

impl Node {
    /// The value of a key, where this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// The text below a path of keys, where there is one.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let node = path.iter().try_fold(self, |node, key| node.get(key))?;
        match &node.content {
            NodeValue::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The entries of an object; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            NodeValue::Object(entries) => entries,
            _ => &[],
        }
    }

    /// Whether there is nothing here: an empty document.
    pub fn is_null(&self) -> bool {
        matches!(self.content, NodeValue::Scalar(Value::Null))
    }

    /// The same without lines.
    pub fn to_json(&self) -> Value {
        match &self.content {
            NodeValue::Scalar(value) => value.clone(),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Object(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The line of what stands at `path` below the entry `key`, or of the last thing on the way that is
    /// there.
    pub fn line_at(&self, key: &str, path: &serde_path_to_error::Path) -> u64 {
        use serde_path_to_error::Segment;
        let Some(entry) = self.entries().iter().find(|entry| entry.key == key) else {
            return self.line;
        };
        let mut node = &entry.value;
        let mut line = entry.line;
        for segment in path {
            match (segment, &node.content) {
                (Segment::Map { key }, NodeValue::Object(entries)) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
                        break;
                    };
                    line = entry.line;
                    node = &entry.value;
                }
                (Segment::Seq { index }, NodeValue::List(items)) => {
                    let Some(item) = items.get(*index) else { break };
                    line = item.line;
                    node = item;
                }
                _ => break,
            }
        }
        line
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<NodeValue>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            content: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = NodeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<NodeValue, E> {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(NodeValue::Scalar(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NodeValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(NodeValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeValue, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry {
                line: key.referenced.line(),
                key: key.value,
                value,
            });
        }
        Ok(NodeValue::Object(entries))
    }
}
