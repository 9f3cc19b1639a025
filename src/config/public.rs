//! The public listener: its address, its TLS, and the certificates of clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::layers::Given;
use super::problems::Wrong;
use super::reader::Reader;
use super::settings::{PublicSettings, TlsFiles};
use super::{secret_source, values};

/// A file longer than this is no certificate but a mistake.
const MOST_BYTES: u64 = 1024 * 1024;

pub(super) fn read(reader: &mut Reader) -> PublicSettings {
    let listen = reader.optional("public.listen", |given| values::listen(given.text()?));
    let certificate = file(reader, "public.tls_certificate", certificates);
    let key = file(reader, "public.tls_key", private_key);
    let given = [&certificate, &key].map(Option::is_some);
    reader.require(
        given[0] == given[1],
        if given[0] { "public.tls_key" } else { "public.tls_certificate" },
        "is missing or unusable, but the other one of the pair is given",
        "give public.tls_certificate and public.tls_key, or neither where a proxy ends TLS",
    );
    PublicSettings {
        listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        tls: certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key }),
    }
}

/// A text that may be left empty.
fn text<T>(reader: &mut Reader, key: &str, parse: impl FnOnce(&Given, &str) -> Result<T, Wrong>) -> Option<T> {
    let read = reader.optional(key, |given| match given.text()? {
        "" => Ok(None),
        text => parse(&given, text).map(Some),
    });
    read.flatten()
}

/// The path of a file that is there and holds what it should.
fn file(reader: &mut Reader, key: &str, judge: impl FnOnce(&Path) -> Result<(), Wrong>) -> Option<PathBuf> {
    text(reader, key, |given, text| {
        let path = given.origin.folder().join(text);
        judge(&path).map(|()| path)
    })
}

fn certificates(path: &Path) -> Result<(), Wrong> {
    let wrong = |what: &str, remedy: &str| Wrong::new(format!("names {}, which {what}", path.display()), remedy);
    let size = std::fs::metadata(path).map(|metadata| metadata.len());
    if size.is_ok_and(|size| size > MOST_BYTES) {
        return Err(wrong("is larger than 1 MiB", "name a PEM file of certificates"));
    }
    let text = std::fs::read(path)
        .map_err(|error| wrong(&format!("cannot be read: {error}"), "correct the path, or let Keystead read it"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(()),
        _ => Err(wrong(
            "holds no certificate in PEM form",
            "name a file with lines from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
        )),
    }
}

fn private_key(path: &Path) -> Result<(), Wrong> {
    let text = secret_source::read_file(path)?;
    match PrivateKeyDer::from_pem_slice(text.expose().as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::new(
            format!("names {}, which holds no private key in PEM form", path.display()),
            "name a file that begins with -----BEGIN PRIVATE KEY-----, without a passphrase",
        )),
    }
}
