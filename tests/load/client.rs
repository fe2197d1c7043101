//! A load generator that costs little: plain HTTP/1.1 over kept-alive sockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What one run came to.
pub struct Run {
    pub per_second: f64,
    pub p95: Duration,
    pub p99: Duration,
    /// Answers by status class: 2xx, 3xx, 4xx, 5xx.
    pub classes: [usize; 6],
}

/// Sends `total` requests over `connections` sockets; `request` makes the n-th.
pub async fn run(
    address: SocketAddr,
    connections: usize,
    total: usize,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let request = Arc::new(request);
    let mut sockets = Vec::new();
    for _ in 0..connections {
        let socket = TcpStream::connect(address).await.expect("connects");
        socket.set_nodelay(true).expect("a socket");
        sockets.push(socket);
    }
    let start = Instant::now();
    let tasks: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            let (next, request) = (next.clone(), request.clone());
            tokio::spawn(async move { one(socket, &next, total, request.as_ref()).await })
        })
        .collect();
    let mut times = Vec::with_capacity(total);
    let mut classes = [0; 6];
    for task in tasks {
        for (time, status) in task.await.expect("no panic") {
            times.push(time);
            classes[usize::from(status / 100).min(5)] += 1;
        }
    }
    let took = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Run { per_second: times.len() as f64 / took, p95: at(95), p99: at(99), classes }
}

async fn one(
    mut socket: TcpStream,
    next: &AtomicUsize,
    total: usize,
    request: &(dyn Fn(usize) -> Vec<u8> + Send + Sync),
) -> Vec<(Duration, u16)> {
    let mut times = Vec::new();
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= total {
            return times;
        }
        let bytes = request(n);
        let start = Instant::now();
        socket.write_all(&bytes).await.expect("written");
        let status = answer(&mut socket, &mut buffer).await;
        times.push((start.elapsed(), status));
    }
}

/// Reads one answer with a Content-Length; answers its status.
async fn answer(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> u16 {
    buffer.clear();
    let (head, length) = loop {
        let got = socket.read_buf(buffer).await.expect("read");
        assert!(got > 0, "the server hung up");
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|text| text.trim().parse::<usize>().ok())
                .unwrap_or(0);
            break (end + 4, length);
        }
    };
    while buffer.len() < head + length {
        let got = socket.read_buf(buffer).await.expect("read");
        assert!(got > 0, "the server hung up");
    }
    std::str::from_utf8(&buffer[9..12]).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
