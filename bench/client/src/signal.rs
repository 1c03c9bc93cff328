//! The WebSocket of one participant. Connecting blocks, so it runs on a thread of its own;
//! afterwards the socket is polled by the loop.

use std::io::ErrorKind;
use std::net::TcpStream;

use prost::Message as _;
use tungstenite::{Error, Message, WebSocket};

use crate::proto::{
    ClientInfo, ConnectionSettings, JoinRequest, Request, Response, SignalRequest, SignalResponse,
    WrappedJoinRequest,
};
use crate::token::base64url;

pub struct Signal {
    socket: WebSocket<TcpStream>,
}

/// Where and as whom to join.
#[derive(Clone, Debug)]
pub struct Target {
    pub host: String,
    pub token: String,
    pub auto_subscribe: bool,
    /// One peer connection (`/rtc/v1`) instead of two (`/rtc`).
    pub single: bool,
}

impl Target {
    fn url(&self) -> String {
        if !self.single {
            let subscribe = u8::from(self.auto_subscribe);
            return format!(
                "ws://{}/rtc?access_token={}&auto_subscribe={subscribe}&protocol=16&sdk=go&version=2.0.0",
                self.host, self.token
            );
        }
        let join = JoinRequest {
            client_info: Some(ClientInfo {
                sdk: 5,
                version: "2.0.0".to_owned(),
                protocol: 16,
            }),
            connection_settings: Some(ConnectionSettings {
                auto_subscribe: self.auto_subscribe,
            }),
        };
        let wrapped = WrappedJoinRequest {
            compression: 0,
            join_request: join.encode_to_vec(),
        };
        let join = base64url(&wrapped.encode_to_vec(), true).replace('=', "%3D");
        format!(
            "ws://{}/rtc/v1?access_token={}&join_request={join}",
            self.host, self.token
        )
    }
}

impl Signal {
    pub fn connect(target: &Target) -> Result<Self, String> {
        let stream = TcpStream::connect(&target.host).map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let (socket, _) =
            tungstenite::client(target.url(), stream).map_err(|error| error.to_string())?;
        socket
            .get_ref()
            .set_nonblocking(true)
            .map_err(|error| error.to_string())?;
        Ok(Self { socket })
    }

    pub fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    pub fn send(&mut self, request: Request) {
        let message = SignalRequest {
            message: Some(request),
        };
        // What the kernel does not take now is flushed by the next read or send.
        let _ = self.socket.send(Message::binary(message.encode_to_vec()));
    }

    /// The next message, `None` when there is none now, an error when the socket is gone.
    pub fn receive(&mut self) -> Result<Option<Response>, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => match SignalResponse::decode(&bytes[..]) {
                    Ok(SignalResponse {
                        message: Some(response),
                    }) => return Ok(Some(response)),
                    _ => continue,
                },
                Ok(Message::Close(_)) => return Err("closed by the server".to_owned()),
                Ok(_) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    pub fn flush(&mut self) {
        let _ = self.socket.flush();
    }
}
