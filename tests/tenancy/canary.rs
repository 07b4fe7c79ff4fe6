//! Values that are in Secrets only, and what must never be seen of them.

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::secret;
use directory_sync_testing::ran::Ran;

/// A password with characters that encodings change.
pub const PASSWORD: &str = "kanarie+7/Vogel\"4711=zwart&wit";
/// A key without any.
pub const KEY: &str = "KanarieVanDeOrganisatie0815xyz";
/// A name to log in with, which is in a Secret as well.
pub const ACCOUNT: &str = "KanarieVanDeLezer2468ab";
/// The id of the organization's key, which servers may not repeat either.
pub const ORGANIZATION: &str = "organization.0c5e3f8e-6ac9-4a7b-9d6c-0dd0ca4a0e11";

/// All of them, for logs at their most talkative.
pub const TRACE: (&str, &str) = (
    "DIRECTORY_SYNC_LOG_LEVEL",
    "trace,directory_sync=trace,h2=trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,ldap3=trace",
);

/// A way to write a value so that a reader can make it out.
pub type Encoding = (&'static str, fn(&str) -> String);

/// The ways in which servers, gateways and debuggers write values.
pub const ENCODINGS: [Encoding; 14] = [
    ("as it is", str::to_owned),
    ("in capitals", str::to_uppercase),
    ("JSON escapes in JSON escapes", |text| {
        each(text, |c, out| write!(out, "\\\\u{:04x}", u32::from(c)))
    }),
    ("octal escapes", |text| {
        each(text, |c, out| write!(out, "\\{:03o}", u32::from(c)))
    }),
    ("hexadecimal escapes", |text| {
        each(text, |c, out| write!(out, "\\x{:02x}", u32::from(c)))
    }),
    ("percent signs twice", |text| {
        each(text, |c, out| write!(out, "%25{:02x}", u32::from(c)))
    }),
    ("HTML entities", |text| {
        each(text, |c, out| write!(out, "&#{};", u32::from(c)))
    }),
    ("Base64", |text| BASE64.encode(text.as_bytes())),
    ("Base64 in lines", |text| {
        let encoded = BASE64.encode(text.as_bytes());
        let lines: Vec<_> = encoded.as_bytes().chunks(9).collect();
        let lines = lines.iter().map(|line| String::from_utf8_lossy(line));
        lines.collect::<Vec<_>>().join("\r\n")
    }),
    ("Base64 of UTF-16", |text| {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        BASE64.encode(&bytes)
    }),
    ("hexadecimal", |text| HEXLOWER.encode(text.as_bytes())),
    ("decimal bytes", |text| {
        each(text, |c, out| write!(out, "{}, ", u32::from(c)))
    }),
    ("soft hyphens", |text| {
        each(text, |c, out| write!(out, "{c}\u{ad}"))
    }),
    ("spaces", |text| each(text, |c, out| write!(out, "{c} "))),
];

fn each(text: &str, write: fn(char, &mut String) -> std::fmt::Result) -> String {
    let mut out = String::new();
    for c in text.chars() {
        write(c, &mut out).unwrap();
    }
    out
}

/// Writes [`manifests`] into a file in `folder`.
pub fn write(folder: &Path, organization: &str, source: &str, objects: &str) {
    let all = manifests(organization, source, objects);
    std::fs::write(folder.join("all.yaml"), all).unwrap();
}

/// A resource with this organization and source, and `objects`. The organization's key is added where
/// they don't have it.
pub fn manifests(organization: &str, source: &str, objects: &str) -> String {
    let resource = format!(
        "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization: {{serverUrl: \"{organization}\", credentialsSecretRef: {{name: bitwarden}}}}
  source:
    {source}
"
    );
    let own = match objects.contains("name: bitwarden") {
        true => String::new(),
        false => secret(
            "bitwarden",
            &[("clientId", ORGANIZATION), ("clientSecret", KEY)],
        ),
    };
    format!("{resource}---\n{objects}---\n{own}")
}

/// Runs the program in `folder` with the most talkative logs.
pub async fn run_traced(folder: &Path, words: &str) -> Ran {
    run(folder, words, &[TRACE]).await
}

/// As [`run_traced`], with Entra ID at `url`.
pub async fn run_traced_with_entra_at(folder: &Path, words: &str, url: &str) -> Ran {
    let urls = format!("entra-authority={url},entra-graph={url}");
    run(
        folder,
        words,
        &[TRACE, ("DIRECTORY_SYNC_VENDOR_URLS", &urls)],
    )
    .await
}

/// Nothing of `said` tells any of the values, in any of the encodings.
#[track_caller]
pub fn assert_reveals_nothing(said: &str, attack: &str) {
    // As a reader would see it, with what doesn't show left out.
    let visible: String = said
        .chars()
        .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'))
        .collect();
    let visible = visible.to_lowercase();
    for value in [PASSWORD, KEY, ACCOUNT] {
        if let Some((found, at)) = find(&visible, value) {
            // All of it may be a log of many megabytes.
            let around: Vec<_> = visible.match_indices(&found).take(3).collect();
            let context = around.iter().map(|(at, _)| context(&visible, *at));
            let context = context.collect::<Vec<_>>().join("\n…\n");
            panic!("{attack}: {value} ({at}) is in the output: {context}");
        }
    }
}

/// In which form, and by which encoding, a text in lower case tells a value.
pub fn find(visible: &str, value: &str) -> Option<(String, &'static str)> {
    // Enough of it to guess the rest.
    let parts = [value, &value[..12], &value[value.len() - 12..]];
    let forms = parts.iter().flat_map(|part| {
        ENCODINGS.iter().map(|(name, encode)| {
            let form = encode(part);
            let form = form.trim_matches(['=', ' ', ',', '\u{ad}']);
            (form.to_lowercase(), *name)
        })
    });
    forms.into_iter().find(|(form, _)| visible.contains(form))
}

fn context(text: &str, at: usize) -> String {
    let (start, end) = (at.saturating_sub(600), (at + 300).min(text.len()));
    String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned()
}
