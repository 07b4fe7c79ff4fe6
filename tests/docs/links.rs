//! The pages: each is on the site, and each of their links leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Links and anchors of one page.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    let sources = html.split("src=\"").skip(1);
                    let sources = sources.filter_map(|rest| rest.split('"').next());
                    page.links.extend(sources.map(str::to_owned));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let times = seen.entry(anchor.clone()).or_default();
                    page.anchors.insert(if *times == 0 {
                        anchor
                    } else {
                        format!("{anchor}-{times}")
                    });
                    *times += 1;
                }
                _ => {}
            }
        }
        page
    }
}

/// What GitHub and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown files that people read, from the root of the repository.
pub fn pages() -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders: Vec<PathBuf> = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = entry.file_name().into_string().unwrap();
            let is_built = ["target", "node_modules", ".git"].contains(&name.as_str());
            if entry.file_type().unwrap().is_dir() && !is_built {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(page: &Path) -> Page {
    Page::read(&std::fs::read_to_string(root().join(page)).unwrap())
}

/// `docs/a.md` and `../b/c.md` are `b/c.md`.
fn target(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().unwrap().to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{}: {link}", page.display()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

/// What is wrong with a link, if anything is.
fn broken(page: &Path, link: &str, known: &mut BTreeMap<PathBuf, Page>) -> Option<String> {
    let is_elsewhere = ["https:", "http:", "mailto:"]
        .iter()
        .any(|scheme| link.starts_with(scheme));
    if is_elsewhere {
        return None;
    }
    let (file, place) = link.split_once('#').unwrap_or((link, ""));
    let file = if file.is_empty() {
        page.to_owned()
    } else {
        target(page, file)
    };
    if !root().join(&file).exists() {
        return Some(format!("{}: there is no {link}", page.display()));
    }
    if place.is_empty() {
        return None;
    }
    let there = known.entry(file.clone()).or_insert_with(|| read(&file));
    (!there.anchors.contains(place)).then(|| format!("{}: {link} names no heading", page.display()))
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there() {
    let pages = pages();
    assert!(pages.len() >= 50, "{pages:?}");
    let mut known = BTreeMap::new();
    let mut all_broken = vec![];
    let mut count = 0;
    for page in pages {
        for link in read(&page).links {
            count += 1;
            all_broken.extend(broken(&page, &link, &mut known));
        }
    }
    assert!(all_broken.is_empty(), "{}", all_broken.join("\n"));
    assert!(count > 500, "{count}");
}

#[test]
fn every_page_of_the_documentation_is_in_the_sites_table_of_contents() {
    let summary = Path::new("docs/SUMMARY.md");
    let listed: Vec<PathBuf> = read(summary)
        .links
        .iter()
        .map(|link| target(summary, link))
        .collect();
    let distinct: BTreeSet<_> = listed.iter().collect();
    assert_eq!(distinct.len(), listed.len(), "a page is listed twice");
    let missing: Vec<_> = pages()
        .into_iter()
        .filter(|page| page.starts_with("docs") && page != summary && !listed.contains(page))
        .collect();
    assert!(
        missing.is_empty(),
        "add these to docs/SUMMARY.md: {missing:?}"
    );
}

#[test]
fn a_heading_is_found_by_the_name_that_readers_see() {
    let page = Page::read("# `kubectl` & co: v1.2\n\n## Two words\n\n## Two words\n");
    let anchors: Vec<_> = page.anchors.into_iter().collect();
    assert_eq!(anchors, ["kubectl--co-v12", "two-words", "two-words-1"]);
}
