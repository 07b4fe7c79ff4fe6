//! A server that answers byte for byte as the test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An answer, as bytes.
#[derive(Clone, Default)]
pub struct Canned {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    promised: Option<usize>,
    chunked_without_end: bool,
    cut: bool,
    echo: bool,
}

impl Canned {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::status(200)
            .header("Content-Type: application/json; charset=utf-8")
            .body(body)
    }

    pub fn html(body: &str) -> Self {
        Self::status(200)
            .header("Content-Type: text/html")
            .body(body)
    }

    /// The connection closes without a word.
    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::default()
        }
    }

    pub fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The whole request comes back as the body, and in a header.
    pub fn echoing(mut self) -> Self {
        self.echo = true;
        self
    }

    /// A `Content-Length` that isn't reached.
    pub fn promising(mut self, length: usize) -> Self {
        self.promised = Some(length);
        self
    }

    /// Chunks whose last never comes.
    pub fn chunked_without_end(mut self) -> Self {
        self.chunked_without_end = true;
        self
    }

    fn bytes(&self, request: &str) -> Vec<u8> {
        let body = match self.echo {
            true => request.as_bytes().to_vec(),
            false => self.body.clone(),
        };
        let mut head = format!("HTTP/1.1 {} Canned\r\nConnection: close\r\n", self.status);
        for header in &self.headers {
            head += header;
            head += "\r\n";
        }
        if self.echo {
            let line = request.replace(['\r', '\n'], " ");
            head += &format!("Location: /{line}\r\n");
        }
        let mut bytes;
        if self.chunked_without_end {
            head += "Transfer-Encoding: chunked\r\n\r\n";
            bytes = head.into_bytes();
            if !body.is_empty() {
                bytes.extend(format!("{:x}\r\n", body.len()).bytes());
                bytes.extend(&body);
                bytes.extend(b"\r\n");
            }
        } else {
            let length = self.promised.unwrap_or(body.len());
            head += &format!("Content-Length: {length}\r\n\r\n");
            bytes = head.into_bytes();
            bytes.extend(&body);
        }
        bytes
    }
}

/// Gives its answers one after the other, the last for ever.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(answers: impl IntoIterator<Item = Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let mut answers: VecDeque<Canned> = answers.into_iter().collect();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = match answers.len() {
                    0 => Canned::status(500),
                    1 => answers[0].clone(),
                    _ => answers.pop_front().unwrap(),
                };
                tokio::spawn(serve(stream, answer, log.clone()));
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(mut stream: TcpStream, answer: Canned, log: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => request.extend(&chunk[..read]),
        }
        if is_whole(&request) {
            break;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    log.lock().unwrap().push(request.clone());
    if !answer.cut {
        let _ = stream.write_all(&answer.bytes(&request)).await;
        let _ = stream.shutdown().await;
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}
