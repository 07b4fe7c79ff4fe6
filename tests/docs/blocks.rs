//! The blocks of code in the documentation, and what stands before them: how they are tested.
//!
//! Before each block of commands is one of these comments, alone on its line:
//!
//! - `<!-- run: SCENE -->`, or `<!-- run: SCENE, exit code N -->`: the test of this page runs it ([`crate::running`]).
//!   With `, prints this` at the end, what the block shows as printed is compared: each line in its order, `…` for
//!   anything.
//! - `<!-- tested: module::test -->`: this test runs the same commands.
//! - `<!-- transcript of a test -->`: a test compares it with what the program prints.
//! - `<!-- not run: REASON -->`: it needs what a machine for tests doesn't have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use directory_sync::api::DirectorySync;
use directory_sync::validation::ValidatedSpec;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use crate::links::{pages, root};

/// A block of code, with the comment before it.
#[derive(Debug, Clone)]
pub struct Block {
    /// `console`, `yaml`; empty without one.
    pub language: String,
    /// What stands in it.
    pub text: String,
    /// What the comment says.
    pub mark: Option<Mark>,
}

/// How a block is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    Run {
        scene: String,
        exit_code: i32,
        prints_this: bool,
    },
    Tested(String),
    Transcript,
    NotRun(String),
}

impl Mark {
    fn parse(comment: &str) -> Option<Self> {
        let comment = comment.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
        if comment.trim() == "transcript of a test" {
            return Some(Self::Transcript);
        }
        let (kind, rest) = comment.trim().split_once(": ")?;
        match kind {
            "run" => {
                let stripped = rest.strip_suffix(", prints this");
                let rest = stripped.unwrap_or(rest);
                let (scene, code) = rest.split_once(", exit code ").unwrap_or((rest, "0"));
                Some(Self::Run {
                    scene: scene.to_owned(),
                    exit_code: code.parse().ok()?,
                    prints_this: stripped.is_some(),
                })
            }
            "tested" => Some(Self::Tested(rest.to_owned())),
            "not run" => Some(Self::NotRun(rest.to_owned())),
            _ => None,
        }
    }
}

/// The blocks of a page, in its order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = vec![];
    let mut mark = None;
    let mut open = false;
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                open = true;
                found.push(Block {
                    language,
                    text: String::new(),
                    mark: mark.take(),
                });
            }
            Event::End(TagEnd::CodeBlock) => open = false,
            Event::Text(text) if open => found.last_mut().unwrap().text.push_str(&text),
            Event::Html(html) => mark = Mark::parse(&html).or(mark),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            // A comment counts for the block right after it.
            _ => mark = None,
        }
    }
    found
}

impl Block {
    fn is_of_commands(&self) -> bool {
        let shells = ["console", "sh", "bash", "shell"];
        shells.contains(&self.language.as_str())
            || self.language.is_empty() && self.text.lines().any(|line| line.starts_with("$ "))
    }

    /// What a reader types, without what is printed.
    pub fn script(&self) -> String {
        match self.language == "console" {
            true => self.parts().0,
            false => self.text.clone(),
        }
    }

    /// What is printed, line by line.
    pub fn printed(&self) -> Vec<String> {
        self.parts().1
    }

    /// What is typed, and the lines that are printed.
    fn parts(&self) -> (String, Vec<String>) {
        let mut printed = vec![];
        let mut script = String::new();
        // What ends the command that a line begins; nothing: the line itself.
        let mut heredoc: Option<String> = None;
        let mut goes_on = false;
        for line in self.text.lines() {
            let typed = match line.strip_prefix("$ ") {
                Some(typed) if heredoc.is_none() => typed,
                _ if heredoc.is_some() || goes_on => line,
                _ => {
                    printed.push(line.to_owned());
                    continue;
                }
            };
            script.push_str(typed);
            script.push('\n');
            if heredoc.as_deref() == Some(typed) {
                heredoc = None;
            } else if let Some((_, word)) = typed.split_once("<<") {
                heredoc = Some(word.trim_matches('\'').to_owned());
            }
            goes_on = typed.ends_with('\\') || typed.ends_with('|');
        }
        (script, printed)
    }
}

