//! From files, directories and standard input to documents.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::ManifestError;
use super::node::{Node, NodeValue};

/// Longest input that is read, in bytes: far more than any sensible manifest.
const INPUT_MAX: u64 = 64 * 1024 * 1024;

/// The file and line of a value, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, or `standard input`.
    pub file: String,
    /// The document within the file, counted from 1.
    pub document: usize,
    /// The line within the file, counted from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, document {}, line {}",
            self.file, self.document, self.line
        )
    }
}

/// One YAML document of a file.
#[derive(Debug)]
pub struct Document {
    /// The file, and the line where the document begins.
    pub place: Place,
    /// Its parsed content.
    pub node: Node,
}

impl Document {
    /// A place within this document.
    pub fn at(&self, line: u64) -> Place {
        Place {
            line,
            ..self.place.clone()
        }
    }
}

/// All documents of these files, in order; the items of `List` objects are documents of their own.
pub fn documents(paths: &[PathBuf], recursive: bool) -> Result<Vec<Document>, ManifestError> {
    let mut documents = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let name = "standard input".to_owned();
            let text = text(io::stdin().lock()).map_err(|source| ManifestError::Read {
                path: name.clone(),
                source,
            })?;
            parse(&name, &text, &mut documents)?;
            continue;
        }
        for file in files(path, recursive)? {
            let name = file.display().to_string();
            let text = std::fs::File::open(&file)
                .and_then(text)
                .map_err(|source| ManifestError::Read {
                    path: name.clone(),
                    source,
                })?;
            parse(&name, &text, &mut documents)?;
        }
    }
    Ok(documents)
}

fn text(input: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    let read = input.take(INPUT_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > INPUT_MAX {
        return Err(io::Error::other("more than 64 MiB: this is no manifest"));
    }
    Ok(text)
}

/// The file itself, or the manifests in a directory in the order of their names.
fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, ManifestError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| ManifestError::Read { path, source }
    };
    if !std::fs::metadata(path).map_err(failed(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).map_err(failed(&directory))? {
            let entry = entry.map_err(failed(&directory))?;
            let path = entry.path();
            // A link to a directory isn't followed: it could lead back here.
            let is_directory = entry.file_type().map_err(failed(&path))?.is_dir();
            if is_directory && recursive {
                directories.push(path);
            } else if !is_directory && is_manifest(&path) {
                // A named pipe would be waited for. One that is named itself may come from a shell: <(…).
                if !std::fs::metadata(&path).map_err(failed(&path))?.is_file() {
                    let source =
                        io::Error::other("it is no regular file; move it out of the directory");
                    return Err(failed(&path)(source));
                }
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        return Err(ManifestError::EmptyDirectory {
            path: path.display().to_string(),
            below: if recursive {
                ""
            } else {
                " (-R looks below it)"
            },
        });
    }
    files.sort();
    Ok(files)
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Reads `text` into `documents`. JSON is YAML.
fn parse(file: &str, text: &str, documents: &mut Vec<Document>) -> Result<(), ManifestError> {
    // A snippet of the file could show a Secret's values.
    let options = serde_saphyr::options! { with_snippet: false };
    let nodes: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| ManifestError::syntax(file, text, &error))?;
    for (index, node) in nodes.into_iter().enumerate() {
        let document = Document {
            place: Place {
                file: file.to_owned(),
                document: index + 1,
                line: node.line,
            },
            node,
        };
        if !document.node.is_null() {
            unpack(document, documents);
        }
    }
    Ok(())
}

/// Takes the items out of lists, as `kubectl get -o yaml` writes them.
fn unpack(document: Document, documents: &mut Vec<Document>) {
    let is_list = document
        .node
        .text(&["kind"])
        .is_some_and(|kind| kind.ends_with("List"));
    match document.node.get("items").map(|items| &items.content) {
        Some(NodeValue::List(items)) if is_list => {
            for item in items {
                let place = document.at(item.line);
                let node = item.clone();
                unpack(Document { place, node }, documents);
            }
        }
        _ => documents.push(document),
    }
}
