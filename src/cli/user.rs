//! `keystead user`: accounts of people. Only here can somebody else set a password.

use std::io::{self, Read};
use std::path::PathBuf;

use super::Failure;
use super::operator::{Operator, Target, all, table};
use crate::domain::{Profile, Secret, User};
use crate::flows::admin::users::{self, AccountDraft};
use crate::http::admin::documents::UserView;

/// More than any password may have; so a wrong file is refused and not read to its end.
const MOST_BYTES: u64 = 64 * 1024;

/// What to do with accounts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make an account.
    Create(Create),
    /// List all accounts.
    List(Target),
    /// Lock an account: no sign-in, and every session and grant is ended for good.
    Lock(One),
    /// Unlock an account, and forget its failed sign-ins.
    Unlock(One),
    /// Set a password, and end what was opened with the old one.
    SetPassword(SetPassword),
}

/// An account to be made.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// E-mail address, with which the person signs in.
    #[arg(long)]
    email: String,
    /// The address was proven already.
    #[arg(long)]
    email_verified: bool,
    /// A second name to sign in with.
    #[arg(long)]
    username: Option<String>,
    /// Full name.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    target: Target,
}

/// One person.
#[derive(Debug, clap::Args)]
pub struct One {
    /// E-mail address, user name or id.
    user: String,
    #[command(flatten)]
    target: Target,
}

/// A new password for one person.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").args(["password_stdin", "password_file"]).required(true)))]
pub struct SetPassword {
    /// E-mail address, user name or id.
    user: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    target: Target,
}

/// Where a password comes from: never from an argument, which every process of the machine can read.
#[derive(Debug, clap::Args)]
pub struct PasswordSource {
    /// Read the password from standard input; one line end behind it does not belong to it.
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the password from a file; one line end behind it does not belong to it.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The settings, the database, or a refusal with its reasons.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => run_create(create).await,
        Command::List(target) => list(&target.connect().await?).await,
        Command::Lock(One { user, target }) => {
            let operator = target.connect().await?;
            let user = users::find_by_any_name(&operator.engine, &user).await?;
            let locked = users::lock(&operator.engine, user.id, &operator.caller).await?;
            show(&operator, locked, "Locked. Every session and grant is ended.");
            Ok(())
        }
        Command::Unlock(One { user, target }) => {
            let operator = target.connect().await?;
            let user = users::find_by_any_name(&operator.engine, &user).await?;
            let unlocked = users::unlock(&operator.engine, user.id, &operator.caller).await?;
            show(&operator, unlocked, "Unlocked. The person may sign in.");
            Ok(())
        }
        Command::SetPassword(SetPassword { user, password, target }) => {
            let Some(password) = password.read()? else { return Err(Failure::new("name a source of the password")) };
            let operator = target.connect().await?;
            let user = users::find_by_any_name(&operator.engine, &user).await?;
            let changed = users::set_password(&operator.engine, user.id, password, &operator.caller).await?;
            show(&operator, changed, "The password is set. Every session and grant is ended.");
            Ok(())
        }
    }
}

async fn run_create(create: Create) -> Result<(), Failure> {
    let password = create.password.read()?;
    let operator = create.target.connect().await?;
    let draft = AccountDraft {
        username: create.username,
        email: create.email,
        email_verified: Some(create.email_verified),
        profile: Profile { name: create.name, ..Profile::default() },
    };
    let made = match password {
        Some(password) => users::create_with_password(&operator.engine, draft, password, &operator.caller).await?,
        None => users::create(&operator.engine, draft, &operator.caller).await?,
    };
    let hint = if made.has_password { "" } else { "\nIt has no password yet: keystead user set-password" };
    let sentence = format!("user_id  {}{hint}", made.id);
    show(&operator, made, &sentence);
    Ok(())
}

async fn list(operator: &Operator) -> Result<(), Failure> {
    let found = all(async |request| users::list(&operator.engine, None, request).await, |user: &User| user.id).await?;
    let views: Vec<UserView> = found.into_iter().map(UserView::from).collect();
    operator.show(&views, || {
        let rows = views.iter().map(|user| {
            let state = match (user.locked, user.has_password) {
                (true, _) => "locked",
                (false, true) => "active",
                (false, false) => "no password",
            };
            [user.user_id.to_string(), user.email.clone(), user.username.clone().unwrap_or_default(), state.to_owned()]
        });
        table(["USER", "EMAIL", "USERNAME", "STATE"], rows)
    });
    Ok(())
}

fn show(operator: &Operator, user: User, sentence: &str) {
    operator.show(&UserView::from(user), || sentence.to_owned());
}

impl PasswordSource {
    fn read(&self) -> Result<Option<Secret>, Failure> {
        match &self.password_file {
            Some(path) => {
                let unreadable = |error: io::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
                let file = std::fs::File::open(path).map_err(unreadable)?;
                read_password(file).map(Some)
            }
            None if self.password_stdin => read_password(io::stdin()).map(Some),
            None => Ok(None),
        }
    }
}

/// The whole text without one line end.
fn read_password(source: impl Read) -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = source.take(MOST_BYTES + 1).read_to_string(&mut text);
    // Wiped when dropped, also on the ways out below.
    let text = Secret::new(text);
    read.map_err(|error| Failure::new(format!("cannot read the password: {error}; it must be UTF-8 text")))?;
    if text.expose().len() as u64 > MOST_BYTES {
        return Err(Failure::new("this is too long for a password; is it the right file?"));
    }
    let line = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    Ok(Secret::new(line.strip_suffix('\r').filter(|_| line.len() < text.expose().len()).unwrap_or(line).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_does_not_belong_to_the_password() {
        let cases =
            [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), (" a ", " a "), ("", "")];
        for (text, password) in cases {
            let read = read_password(text.as_bytes()).unwrap_or_else(|_| panic!("{text:?} is readable"));
            assert_eq!(read.expose(), password);
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        assert!(read_password(&b"\xff"[..]).is_err());
        assert!(read_password(io::repeat(b'x')).is_err());
    }
}
