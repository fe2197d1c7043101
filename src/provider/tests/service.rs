//! A service on a port of its own that answers as a test says: each call by itself, and as badly
//! as services do.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Method, path and query.
    pub(crate) call: String,
    pub(crate) body: Value,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status and a body.
    Is(u16, Value),
    /// The same with one more header.
    With(u16, &'static str, String, Value),
    /// These bytes, and the connection goes on.
    Loose(&'static [u8]),
    /// These bytes, and the connection ends.
    Bytes(&'static [u8]),
    /// These bytes, and then nothing more for as long as anybody waits.
    Stuck(&'static [u8]),
}

impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self::Is(200, body)
    }
}

impl From<(u16, Value)> for Answer {
    fn from((status, body): (u16, Value)) -> Self {
        Self::Is(status, body)
    }
}

type Answers = Box<dyn FnMut(&Heard) -> Answer + Send>;

/// A service under `url`.
pub(crate) struct Service {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Service {
    pub(crate) async fn start(answers: impl FnMut(&Heard) -> Answer + Send + 'static) -> Self {
        // Installed by whichever test comes first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let noted = heard.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, noted.clone(), answers.clone()));
            }
        });
        Self { url, heard }
    }

    /// Answers each call in turn, the last answer for ever, and 404 to what it does not know.
    pub(crate) async fn plays<A: Into<Answer>>(
        parts: impl IntoIterator<Item = (&'static str, Vec<A>)>,
    ) -> Self {
        let parts = parts.into_iter().map(|(call, all)| {
            (call, all.into_iter().map(Into::into).collect::<VecDeque<Answer>>())
        });
        let mut parts: HashMap<_, _> = parts.collect();
        Self::start(move |heard| match parts.get_mut(heard.call.as_str()) {
            Some(all) if all.len() > 1 => all.pop_front().expect("several"),
            Some(all) => all.front().expect("an answer").clone(),
            None => Answer::Is(404, Value::Null),
        })
        .await
    }

    /// What was asked so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The calls alone.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.call).collect()
    }

    /// The bodies of one call.
    pub(crate) fn bodies(&self, call: &str) -> Vec<Value> {
        self.heard().into_iter().filter(|heard| heard.call == call).map(|one| one.body).collect()
    }
}

/// Answers one call after the other on one connection.
async fn serve(connection: TcpStream, noted: Arc<Mutex<Vec<Heard>>>, answers: Arc<Mutex<Answers>>) {
    let mut connection = BufReader::new(connection);
    while let Some(heard) = hear(&mut connection).await {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(heard.clone());
        let answer = (answers.lock().unwrap_or_else(PoisonError::into_inner))(&heard);
        let head = |status: u16, more: &str, body: &str| {
            format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let text = |body: &Value| if body.is_null() { String::new() } else { body.to_string() };
        let (bytes, goes_on) = match answer {
            Answer::Is(status, body) => (head(status, "", &text(&body)).into_bytes(), true),
            Answer::With(status, name, value, body) => {
                let more = format!("{name}: {value}\r\n");
                (head(status, &more, &text(&body)).into_bytes(), true)
            }
            Answer::Loose(bytes) => (bytes.to_vec(), true),
            Answer::Bytes(bytes) => (bytes.to_vec(), false),
            Answer::Stuck(bytes) => {
                // Whoever asked gives up; then this ends as well.
                let _ = connection.write_all(bytes).await;
                let _ = connection.read_u8().await;
                return;
            }
        };
        if connection.write_all(&bytes).await.is_err() || !goes_on {
            return;
        }
    }
}

async fn hear(connection: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let call = format!("{} {}", words.next()?, words.next()?);
    let mut long = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            long = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; long];
    connection.read_exact(&mut body).await.ok()?;
    Some(Heard { call, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}
