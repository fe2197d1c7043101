//! The fake's gateway: Discord's websocket protocol, with its faults on demand.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    fake::Fake,
    fixtures::{GUILD, OTHER_GUILD, TOKEN, guild, ready},
};

const CONTENT: u64 = 1 << 15;

/// What a test does to the connection.
#[derive(Clone, Debug)]
pub enum Do {
    /// An event, numbered and kept for a resume.
    Event(&'static str, Value),
    /// A frame as it is.
    Raw(Value),
    Close(u16),
    /// A close without a reason, which keeps serenity busy until its next heartbeat.
    Hush,
    /// The line goes dead without a word.
    Drop,
    /// Heartbeats are not answered any more.
    Mute,
}

/// What the gateway knows across connections.
#[derive(Default)]
pub struct Gateway {
    /// Numbered events of the session.
    pub sent: Vec<Value>,
    /// Opcodes 2 and 6 as clients sent them, with their data.
    pub hellos: Vec<(u64, Value)>,
    /// Close this many of the next connections right away, with that code.
    pub refuse: VecDeque<u16>,
    /// Answer the next RESUME with "invalid session".
    pub forget: bool,
    pub now: Option<mpsc::UnboundedSender<Do>>,
    pub connections: u32,
    /// Whether the present connection asked for the words of messages.
    pub reads: bool,
}

pub async fn serve(fake: Arc<Fake>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let fake = fake.clone();
        tokio::spawn(async move {
            if let Ok(socket) = accept_async(stream).await {
                hold(&fake, socket).await;
                fake.changed();
            }
        });
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn hold(fake: &Fake, mut socket: Socket) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let refused = fake.with(|all| {
        all.gateway.now = Some(tell);
        all.gateway.connections += 1;
        all.gateway.refuse.pop_front()
    });
    let beat = fake.with(|all| all.heartbeat_ms);
    if send(&mut socket, &json!({ "op": 10, "d": { "heartbeat_interval": beat } })).await.is_err() {
        return;
    }
    if let Some(code) = refused {
        return close(&mut socket, code).await;
    }
    let mut acks = true;
    loop {
        tokio::select! {
            frame = socket.next() => {
                let Some(Ok(frame)) = frame else { return };
                let Ok(text) = frame.to_text() else { continue };
                let Ok(frame) = serde_json::from_str::<Value>(text) else { continue };
                if !take(fake, &mut socket, &frame, acks).await {
                    return;
                }
                fake.changed();
            }
            asked = told.recv() => match asked {
                Some(Do::Event(name, data)) => {
                    let frame = number(fake, name, data);
                    if send(&mut socket, &frame).await.is_err() {
                        return;
                    }
                }
                Some(Do::Raw(frame)) => {
                    if send(&mut socket, &frame).await.is_err() {
                        return;
                    }
                }
                Some(Do::Close(code)) => return close(&mut socket, code).await,
                Some(Do::Hush) => {
                    // The client may be gone already.
                    let _ = socket.close(None).await;
                    while let Some(Ok(_)) = socket.next().await {}
                    return;
                }
                Some(Do::Drop) => return,
                Some(Do::Mute) => acks = false,
                // A newer connection took over; this one goes on until its client leaves.
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

/// Works off one frame of the client; false ends the connection.
async fn take(fake: &Fake, socket: &mut Socket, frame: &Value, acks: bool) -> bool {
    match frame["op"].as_u64() {
        Some(1) if acks => send(socket, &json!({ "op": 11 })).await.is_ok(),
        Some(2) => {
            let intents = frame["d"]["intents"].as_u64().unwrap_or(0);
            let (flags, token) = fake.with(|all| {
                all.gateway.hellos.push((2, frame["d"].clone()));
                all.gateway.reads = intents & CONTENT != 0;
                all.gateway.sent.clear();
                (all.flags, all.token.clone())
            });
            // Clients may say "Bot" here as they do over HTTP.
            let said = frame["d"]["token"].as_str().unwrap_or_default();
            if said.trim_start_matches("Bot ") != token {
                close(socket, 4004).await;
                return false;
            }
            if intents & CONTENT != 0 && fake.with(|all| all.refuses_content) {
                close(socket, 4014).await;
                return false;
            }
            let mut fine = send(socket, &number(fake, "READY", ready(flags))).await.is_ok();
            for id in [GUILD, OTHER_GUILD] {
                fine &= send(socket, &number(fake, "GUILD_CREATE", guild(id))).await.is_ok();
            }
            fine
        }
        Some(6) => {
            let seq = frame["d"]["seq"].as_u64().unwrap_or(0);
            let (forgotten, missed) = fake.with(|all| {
                all.gateway.hellos.push((6, frame["d"].clone()));
                let missed: Vec<Value> = all
                    .gateway
                    .sent
                    .iter()
                    .filter(|event| event["s"].as_u64() > Some(seq))
                    .cloned()
                    .collect();
                (std::mem::take(&mut all.gateway.forget), missed)
            });
            let said = frame["d"]["token"].as_str().unwrap_or_default();
            if forgotten || said.trim_start_matches("Bot ") != TOKEN {
                return send(socket, &json!({ "op": 9, "d": false })).await.is_ok();
            }
            for event in missed {
                if send(socket, &event).await.is_err() {
                    return false;
                }
            }
            send(socket, &number(fake, "RESUMED", json!({}))).await.is_ok()
        }
        _ => true,
    }
}

/// Numbers and keeps an event. Discord leaves words out that the client did not ask for.
fn number(fake: &Fake, name: &str, mut data: Value) -> Value {
    fake.with(|all| {
        if name == "MESSAGE_CREATE" && !all.gateway.reads {
            let me = format!("<@{}>", super::fixtures::BOT);
            if !data["content"].as_str().unwrap_or_default().contains(&me) {
                data["content"] = "".into();
            }
        }
        let frame = json!({ "op": 0, "t": name, "s": all.gateway.sent.len() + 1, "d": data });
        all.gateway.sent.push(frame.clone());
        frame
    })
}

async fn send(socket: &mut Socket, frame: &Value) -> Result<(), ()> {
    socket.send(Message::Text(frame.to_string())).await.map_err(drop)
}

async fn close(socket: &mut Socket, code: u16) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
    // The client may be gone already.
    let _ = socket.close(Some(frame)).await;
    while let Some(Ok(_)) = socket.next().await {}
}
