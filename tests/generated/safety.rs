//! What docs/safety.md promises has the tests that it names.

use std::collections::BTreeMap;
use std::path::Path;

/// A test by the name that the document gives it, `module::name`, is in a file or folder `module`.
#[test]
fn every_test_that_the_page_on_safety_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/safety.md")).unwrap();
    let mut tests = BTreeMap::new();
    for folder in ["tests", "crates", "src"] {
        collect(root, &root.join(folder), &mut tests);
    }
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let named = named.into_iter().filter_map(|code| code.rsplit_once("::"));
    let mut count = 0;
    for (module, name) in named {
        let places = tests.get(name).map(Vec::as_slice).unwrap_or_default();
        let module = module.rsplit("::").next().unwrap_or(module);
        let parts = |place: &String| place.split('/').any(|part| part == module);
        assert!(
            places.iter().any(parts),
            "{module}::{name} isn't a test; there is one of that name in {places:?}"
        );
        count += 1;
    }
    assert!(count > 80, "{count}");
}

/// The functions of tests, each with the files that have one of that name.
fn collect(root: &Path, folder: &Path, tests: &mut BTreeMap<String, Vec<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let place = path.strip_prefix(root).unwrap().with_extension("");
            let mut attributed = false;
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line);
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    attributed = true;
                } else if let Some(name) = line.strip_prefix("fn ")
                    && std::mem::take(&mut attributed)
                {
                    let name = name.split('(').next().unwrap_or_default();
                    let places = tests.entry(name.to_owned()).or_default();
                    places.push(place.to_string_lossy().into_owned());
                }
            }
        }
    }
}
