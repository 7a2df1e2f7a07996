//! A git host for tests: git's smart protocol over HTTP, as far as a fetch needs it.
//!
//! It serves the repository of a folder, and can be told to misbehave.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Response, StatusCode, Uri};
use git2::{ObjectType, Oid, Repository};

/// Something that a host does and should not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misdeed {
    /// It has a branch whose name is not UTF-8.
    OddName,
    /// It leaves the files out of what it sends.
    Incomplete,
    /// It gives nothing but what a reference has, as hosts may.
    Strict,
    /// It says nothing more once asked for objects.
    Hangs,
    /// Its references have no end.
    Floods,
}

/// How the host behaves.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    /// The `Authorization` header that it wants.
    pub(crate) login: Option<String>,
    /// Where it sends those who ask for references.
    pub(crate) redirect: Option<String>,
    /// The status of every answer.
    pub(crate) status: Option<u16>,
    /// What it says its answers are.
    pub(crate) content_type: Option<&'static str>,
    /// What else it does.
    pub(crate) misdeed: Option<Misdeed>,
}

impl Manners {
    fn does(&self, misdeed: Misdeed) -> bool {
        self.misdeed == Some(misdeed)
    }
}

struct Host {
    folder: PathBuf,
    manners: Mutex<Manners>,
    asked: Mutex<Vec<String>>,
}

/// A running host.
pub(crate) struct GitServer {
    host: Arc<Host>,
    address: std::net::SocketAddr,
}

impl GitServer {
    pub(crate) async fn serve(folder: &Path) -> Self {
        let host = Arc::new(Host {
            folder: folder.to_owned(),
            manners: Mutex::default(),
            asked: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = axum::Router::new().fallback(answer).with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { host, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/otomi/values.git", self.address)
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *self.host.manners.lock().unwrap() = manners;
    }

    /// What was asked since the last look: method, path and `Authorization`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.host.asked.lock().unwrap())
    }
}

async fn answer(
    State(host): State<Arc<Host>>,
    method: Method,
    uri: Uri,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let manners = host.manners.lock().unwrap().clone();
    let login = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    let shown = login.as_deref().unwrap_or("-");
    host.asked.lock().unwrap().push(format!("{method} {uri} {shown}"));
    let plain = |status: u16| Response::builder().status(status).body(Body::empty()).unwrap();
    if let Some(status) = manners.status {
        return plain(status);
    }
    if manners.login.is_some() && manners.login != login {
        return plain(401);
    }
    if let (Some(to), "/otomi/values.git/info/refs") = (&manners.redirect, uri.path()) {
        return Response::builder()
            .status(StatusCode::MOVED_PERMANENTLY)
            .header("location", to)
            .body(Body::empty())
            .unwrap();
    }
    let git = Repository::open(&host.folder).unwrap();
    let (content_type, body) = if method == Method::GET {
        let body = if manners.does(Misdeed::Floods) {
            Body::from_stream(flood(&git, &manners))
        } else {
            Body::from(advertisement(&git, &manners))
        };
        ("application/x-git-upload-pack-advertisement", body)
    } else if manners.does(Misdeed::Hangs) {
        std::future::pending().await
    } else {
        (
            "application/x-git-upload-pack-result",
            Body::from(objects(&git, &body, &manners)),
        )
    };
    Response::builder()
        .header("content-type", manners.content_type.unwrap_or(content_type))
        .body(body)
        .unwrap()
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

const FLUSH: &[u8] = b"0000";

/// The references, as a host names them before it is asked for objects.
fn advertisement(git: &Repository, manners: &Manners) -> Vec<u8> {
    let mut named = Vec::new();
    if let Ok(head) = git.refname_to_id("HEAD") {
        named.push((head, "HEAD".to_owned()));
    }
    for reference in git.references().unwrap() {
        let reference = reference.unwrap();
        let name = reference.name().unwrap().to_owned();
        let id = reference.target().unwrap();
        named.push((id, name.clone()));
        if git.find_object(id, None).unwrap().kind() == Some(ObjectType::Tag) {
            named.push((reference.peel_to_commit().unwrap().id(), format!("{name}^{{}}")));
        }
    }
    let mut text = [line("# service=git-upload-pack\n"), FLUSH.to_vec()].concat();
    let mut capabilities = if manners.does(Misdeed::Strict) {
        "\0multi_ack shallow agent=test"
    } else {
        "\0multi_ack shallow allow-tip-sha1-in-want agent=test"
    };
    for (id, name) in &named {
        text.extend(line(&format!("{id} {name}{capabilities}\n")));
        capabilities = "";
    }
    if let (Some((id, _)), true) = (named.first(), manners.does(Misdeed::OddName)) {
        let id = id.to_string();
        text.extend(format!("{:04x}", 4 + 40 + 17).into_bytes());
        text.extend([id.as_bytes(), b" refs/heads/caf\xe9\n"].concat());
    }
    if named.is_empty() {
        text.extend(line(&format!(
            "{} capabilities^{{}}{capabilities}\n",
            Oid::ZERO_SHA1
        )));
    }
    text.extend(FLUSH);
    text
}

/// References without end.
fn flood(git: &Repository, manners: &Manners) -> impl futures::Stream<Item = std::io::Result<Bytes>> + use<> {
    let mut first = advertisement(git, manners);
    first.truncate(first.len() - FLUSH.len());
    let head = git.refname_to_id("HEAD").unwrap();
    let more =
        (0..).map(move |number| Bytes::from(line(&format!("{head} refs/heads/{number}\n")).repeat(1000)));
    futures::stream::iter(std::iter::once(Bytes::from(first)).chain(more).map(Ok))
}

/// The objects that a request wants: one pack, with the commit alone or all of its history.
fn objects(git: &Repository, request: &[u8], manners: &Manners) -> Vec<u8> {
    let request = String::from_utf8_lossy(request);
    let wants: Vec<Oid> = request
        .match_indices("want ")
        .map(|(at, _)| Oid::from_str(&request[at + 5..at + 45]).unwrap())
        .collect();
    let mut answer = Vec::new();
    let commit = |want: &Oid| git.find_object(*want, None).unwrap().peel_to_commit().unwrap();
    let shallow = request.contains("deepen 1\n");
    if shallow {
        for want in &wants {
            answer.extend(line(&format!("shallow {}", commit(want).id())));
        }
        answer.extend(FLUSH);
    } else if request.contains("deepen ") {
        for (at, word) in request.match_indices("shallow ") {
            let id = &request[at + word.len()..at + word.len() + 40];
            answer.extend(line(&format!("unshallow {id}")));
        }
        answer.extend(FLUSH);
    }
    if !request.contains("done\n") {
        return answer;
    }
    answer.extend(line("NAK\n"));
    let mut builder = git.packbuilder().unwrap();
    let mut walk = git.revwalk().unwrap();
    for want in &wants {
        if *want != commit(want).id() {
            builder.insert_object(*want, None).unwrap();
        }
        if manners.does(Misdeed::Incomplete) {
            builder.insert_object(commit(want).id(), None).unwrap();
            builder.insert_object(commit(want).tree_id(), None).unwrap();
        } else if shallow {
            builder.insert_commit(commit(want).id()).unwrap();
        } else {
            walk.push(commit(want).id()).unwrap();
        }
    }
    builder.insert_walk(&mut walk).unwrap();
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack).unwrap();
    answer.extend(&*pack);
    answer
}
