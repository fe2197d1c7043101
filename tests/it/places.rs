//! Thousands follow sales, say nothing, or take for ever: whoever has business is still served.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    desk::desk_setup,
    world::{MUG, PATIENCE, World, client, mins},
};

/// Opens a connection and sends something over it.
async fn opens(world: &World, send: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.app.address).await.expect("connects");
    stream.write_all(send.as_bytes()).await.expect("sent");
    stream
}

/// The status of the next answer; none if the connection is cut.
async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut head = [0; 12];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut head));
    read.await.expect("an answer or an end").ok()?;
    std::str::from_utf8(&head).ok()?.rsplit(' ').next()?.parse().ok()
}

/// A webhook, a health check, a claim and the desk are answered.
async fn are_served(world: &mut World, who: &str) {
    for (path, expected) in [("/healthz", 200), ("/desk", 303), ("/live", 200)] {
        let answer = client().get(world.url(path)).send().await.expect("answers");
        assert_eq!(answer.status(), expected, "{path}");
    }
    let hook = client().post(world.url("/webhooks/sandbox")).body("{}").send().await;
    assert_eq!(hook.expect("answers").status(), 401);
    assert_eq!(world.clicks(who).await.status, 303);
}

fn setup() -> crate::world::Setup {
    desk_setup(&format!("[http]\nmax_connections = 64\n{MUG}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_leave_places_for_everybody_else() {
    livetill::meter::start().expect("figures");
    let mut world = World::build(&setup()).await;
    world.says("!sale start mug 10m").await;
    let ask =
        format!("GET /sales/{}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", world.newest().id);
    let mut streams = Vec::new();
    let mut follow = 0;
    for _ in 0..80 {
        let mut stream = opens(&world, &ask).await;
        match status(&mut stream).await {
            Some(200) => follow += 1,
            other => assert_eq!(other, Some(429)),
        }
        streams.push(stream);
    }
    assert_eq!(follow, 56, "one place in eight is never a stream's");
    are_served(&mut world, "ana").await;
    let metrics = client().get(world.url("/metrics")).send().await.expect("answers");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("livetill_connections{are=\"streams\"}"), "{metrics}");

    // Idle connections besides: those and the oldest streams give way.
    let idle: Vec<_> = {
        let mut idle = Vec::new();
        for _ in 0..40 {
            idle.push(opens(&world, "").await);
        }
        idle
    };
    are_served(&mut world, "ben").await;
    let ready = client().get(world.url("/readyz")).send().await.expect("answers");
    assert_eq!(ready.status(), 200, "who fills the listener takes no replica out of a balancer");
    drop((idle, streams));
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_connections_of_one_proxy_take_nobody_else_s_place() {
    let mut world = World::build(&setup()).await;
    world.says("!sale start mug 10m").await;
    let ask = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let mut kept = Vec::new();
    for _ in 0..100 {
        let mut stream = opens(&world, ask).await;
        assert_eq!(status(&mut stream).await, Some(200));
        kept.push(stream);
    }
    are_served(&mut world, "ana").await;
    drop(kept);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_drips_comes_to_an_end() {
    let mut world = World::build(&setup()).await;
    world.says("!sale start mug 10m").await;
    let head = format!(
        "POST /sales/{}/holds HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n",
        world.newest().id
    );
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(opens(&world, &head).await);
    }
    are_served(&mut world, "ana").await;
    // One that drips all the time.
    let (mut read, mut write) = opens(&world, &head).await.into_split();
    let drip = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, read.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "still connected");
    drip.abort();
    assert!(!String::from_utf8_lossy(&answer).contains("303"));
    drop(slow);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_hung_up_on() {
    let mut world = World::build(&setup()).await;
    world.says("!sale start mug 10m").await;
    let ask = "GET /assets/live.js HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let (read, mut write) = opens(&world, ask).await.into_split();
    // It asks on and on and reads nothing, until there is no more room for answers.
    let asks = async { while write.write_all(ask.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, asks).await.expect("it is hung up on");
    drop(read);
    are_served(&mut world, "ana").await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn other_names_are_not_ours() {
    let mut world = World::new(&format!("[http]\nhosts = [\"tunnel.example\"]\n{MUG}")).await;
    world.says("!sale start mug 10m").await;
    let asks = async |path: &str, host: &str| {
        let request = client().get(world.url(path)).header("host", host);
        request.send().await.expect("answers").status().as_u16()
    };
    for host in ["127.0.0.1:9", "localhost", "tunnel.example", "[::1]:80"] {
        assert_eq!(asks("/live", host).await, 200, "{host}");
    }
    for path in ["/live", "/desk", "/api/sales", "/nothing"] {
        assert_eq!(asks(path, "evil.example").await, 421, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(asks(path, "evil.example").await, 200, "{path}");
    }
    let claim = client().post(world.url(&format!("/sales/{}/holds", world.newest().id)));
    let claim = claim.header("host", "evil.example").header("origin", "http://evil.example");
    assert_eq!(claim.send().await.expect("answers").status(), 421);
    let hook = client().post(world.url("/webhooks/sandbox")).header("host", "hooks.example");
    assert_eq!(hook.send().await.expect("answers").status(), 401);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
