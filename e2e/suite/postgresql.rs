//! A database server with Harbor's own tables.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, finish, free_port, run};

/// Where Debian keeps the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// A database server with the database `registry`.
pub(crate) struct PostgreSql {
    folder: PathBuf,
    port: u16,
    _process: Process,
}

impl PostgreSql {
    pub(crate) async fn start(folder: &Path) -> Self {
        let folder = folder.join("postgresql");
        std::fs::create_dir_all(&folder).unwrap();
        run(Command::new("chown")
            .args(["-R", "postgres:postgres"])
            .arg(&folder))
        .await;
        let data = folder.join("data");
        // The server refuses to run as root.
        let (user, group) = (id("-u").await, id("-g").await);
        let program = |name: &str| {
            let mut command = Command::new(Path::new(PROGRAMS).join(name));
            command.uid(user).gid(group).current_dir(&folder);
            command
        };
        run(program("initdb")
            .args([
                "--auth=trust",
                "--no-sync",
                "--locale=C",
                "--encoding=UTF8",
                "--pgdata",
            ])
            .arg(&data))
        .await;
        let port = free_port();
        let mut server = program("postgres");
        server.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c"]);
        server.arg(format!("unix_socket_directories={}", folder.display()));
        let mut process = Process::start("postgres", &folder, &mut server);
        let port_text = port.to_string();
        let ready = ["-h", "127.0.0.1", "-p", &port_text];
        process
            .until(async || {
                let mut probe = Command::new(Path::new(PROGRAMS).join("pg_isready"));
                finish(probe.args(ready)).await.status.success()
            })
            .await;
        let database = Self {
            folder,
            port,
            _process: process,
        };
        database
            .psql("postgres", &["-c", "CREATE DATABASE registry"])
            .await;
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/harbor/schema.sql");
        // Harbor's migrations make it; a dump of the tables has its uses alone.
        let function = "CREATE FUNCTION public.update_update_time_at_column() RETURNS trigger LANGUAGE plpgsql AS \
                        $$ BEGIN NEW.update_time = NOW(); RETURN NEW; END $$";
        database.psql("registry", &["-c", function]).await;
        database
            .psql("registry", &["-q", "-f", schema.to_str().unwrap()])
            .await;
        database
    }

    pub(crate) fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/registry", self.port)
    }

    /// Carries a statement out in Harbor's database. Answers the rows, fields separated by `|`.
    pub(crate) async fn query(&self, statement: &str) -> Vec<String> {
        let printed = self.psql("registry", &["-Atq", "-c", statement]).await;
        printed.lines().map(str::to_owned).collect()
    }

    /// What the database says against a statement.
    pub(crate) async fn refuses(&self, statement: &str) -> String {
        let output = finish(&mut self.command("registry", &["-c", statement])).await;
        assert!(!output.status.success(), "{statement} is not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn psql(&self, database: &str, arguments: &[&str]) -> String {
        run(&mut self.command(database, arguments)).await
    }

    fn command(&self, database: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join("psql"));
        command
            .current_dir(&self.folder)
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-v",
                "ON_ERROR_STOP=1",
                "-p",
                &self.port.to_string(),
            ])
            .args(["-d", database])
            .args(arguments);
        command
    }
}

/// The number of the user that the server runs as, or of its group.
async fn id(which: &str) -> u32 {
    run(Command::new("id").args([which, "postgres"]))
        .await
        .trim()
        .parse()
        .unwrap()
}
