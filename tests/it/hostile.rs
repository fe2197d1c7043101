//! Requests by the hundred that mean no good: nothing changes, and the program goes on answering.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{MUG, World, mins};

/// Requests of each kind; the long form of the tests sends five thousand.
fn many() -> usize {
    std::env::var("LIVETILL_TEST_HOSTILE").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

/// Sends raw bytes; answers the status, or 0 if the connection was just closed.
async fn send(world: &World, bytes: &[u8]) -> u16 {
    let mut socket = TcpStream::connect(world.app.address).await.expect("connects");
    // It may hang up while we are still talking: that is an answer, too.
    let _ = socket.write_all(bytes).await;
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(20), socket.read(&mut answer));
    let n = read.await.expect("an answer or an end").unwrap_or(0);
    let head = String::from_utf8_lossy(&answer[..n]).into_owned();
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

struct Kind {
    name: &'static str,
    bytes: Box<dyn Fn(usize) -> Vec<u8>>,
    /// Statuses that are right; 0 is a closed connection.
    fine: &'static [u16],
}

fn kinds(sale: &str) -> Vec<Kind> {
    let post = |path: String, extra: String, body: String| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
             content-length: {}\r\n{extra}\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let get = |path: String, extra: String| {
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{extra}\r\n")
            .into_bytes()
    };
    let claim = format!("/sales/{sale}/holds");
    let (claim2, claim3, claim4) = (claim.clone(), claim.clone(), claim.clone());
    vec![
        Kind {
            name: "oversize",
            bytes: Box::new(move |_| {
                format!(
                    "POST {claim} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
                     content-length: 999999999\r\n\r\nx"
                )
                .into_bytes()
            }),
            fine: &[413, 0],
        },
        Kind {
            name: "malformed",
            bytes: Box::new(|n| {
                let mut bytes = vec![b'G', 0xff, 0, b' ', u8::try_from(n % 256).expect("small")];
                bytes.extend(b"\r\n\r\n");
                bytes
            }),
            fine: &[400, 0],
        },
        Kind {
            name: "a forged Origin",
            bytes: Box::new(move |n| {
                post(claim2.clone(), format!("origin: https://evil-{n}.example\r\n"), String::new())
            }),
            fine: &[403],
        },
        Kind {
            name: "a forged site",
            bytes: Box::new(move |_| {
                post(claim3.clone(), "sec-fetch-site: cross-site\r\n".into(), String::new())
            }),
            fine: &[403],
        },
        Kind {
            name: "a webhook without a signature",
            bytes: Box::new(move |n| {
                post("/webhooks/sandbox".into(), String::new(), format!("{{\"n\":{n}}}"))
            }),
            fine: &[401, 403],
        },
        Kind {
            name: "a webhook of nobody",
            bytes: Box::new(move |n| {
                post(format!("/webhooks/nobody-{n}"), String::new(), "{}".into())
            }),
            fine: &[404],
        },
        Kind {
            name: "path tricks",
            bytes: Box::new(move |n| {
                const PATHS: [&str; 6] = [
                    "/../../etc/passwd",
                    "/assets/..%2f..%2fconfig.toml",
                    "/holds/%00",
                    "/sales/%2e%2e%2fdesk",
                    "//evil.example/live",
                    "/api/sales/999999999999999999999",
                ];
                get(PATHS[n % PATHS.len()].to_owned(), String::new())
            }),
            fine: &[400, 404],
        },
        Kind {
            name: "a flood of headers",
            bytes: Box::new(move |n| {
                let flood: String =
                    (0..400).map(|h| format!("x-{n}-{h}: {}\r\n", "y".repeat(200))).collect();
                get("/live".into(), flood)
            }),
            fine: &[431, 400, 0],
        },
        Kind {
            name: "guessed holds",
            bytes: Box::new(move |n| {
                let token = format!("{:032x}-{n}-{:032x}", n * 7919, n);
                post(format!("/holds/{token}/release"), String::new(), String::new())
            }),
            fine: &[404],
        },
        Kind {
            name: "nonsense in a claim",
            bytes: Box::new(move |n| {
                let body = format!("units=-{n}&delivery=%00&units=99999999999999999999");
                post(claim4.clone(), String::new(), body)
            }),
            fine: &[400, 409],
        },
        Kind {
            name: "the desk",
            bytes: Box::new(move |n| {
                post("/desk/login".into(), String::new(), format!("token=guess-{n}"))
            }),
            fine: &[404],
        },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_change_nothing() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let before = world.newest();
    let store = world.app.engine.store();
    let journal = store.journal(before.id).await.expect("the store").len();
    for kind in kinds(&before.id.to_string()) {
        let mut wrong = std::collections::BTreeMap::<u16, usize>::new();
        for n in 0..many() {
            let status = send(&world, &(kind.bytes)(n)).await;
            if !kind.fine.contains(&status) {
                *wrong.entry(status).or_default() += 1;
            }
        }
        assert!(wrong.is_empty(), "{}: answered {wrong:?}", kind.name);
    }
    // Who stops in the middle of a body is not waited for.
    let claim = format!("POST /sales/{}/holds HTTP/1.1\r\nhost: 127.0.0.1\r\n", before.id);
    let slow = format!("{claim}content-length: 10\r\n\r\nun");
    assert_ne!(send(&world, slow.as_bytes()).await / 100, 3, "half a form is no claim");
    assert_eq!(world.newest().revision, before.revision, "the sale has changed");
    let store = world.app.engine.store();
    assert_eq!(store.journal(before.id).await.expect("the store").len(), journal);
    // And it goes on selling.
    assert_eq!(world.clicks("ana").await.status, 303);
    world.pays("ana").await;
    assert_eq!(world.newest().paid, 1);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_finishes_a_header_is_hung_up_on() {
    let world = World::new(MUG).await;
    // One says nothing at all, one goes on a little all the time and never comes to an end.
    let closed = |drips: bool| {
        let address = world.app.address;
        tokio::spawn(async move {
            let (mut read, mut write) =
                TcpStream::connect(address).await.expect("connects").into_split();
            let talk = tokio::spawn(async move {
                let start = if drips { "GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\n" } else { "" };
                let mut said = write.write_all(start.as_bytes()).await;
                while drips && said.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    said = write.write_all(b"x-y: z\r\n").await;
                }
                // What is not dropped stays open from our side.
                std::future::pending::<()>().await;
                drop(write);
            });
            let mut rest = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(60), read.read_to_end(&mut rest));
            assert!(end.await.is_ok(), "still connected after a minute");
            talk.abort();
            String::from_utf8_lossy(&rest).into_owned()
        })
    };
    for answer in [closed(false), closed(true)] {
        let text = answer.await.expect("no panic");
        assert!(!text.contains("200 OK"), "{text}");
    }
    world.done().await;
}

#[tokio::test]
async fn one_address_follows_so_many_streams_and_looks_for_the_rest() {
    let behind_proxy =
        format!("[http]\ntrusted_proxies = [\"127.0.0.1\"]\nstreams_per_address = 2\n{MUG}");
    let mut world = World::new(&behind_proxy).await;
    world.says("!sale start mug 10m").await;
    let url = world.url(&format!("/sales/{}/events", world.newest().id));
    let client = crate::world::client();
    let follows = async |from: &str| {
        let request = client.get(&url).header("x-forwarded-for", from);
        request.send().await.expect("answers")
    };
    // The first entry is the client's own word: changing it changes nothing.
    let first = follows("9.9.9.9, 203.0.113.7").await;
    let second = follows("8.8.8.8, 203.0.113.7").await;
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    let third = follows("7.7.7.7, 203.0.113.7").await;
    assert_eq!(third.status(), 429);
    assert!(third.headers().contains_key("retry-after"));
    assert_eq!(follows("203.0.113.8").await.status(), 200, "another address has its own share");
    // Its page is there all the same.
    let page = client.get(world.url("/live")).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(page.send().await.expect("answers").status(), 200);
    // Who leaves makes room, once the listener has noticed.
    drop(first);
    let again = async {
        while follows("203.0.113.7").await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("room again");
    drop(second);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
