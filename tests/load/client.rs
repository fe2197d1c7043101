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
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
    /// Processor time of client and server together, for one request.
    pub cpu: Duration,
    /// Answers by status class: 2xx, 3xx, 4xx, 5xx.
    pub classes: [usize; 6],
}

/// Makes the n-th request.
pub type Request = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// Sends `total` requests over `connections` sockets, each as soon as the one before is answered.
pub async fn run(
    address: SocketAddr,
    connections: usize,
    total: usize,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let request: Request = Arc::new(request);
    let mut sockets = Vec::new();
    for _ in 0..connections {
        sockets.push(connect(address).await);
    }
    let (start, cpu) = (Instant::now(), cpu_time("self"));
    let tasks = sockets.into_iter().map(|mut socket| {
        let (next, request) = (next.clone(), request.clone());
        tokio::spawn(async move {
            let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(16 * 1024));
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= total {
                    return times;
                }
                let bytes = request(n);
                let start = Instant::now();
                let status = ask(&mut socket, &bytes, &mut buffer).await;
                times.push((start.elapsed(), status));
            }
        })
    });
    let mut all = Vec::with_capacity(total);
    for task in tasks.collect::<Vec<_>>() {
        all.append(&mut task.await.expect("no panic"));
    }
    summary(all, start.elapsed(), cpu_time("self").saturating_sub(cpu))
}

/// Sends a request every `every`, whatever becomes of those before. Times count from when a
/// request was to be sent, so that a stall is not hidden by those that wait for it.
pub async fn open_loop(
    address: SocketAddr,
    connections: usize,
    (total, every): (usize, Duration),
    request: Request,
) -> Run {
    let (free, mut idle) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..connections {
        free.send(connect(address).await).expect("we hold the other end");
    }
    let (start, cpu) = (Instant::now(), cpu_time("self"));
    let mut tasks = Vec::with_capacity(total);
    for n in 0..total {
        let at = start + every * u32::try_from(n).expect("few");
        tokio::time::sleep_until(at.into()).await;
        let mut socket = idle.recv().await.expect("we hold the other end");
        let (bytes, free) = (request(n), free.clone());
        tasks.push(tokio::spawn(async move {
            let status = ask(&mut socket, &bytes, &mut Vec::with_capacity(4096)).await;
            let took = at.elapsed();
            // The run may be over.
            let _ = free.send(socket);
            (took, status)
        }));
    }
    let mut all = Vec::with_capacity(total);
    for task in tasks {
        all.push(task.await.expect("no panic"));
    }
    summary(all, start.elapsed(), cpu_time("self").saturating_sub(cpu))
}

fn summary(mut all: Vec<(Duration, u16)>, took: Duration, cpu: Duration) -> Run {
    let mut classes = [0; 6];
    for (_, status) in &all {
        classes[usize::from(status / 100).min(5)] += 1;
    }
    all.sort_unstable();
    let at = |percent| all.get(all.len() * percent / 100).map(|(at, _)| *at).unwrap_or_default();
    Run {
        per_second: all.len() as f64 / took.as_secs_f64(),
        p50: at(50),
        p95: at(95),
        p99: at(99),
        cpu: cpu / u32::try_from(all.len().max(1)).expect("few"),
        classes,
    }
}

pub async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).await.expect("connects");
    socket.set_nodelay(true).expect("a socket");
    socket
}

/// One whole answer: head and body.
pub async fn fetch(address: SocketAddr, request: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut buffer = Vec::new();
    ask(&mut connect(address).await, request, &mut buffer).await;
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let body = buffer.split_off(end + 4);
    (buffer, body)
}

/// Sends a request and reads its answer, which has a Content-Length; answers its status.
async fn ask(socket: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> u16 {
    socket.write_all(request).await.expect("written");
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

/// Processor time of a process so far, in hundredths of a second, as Linux counts it.
pub fn cpu_time(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * ticks.filter_map(|n| n.parse::<u64>().ok()).sum::<u64>())
}
