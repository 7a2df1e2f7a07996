//! A certificate authority of the suite's own, by Debian's openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{private_folder, run};

/// A certificate authority in a folder.
pub(crate) struct Authority {
    folder: PathBuf,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) async fn new(folder: &Path) -> Self {
        private_folder(folder);
        run(Command::new("openssl")
            .current_dir(folder)
            .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=harborage-e2e".split(' '))
            .args("-addext keyUsage=critical,keyCertSign,cRLSign".split(' '))
            .args("-keyout ca.key -out ca.crt".split(' ')))
        .await;
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Issues a certificate for loopback.
    pub(crate) async fn issue(&self, name: &str, subject: &str) -> Issued {
        let file = |extension: &str| self.folder.join(format!("{name}.{extension}"));
        let extensions = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\n\
                          extendedKeyUsage=serverAuth,clientAuth\n";
        std::fs::write(file("ext"), extensions).unwrap();
        run(Command::new("openssl")
            .args(["req", "-newkey", "rsa:2048", "-nodes", "-subj", subject])
            .arg("-keyout")
            .arg(file("key"))
            .arg("-out")
            .arg(file("csr")))
        .await;
        run(Command::new("openssl")
            .current_dir(&self.folder)
            .args("x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2".split(' '))
            .arg("-in")
            .arg(file("csr"))
            .arg("-extfile")
            .arg(file("ext"))
            .arg("-out")
            .arg(file("crt")))
        .await;
        Issued {
            certificate: file("crt"),
            key: file("key"),
        }
    }
}
