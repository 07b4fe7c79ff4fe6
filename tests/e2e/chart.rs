//! The chart, and an older one to upgrade from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use simulators::lab::find;

const CHART: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/charts/directory-sync-operator"
);

/// A chart as it may have been a version ago: its definition lacks a field of the spec. The chart's
/// folder, and its version.
pub fn previous_chart(folder: &Path, field: &str) -> (String, String) {
    let version = "0.0.9";
    let chart = folder.join("previous-chart");
    copy(CHART.as_ref(), &chart);

    let mut about = yaml(&chart.join("Chart.yaml"));
    about["version"] = version.into();
    about["appVersion"] = version.into();
    fs::write(chart.join("Chart.yaml"), about.to_string()).unwrap();

    let definition = chart.join("files/crds.yaml");
    let mut crd = yaml(&definition);
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields = crd.pointer_mut(spec).unwrap().as_object_mut().unwrap();
    assert!(fields.remove(field).is_some());
    fs::write(definition, crd.to_string()).unwrap();
    (chart.display().to_string(), version.to_owned())
}

/// What `make bundle` writes, with an image that is built already; everything else comes from there.
pub struct Bundle {
    /// The archive of the image.
    pub image: PathBuf,
    /// The chart.
    pub chart: String,
}

impl Bundle {
    pub fn of(image: &Path, folder: &Path) -> Self {
        let bundle = folder.join("bundle");
        let helm = find("helm").unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", helm.parent().unwrap().display());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/hack/bundle");
        let mut write = Command::new(script);
        write.args(["--no-docs", "--image"]).arg(image).arg(&bundle);
        done(write.env("PATH", path).env("HOME", folder));
        // As the page says.
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--quiet", "SHA256SUMS"]);
        done(check.current_dir(&bundle));
        let chart = format!("directory-sync-operator-{}.tgz", env!("CARGO_PKG_VERSION"));
        Self {
            image: bundle.join("image.tar"),
            chart: bundle.join(chart).display().to_string(),
        }
    }
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn yaml(file: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, target) = (
            entry.as_ref().unwrap(),
            to.join(entry.as_ref().unwrap().file_name()),
        );
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
