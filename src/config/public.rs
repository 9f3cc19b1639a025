//! The public listener: its address, its TLS, and the certificates of clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::layers::Given;
use super::problems::Wrong;
use super::reader::Reader;
use super::settings::{ClientCertificates, PublicSettings, TlsFiles};
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
    let settings = PublicSettings {
        listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        tls: certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key }),
        client_certificates: reader
            .optional("public.client_certificates", |given| client_certificates(given.text()?))
            .unwrap_or(ClientCertificates::Off),
        client_certificate_proxies: reader
            .optional("public.client_certificate_proxies", |given| {
                given.texts()?.into_iter().map(values::network).collect()
            })
            .unwrap_or_default(),
        client_certificate_header: reader
            .optional("public.client_certificate_header", |given| header_name(given.text()?))
            .unwrap_or_else(|| "client-cert".to_owned()),
        client_ca: file(reader, "public.client_ca", certificates),
        mtls_listen: text(reader, "public.mtls_listen", |_, text| values::listen(text)),
        mtls_url: text(reader, "public.mtls_url", |_, text| values::issuer(text)),
    };
    judge(reader, &settings);
    settings
}

fn judge(reader: &mut Reader, settings: &PublicSettings) {
    let is = |who| settings.client_certificates == who;
    let (native, off) = (is(ClientCertificates::Native), is(ClientCertificates::Off));
    reader.require(
        !native || settings.tls.is_some(),
        "public.client_certificates",
        "is \"native\", but certificates are shown in TLS handshakes, which nobody makes here",
        "set public.tls_certificate and public.tls_key, or \"proxy\" where a proxy ends TLS",
    );
    reader.require(
        native == settings.mtls_listen.is_some(),
        "public.mtls_listen",
        "is needed with client_certificates = \"native\", and only with that",
        "give the listener that asks for certificates an address of its own, so that browsers never ask their users for one",
    );
    reader.require(
        !native || settings.mtls_url.is_some(),
        "public.mtls_url",
        "is missing, so no client would find public.mtls_listen",
        "set it to where clients reach that listener, such as \"https://id.example.com:8443\"",
    );
    reader.require(
        is(ClientCertificates::Proxy) != settings.client_certificate_proxies.is_empty(),
        "public.client_certificate_proxies",
        "is needed with client_certificates = \"proxy\", and only with that",
        "name the addresses of the proxies that set the header, and no others: whoever may set it can be any client",
    );
    reader.require(
        !off || (settings.client_ca.is_none() && settings.mtls_url.is_none()),
        "public.client_certificates",
        "is \"off\", but client_ca or mtls_url is set",
        "set it to \"native\" or \"proxy\", or remove the other two",
    );
    reader.require(
        settings.mtls_listen.is_none_or(|listen| listen.port() == 0 || listen.port() != settings.listen.port()),
        "public.mtls_listen",
        "has the port of public.listen",
        "give it a port of its own",
    );
}

fn client_certificates(text: &str) -> Result<ClientCertificates, Wrong> {
    let found = ClientCertificates::ALL.into_iter().find(|who| who.as_str() == text);
    found.ok_or_else(|| {
        Wrong::new(
            format!("is {text:?}, which is no way to ask for certificates"),
            "write \"off\", \"native\" or \"proxy\"",
        )
    })
}

fn header_name(text: &str) -> Result<String, Wrong> {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Wrong::new(
        format!("is {text:?}, which is no name of a header"),
        "write letters, digits and hyphens, such as \"x-ssl-client-cert\"",
    ))
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
