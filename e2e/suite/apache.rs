//! Debian's git over `git http-backend`, behind Apache: TLS by the suite's own authority, Basic auth, a proxy,
//! and a redirect to another host.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificates::Authority;
use super::git::bare;
use super::process::{Process, free_port, run};

pub(crate) const USER: &str = "otomi-admin";
pub(crate) const PASSWORD: &str = "a-password-for-git";

/// A git host over https.
pub(crate) struct Apache {
    folder: PathBuf,
    url: String,
    proxy: String,
    ca: PathBuf,
    _process: Process,
}

impl Apache {
    pub(crate) async fn start(folder: &Path) -> Self {
        let folder = folder.join("apache");
        std::fs::create_dir_all(folder.join("git")).unwrap();
        let authority = Authority::new(&folder.join("pki")).await;
        let issued = authority.issue("server", "/CN=git").await;
        // Apache starts as root and goes on as this user.
        std::fs::create_dir_all(folder.join("run")).unwrap();
        run(Command::new("chown").arg("www-data").arg(folder.join("run"))).await;
        let hash = run(Command::new("openssl").args(["passwd", "-apr1", PASSWORD])).await;
        std::fs::write(folder.join("users"), format!("{USER}:{hash}")).unwrap();
        let (tls, other, proxy) = (free_port(), free_port(), free_port());
        let configuration = format!(
            r#"
ServerRoot "{folder}"
ServerName localhost
PidFile apache.pid
ErrorLog error.log
User www-data
Group www-data
{modules}
LogFormat "%m %U %>s" calls
CustomLog access.log calls
DefaultRuntimeDir "{folder}/run"
ScriptSock "{folder}/run/cgid.sock"
Mutex pthread
SSLSessionCache none
SSLCertificateFile "{certificate}"
SSLCertificateKeyFile "{key}"
Listen 127.0.0.1:{tls}
Listen 127.0.0.1:{other}
Listen 127.0.0.1:{proxy}
<VirtualHost 127.0.0.1:{tls}>
  SSLEngine on
  Redirect 302 /elsewhere/ https://127.0.0.1:{other}/git/
  Redirect 302 /here/ https://127.0.0.1:{tls}/git/
  Include git.conf
</VirtualHost>
<VirtualHost 127.0.0.1:{other}>
  SSLEngine on
  Include git.conf
</VirtualHost>
<VirtualHost 127.0.0.1:{proxy}>
  ProxyRequests On
  AllowCONNECT {tls}
  CustomLog proxy.log calls
</VirtualHost>
"#,
            folder = folder.display(),
            modules = modules(),
            certificate = issued.certificate.display(),
            key = issued.key.display(),
        );
        let git = format!(
            r#"
SetEnv GIT_PROJECT_ROOT "{folder}/git"
SetEnv GIT_HTTP_EXPORT_ALL 1
# The repositories are the suite's, and git asks whose they are.
SetEnv GIT_CONFIG_COUNT 1
SetEnv GIT_CONFIG_KEY_0 safe.directory
SetEnv GIT_CONFIG_VALUE_0 *
ScriptAlias /git/ /usr/lib/git-core/git-http-backend/
<Location /git/>
  AuthType Basic
  AuthName git
  AuthUserFile users
  Require valid-user
</Location>
"#,
            folder = folder.display(),
        );
        std::fs::write(folder.join("git.conf"), git).unwrap();
        std::fs::write(folder.join("apache.conf"), configuration).unwrap();
        let mut command = Command::new("apache2");
        command
            .arg("-f")
            .arg(folder.join("apache.conf"))
            .arg("-DFOREGROUND");
        let mut process = Process::start("apache", &folder, &mut command);
        process
            .until(async || tokio::net::TcpStream::connect(("127.0.0.1", tls)).await.is_ok())
            .await;
        Self {
            url: format!("https://127.0.0.1:{tls}"),
            proxy: format!("http://127.0.0.1:{proxy}"),
            ca: authority.certificate(),
            folder,
            _process: process,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn ca(&self) -> &Path {
        &self.ca
    }

    /// A proxy that leads to the host, and nowhere else.
    pub(crate) fn proxy(&self) -> &str {
        &self.proxy
    }

    /// How often the proxy was asked.
    pub(crate) fn proxied(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.join("proxy.log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with("CONNECT")).count()
    }

    /// Makes a bare repository, `NAME.git` below `/git/`. Answers its folder, to push to.
    pub(crate) async fn repository(&self, name: &str) -> PathBuf {
        let folder = self.folder.join("git").join(format!("{name}.git"));
        bare(&folder).await;
        folder
    }
}

fn modules() -> String {
    [
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "alias",
        "cgid",
        "env",
        "proxy",
        "proxy_connect",
        "ssl",
        "socache_shmcb",
    ]
    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
    .concat()
}
