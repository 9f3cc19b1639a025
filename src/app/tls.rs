//! The certificate of the public listener, read anew when its files change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use zeroize::Zeroizing;

use crate::config::{ClientCertificates, PublicSettings, TlsFiles};
use crate::crypto::{ClientAuthorities, TlsIdentity, TlsRefused};
use crate::flows::CertificatePolicy;

/// Between two looks at the files; whoever cannot wait sends SIGHUP.
const BETWEEN_LOOKS: Duration = Duration::from_mins(1);

/// Why the listener has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsUnusable {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the files hold.
    #[error(transparent)]
    Refused(#[from] TlsRefused),
}

/// How certificates of clients come here, and who vouches for them.
pub(super) fn certificate_policy(public: &PublicSettings) -> Result<Option<CertificatePolicy>, TlsUnusable> {
    if public.client_certificates == ClientCertificates::Off {
        return Ok(None);
    }
    let authorities = |path: &PathBuf| {
        let pem = std::fs::read(path).map_err(|source| TlsUnusable::File { path: path.clone(), source })?;
        ClientAuthorities::new(&pem).map_err(TlsUnusable::from)
    };
    let authorities = public.client_ca.as_ref().map(authorities).transpose()?;
    Ok(Some(CertificatePolicy { authorities, url: public.mtls_url.clone() }))
}

/// The files as they were read last, and what handshakes take.
pub(super) struct Certificate {
    files: TlsFiles,
    seen: Contents,
    pub identity: Arc<TlsIdentity>,
}

#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

fn contents(files: &TlsFiles) -> Result<Contents, TlsUnusable> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|source| TlsUnusable::File { path: path.clone(), source });
    Ok(Contents { certificate: read(&files.certificate)?, key: Zeroizing::new(read(&files.key)?) })
}

impl Certificate {
    /// Reads the files.
    pub fn read(files: TlsFiles) -> Result<Self, TlsUnusable> {
        let seen = contents(&files)?;
        let identity = Arc::new(TlsIdentity::new(&seen.certificate, &seen.key)?);
        Ok(Self { files, seen, identity })
    }

    /// Takes what the files hold now if that is something else. Whether it was taken.
    fn renew(&mut self) -> Result<bool, TlsUnusable> {
        let now = contents(&self.files)?;
        if now == self.seen {
            return Ok(false);
        }
        // Noted before it is judged, so that a broken pair is told once and not every minute.
        self.seen = now;
        self.identity.replace(&self.seen.certificate, &self.seen.key)?;
        Ok(true)
    }

    /// Looks at the files every minute and at each SIGHUP, without end.
    pub async fn keep_fresh(mut self) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => Some(hangup),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP cannot be listened for; certificates are read every minute only");
                None
            }
        };
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                Some(()) = async { hangup.as_mut()?.recv().await } => {}
            }
            match self.renew() {
                Ok(true) => tracing::info!("the TLS certificate was replaced"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the new TLS certificate cannot be used; the old one stays"),
            }
        }
    }
}
