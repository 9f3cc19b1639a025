//! Makes a database cluster, and says with which settings it runs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::AsyncWriteExt;

use super::account::{Account, ourselves};
use super::error::StartError;
use super::locate::Installation;
use super::log::Log;
use super::place::{Place, replace};
use super::socket::PORT;

/// Of the database and of the role that owns it. Not a superuser: what a production role may not do fails here, too.
pub(super) const NAME: &str = "keystead";

/// The role that may do everything; for a look inside with psql.
const SUPERUSER: &str = "postgres";

/// The first is known to every current system; the second to all.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// Who may connect. Written at each start beside the cluster, where only we can change them.
const ACCESS: &str = "postgres.hba.conf";
const NAMES: &str = "postgres.ident.conf";

/// What all programs of one start have in common.
pub(super) struct Tools<'a> {
    pub(super) installation: &'a Installation,
    pub(super) account: &'a Account,
    pub(super) place: &'a Place,
    pub(super) log: &'a Log,
}

impl Tools<'_> {
    /// Fills the empty home of the place with a cluster that has the database and its role.
    pub(super) async fn make_cluster(&self) -> Result<(), StartError> {
        self.run_initdb().await?;
        self.make_database().await?;
        self.place.mark_ready()
    }

    async fn run_initdb(&self) -> Result<(), StartError> {
        for locale in LOCALES {
            let mut command = self.command("initdb")?;
            command.args(["--username", SUPERUSER, "--encoding=UTF8", "--no-instructions"]);
            // Our own files say who may connect. These hold if somebody starts the cluster by hand.
            command.args(["--auth-local=peer", "--auth-host=reject"]);
            command.arg("--locale").arg(locale);
            if self.place.is_temporary() {
                command.arg("--no-sync");
            }
            command.arg("-D").arg(self.place.data()).stdout(Stdio::null());
            let what = "initdb could not make a database";
            let status = awaited(command).status().await.map_err(|error| self.log.failure(what, &error))?;
            if status.success() {
                return Ok(());
            }
            let failure = self.log.failure(what, &status);
            if !self.log.tail().contains("locale") {
                return Err(failure);
            }
            tracing::debug!(locale, "initdb does not know this locale");
        }
        Err(self.log.failure("initdb could not make a database", &"no usable locale"))
    }

    /// By PostgreSQL's single-user mode, so that nothing has to connect as superuser.
    async fn make_database(&self) -> Result<(), StartError> {
        let what = "the database could not be made";
        let failed = |error: std::io::Error| self.log.failure(what, &error);
        let mut command = self.command("postgres")?;
        command.arg("--single").arg("-D").arg(self.place.data()).args(["-c", "exit_on_error=on"]);
        command.args(["-c", "log_checkpoints=off"]);
        if self.place.is_temporary() {
            command.args(["-c", "fsync=off"]);
        }
        command.arg(SUPERUSER).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = awaited(command).spawn().map_err(failed)?;
        // One statement a line. CREATEDB is for test suites that make a database per test.
        let sql = format!("CREATE ROLE {NAME} LOGIN CREATEDB;\nCREATE DATABASE {NAME} OWNER {NAME};\n");
        if let Some(mut input) = child.stdin.take() {
            input.write_all(sql.as_bytes()).await.map_err(failed)?;
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() { Ok(()) } else { Err(self.log.failure(what, &status)) }
    }

    /// The server, ready to be started.
    pub(super) fn server(&self, socket_folder: &Path) -> Result<Command, StartError> {
        let (access, names) = self.write_access_rules()?;
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(self.place.data());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        if self.place.is_temporary() {
            command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        command.args(["-c", &format!("port={PORT}")]);
        for (name, value) in [("hba_file", access.as_os_str()), ("ident_file", names.as_os_str())] {
            command.arg("-c").arg(setting(name, value));
        }
        command.arg("-c").arg(setting("unix_socket_directories", &quoted(socket_folder.as_os_str())));
        command.stdout(self.log.stdio()?);
        Ok(command)
    }

    /// The kernel tells PostgreSQL who connects (`peer`), and only our own user may. The closed folder of the socket
    /// keeps others out already; this keeps them out even if somebody opens it.
    fn write_access_rules(&self) -> Result<(std::path::PathBuf, std::path::PathBuf), StartError> {
        let us = ourselves()?.name.replace('"', "\"\"");
        let access = format!("# Written by keystead dev at every start.\nlocal all {NAME},{SUPERUSER} peer map=us\n");
        let names = format!("# Written by keystead dev at every start.\nus \"{us}\" {NAME}\nus \"{us}\" {SUPERUSER}\n");
        let write = |name: &str, text: String| {
            let path = self.place.folder().join(name);
            // Nothing in them is secret, and the database's user has to read them.
            replace(&path, text.as_bytes(), 0o644).map_err(StartError::io("write", &path)).map(|()| path)
        };
        Ok((write(ACCESS, access)?, write(NAMES, names)?))
    }

    fn command(&self, program: &str) -> Result<Command, StartError> {
        let mut command = self.account.command(&self.installation.program(program), &self.place.home());
        command.stderr(self.log.stdio()?);
        Ok(command)
    }
}

/// On the command line nothing in the cluster's own configuration can override them.
const SETTINGS: [&str; 9] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "ssl=off",
    // Some distributions turn this on, and our log would stay empty.
    "logging_collector=off",
    "log_destination=stderr",
    "log_checkpoints=off",
    "shared_buffers=64MB",
    "jit=off",
    "cluster_name=keystead-dev",
];

/// A process that is killed if nobody waits for it any more, as after Ctrl-C during the start.
fn awaited(command: Command) -> tokio::process::Command {
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    command
}

fn setting(name: &str, value: &OsStr) -> OsString {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(value);
    text
}

/// The setting is a list; quotes keep commas and spaces in a folder's name.
fn quoted(folder: &OsStr) -> OsString {
    let mut text = vec![b'"'];
    for &byte in folder.as_bytes() {
        text.extend(if byte == b'"' { &b"\"\""[..] } else { std::slice::from_ref(&byte) });
    }
    text.push(b'"');
    std::os::unix::ffi::OsStringExt::from_vec(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_commas_and_quotes_is_one_element() {
        assert_eq!(quoted(OsStr::new("/a, b\"c")), OsStr::new("\"/a, b\"\"c\""));
    }
}