/// All blocks with their pages. Decisions and changes are history, and nobody follows them.
pub fn all() -> Vec<(PathBuf, Block)> {
    let read = |page: PathBuf| {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        let blocks = blocks(&text).into_iter();
        blocks
            .map(move |block| (page.clone(), block))
            .collect::<Vec<_>>()
    };
    let fixture = |page: &PathBuf| page.starts_with("src") || page.starts_with("tests");
    let pages = pages().into_iter().filter(|page| !fixture(page));
    pages.flat_map(read).collect()
}

#[test]
fn every_block_of_commands_says_how_it_is_tested() {
    let mut unmarked = vec![];
    let (mut run, mut not_run) = (0, 0);
    for (page, block) in all()
        .into_iter()
        .filter(|(_, block)| block.is_of_commands())
    {
        match &block.mark {
            None => unmarked.push(format!("{}:\n{}", page.display(), block.text)),
            Some(Mark::NotRun(why)) => {
                assert!(why.split(' ').count() >= 3, "{}: {why}", page.display());
                not_run += 1;
            }
            Some(Mark::Run { .. } | Mark::Tested(_) | Mark::Transcript) => run += 1,
        }
    }
    assert!(
        unmarked.is_empty(),
        "{} blocks of commands have no comment (see tests/docs/blocks.rs) before them:\n\n{}",
        unmarked.len(),
        unmarked.join("\n")
    );
    assert!(run > not_run, "{run} are run, and {not_run} aren't");
}

/// A test is named by its function and a file or folder that it is in.
#[test]
fn every_test_that_a_block_names_exists() {
    let mut tests = String::new();
    let mut folders = ["tests", "crates", "src", "simulators"]
        .map(|f| root().join(f))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let place = path.strip_prefix(root()).unwrap().with_extension("");
                let place = place.to_string_lossy().replace('/', " ");
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    if let Some((_, rest)) = line.split_once("fn ") {
                        let name = rest.split('(').next().unwrap();
                        tests.push_str(&format!(" {place} :{name}:\n"));
                    }
                }
            }
        }
    }
    for (page, block) in all() {
        let Some(Mark::Tested(test)) = &block.mark else {
            continue;
        };
        let (module, name) = test.rsplit_once("::").unwrap();
        let module = module.rsplit("::").next().unwrap();
        let (module, name) = (format!(" {module} "), format!(":{name}:"));
        let found = tests
            .lines()
            .any(|t| t.contains(&module) && t.contains(&name));
        assert!(found, "{}: there is no test {test}", page.display());
    }
}

#[test]
fn every_manifest_in_the_documentation_is_yaml_and_every_resource_can_be_followed() {
    let mut followed = 0;
    let yaml = all()
        .into_iter()
        .filter(|(_, block)| block.language == "yaml");
    for (page, block) in yaml {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&block.text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", page.display(), block.text));
        for document in documents {
            if document["kind"] == "DirectorySync" {
                let typed: DirectorySync = serde_json::from_value(document.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
                ValidatedSpec::from_spec(&typed.spec)
                    .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
                let again = serde_json::to_value(&typed.spec).unwrap();
                assert_eq!(again, document["spec"], "{}", page.display());
                followed += 1;
            }
        }
    }
    assert!(followed >= 3, "{followed}");
}

#[test]
fn a_resource_has_a_name_of_its_own_among_the_examples() {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
                for document in documents {
                    if document["kind"] == "DirectorySync" {
                        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
                        assert!(names.insert(name), "{}", path.display());
                    }
                }
            }
        }
    }
    assert!(names.len() >= 9, "{names:?}");
}

#[test]
fn of_a_block_what_is_typed_is_told_from_what_is_printed() {
    let page = "<!-- run: one, exit code 3, prints this -->\n```console\n$ a \\\n    b\nprinted\n$ c <<'END'\nd\nEND\nprinted\n```\n\
                \n<!-- not run: it is only here -->\n\ntext\n\n```sh\ne\n```\n";
    let [first, second] = &blocks(page)[..] else {
        panic!("{page}");
    };
    let scene = "one".to_owned();
    assert_eq!(
        first.mark,
        Some(Mark::Run {
            scene,
            exit_code: 3,
            prints_this: true,
        })
    );
    assert_eq!(first.script(), "a \\\n    b\nc <<'END'\nd\nEND\n");
    assert_eq!(first.printed(), ["printed", "printed"]);
    assert_eq!((second.script().as_str(), &second.mark), ("e\n", &None));
}

/// The page of the file.
pub fn of_page(page: &str) -> Vec<Block> {
    blocks(&std::fs::read_to_string(Path::new(root()).join(page)).unwrap())
}
