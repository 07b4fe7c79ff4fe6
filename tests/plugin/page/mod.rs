//! `kubectl directorysync ui`

mod acting;
mod browser;
mod file;
mod guarded;
mod shown;
mod undoing;

use std::path::Path;
use std::process::Stdio;

use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use scraper::{Html, Selector};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use directory_sync_testing::world::World;

/// The page as kubectl serves it, and what a browser that opened it has.
pub struct Page {
    /// `http://127.0.0.1:41235`
    pub origin: String,
    /// The link that was printed.
    pub link: String,
    /// The path below which everything is.
    pub base: String,
    /// As it is sent.
    pub cookie: String,
    client: Client,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    // Killed when dropped.
    _kubectl: Child,
}

impl Page {
    /// Serves it, for nobody yet.
    pub async fn serve(world: &World, words: &str, kubeconfig: &Path) -> Self {
        let mut kubectl = Command::from(world.server().kubectl())
            .args(["directorysync", "ui", "--no-browser"])
            .args(words.split_whitespace())
            .env("PATH", crate::kubectl::path())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(kubectl.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let link = line;
        let (origin, _) = link.split_once("/open").unwrap();
        Self {
            origin: origin.to_owned(),
            base: String::new(),
            cookie: String::new(),
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            stdin: kubectl.stdin.take().unwrap(),
            lines,
            _kubectl: kubectl,
            link,
        }
    }

    /// Serves the world's namespace to a browser that opened the link.
    pub async fn open(world: &World) -> Self {
        let words = format!("-n {}", world.namespace);
        let mut page = Self::serve(world, &words, world.server().kubeconfig()).await;
        page.sign_in().await;
        page
    }

    /// Opens the link.
    pub async fn sign_in(&mut self) {
        let answer = self.client.get(&self.link).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        let (cookie, _) = header(SET_COOKIE)
            .split_once(';')
            .map(|(cookie, rest)| (cookie.to_owned(), rest.to_owned()))
            .unwrap();
        self.cookie = cookie;
        self.base = header(LOCATION).trim_end_matches('/').to_owned();
    }

    /// Presses Enter in the terminal; the link that is printed then.
    pub async fn another_link(&mut self) -> String {
        self.stdin.write_all(b"\n").await.unwrap();
        loop {
            let line = self.lines.next_line().await.unwrap().unwrap();
            if line.starts_with("http") {
                return line;
            }
        }
    }

    /// A request for a path below the base, with nothing of a browser.
    pub fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let address = format!("{}{}{path}", self.origin, self.base);
        self.client.request(method.parse().unwrap(), address)
    }

    /// A request as the signed-in browser sends it.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.bare(method, path).header(COOKIE, &self.cookie);
        match method {
            "POST" => request.header(ORIGIN, &self.origin),
            _ => request,
        }
    }

    /// A page, as it is parsed by a browser.
    pub async fn get(&self, path: &str) -> Document {
        let answer = self.request("GET", path).send().await.unwrap();
        Document::of(answer).await
    }

    /// Sends the form of a page, as a person does who presses its button.
    pub async fn press(&self, document: &Document) -> Response {
        let action = document.attributes("form", "action").remove(0);
        let path = action.strip_prefix(&self.base).unwrap();
        let fields = document.fields();
        let request = self.request("POST", path).form(&fields);
        request.send().await.unwrap()
    }

    /// As [`press`](Self::press), with the answer parsed.
    pub async fn pressed(&self, document: &Document) -> Document {
        Document::of(self.press(document).await).await
    }

    /// The same request with this host.
    pub fn with_host(&self, request: RequestBuilder, host: &str) -> RequestBuilder {
        request.header(HOST, host)
    }
}

/// An answer.
pub struct Document {
    pub status: u16,
    pub text: String,
}

impl Document {
    pub async fn of(answer: Response) -> Self {
        Self {
            status: answer.status().as_u16(),
            text: answer.text().await.unwrap(),
        }
    }

    /// Its text as a person reads it.
    pub fn read(&self) -> String {
        self.texts("body").remove(0)
    }

    /// The texts of elements, with single spaces.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        let found = html.select(&selector);
        let texts = found.map(|element| element.text().collect::<String>());
        texts
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// An attribute of elements.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        let found = html.select(&selector);
        let values = found.filter_map(|element| element.value().attr(name));
        values.map(str::to_owned).collect()
    }

    /// The fields of its form.
    pub fn fields(&self) -> Vec<(String, String)> {
        let names = self.attributes("form input", "name");
        names
            .into_iter()
            .zip(self.attributes("form input", "value"))
            .collect()
    }

    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(
            self.read().contains(part),
            "{part:?} isn't in {} {}",
            self.status,
            self.text
        );
        self
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}
