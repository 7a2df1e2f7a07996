//! Debian's docker-registry behind Harbor's token service, and what people do with it: skopeo.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::client::loopback;
use super::process::{Process, finish, free_port};

/// A registry that asks for a token.
pub(crate) struct Registry {
    host: String,
    _process: Process,
}

impl Registry {
    /// Starts one that trusts the tokens of a Harbor.
    pub(crate) async fn start(folder: &Path, harbor: &str, certificate: &Path) -> Self {
        let folder = folder.join("registry");
        std::fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let configuration = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
            "auth": {"token": {
                "realm": format!("{harbor}/service/token"),
                "service": "harbor-registry",
                "issuer": "harbor-token-issuer",
                "rootcertbundle": certificate,
            }},
        });
        // JSON is YAML.
        std::fs::write(folder.join("config.yml"), configuration.to_string()).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(folder.join("config.yml"));
        let (client, probe) = (loopback(), format!("http://127.0.0.1:{port}/v2/"));
        let mut process = Process::start("docker-registry", &folder, &mut command);
        process
            .until(async || client.get(&probe).send().await.is_ok())
            .await;
        Self {
            host: format!("127.0.0.1:{port}"),
            _process: process,
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

/// Pushes an image with a docker configuration, or says why skopeo could not.
pub(crate) async fn push(image: &Path, configuration: &Path, to: &str) -> Result<(), String> {
    let (from, to) = (format!("oci:{}", image.display()), format!("docker://{to}"));
    let arguments = [
        "copy",
        "--dest-tls-verify=false",
        "--dest-authfile",
        text(configuration),
        &from,
        &to,
    ];
    skopeo(&arguments).await.map(drop)
}

/// Pulls an image with a docker configuration, or says why skopeo could not.
pub(crate) async fn pull(from: &str, configuration: &Path, folder: &Path) -> Result<(), String> {
    let (from, to) = (format!("docker://{from}"), format!("oci:{}", folder.display()));
    let arguments = [
        "copy",
        "--src-tls-verify=false",
        "--src-authfile",
        text(configuration),
        &from,
        &to,
    ];
    skopeo(&arguments).await.map(drop)
}

/// The user that a docker configuration signs in at a registry, as skopeo reads it.
pub(crate) async fn user(configuration: &Path, host: &str) -> String {
    let arguments = ["login", "--get-login", "--authfile", text(configuration), host];
    skopeo(&arguments).await.unwrap().trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn skopeo(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("skopeo");
    let output = finish(command.arg("--insecure-policy").args(arguments)).await;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Writes an image with one empty layer as a folder of the OCI layout.
pub(crate) fn image(folder: &Path) -> PathBuf {
    let image = folder.join("image");
    let blobs = image.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8], kind: &str| {
        let digest = hex::encode(Sha256::digest(bytes));
        std::fs::write(blobs.join(&digest), bytes).unwrap();
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    // Two blocks of zeros are an archive without a file.
    let archive = vec![0_u8; 1024];
    let layer = blob(&archive, "application/vnd.oci.image.layer.v1.tar");
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob(
        config.to_string().as_bytes(),
        "application/vnd.oci.image.config.v1+json",
    );
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [layer],
    });
    let manifest = blob(
        manifest.to_string().as_bytes(),
        "application/vnd.oci.image.manifest.v1+json",
    );
    std::fs::write(image.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(image.join("index.json"), index.to_string()).unwrap();
    image
}
