//! A root of our own and what it issues.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// A root that no system trusts.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Certificate and key as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

fn params(names: &[&str], years: (i32, i32)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = params(&[], (2020, 2190));
        params.distinguished_name.push(DnType::CommonName, "wellcheck test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a root") }
    }

    /// For loopback, and good for long.
    pub(crate) fn good(&self) -> Pair {
        self.issue(&["localhost", "127.0.0.1"], (2020, 2180))
    }

    /// With these names, valid from the first of these years to the second.
    pub(crate) fn issue(&self, names: &[&str], years: (i32, i32)) -> Pair {
        self.sign(params(names, years))
    }

    /// For loopback, until so many days from now.
    pub(crate) fn issue_for_days(&self, days: u64) -> Pair {
        let mut params = params(&["localhost", "127.0.0.1"], (2020, 2021));
        #[expect(clippy::disallowed_methods, reason = "certificates are dated by the wall clock")]
        let now = std::time::SystemTime::now();
        params.not_after = (now + std::time::Duration::from_secs(days * 86_400)).into();
        self.sign(params)
    }

    /// By an issuer between this one and it: with that one's certificate, and without.
    pub(crate) fn issue_below_another(&self) -> (Pair, Pair) {
        let mut above = params(&[], (2020, 2185));
        above.distinguished_name.push(DnType::CommonName, "wellcheck test middle");
        above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let middle = CertifiedIssuer::signed_by(above, key, &self.issuer).expect("an issuer");
        let key = KeyPair::generate().expect("a key");
        let leaf = params(&["localhost", "127.0.0.1"], (2020, 2180));
        let leaf = leaf.signed_by(&key, &middle).expect("a certificate").pem();
        let pair = |certificate| Pair { certificate, key: key.serialize_pem() };
        (pair(format!("{leaf}{}", middle.pem())), pair(leaf))
    }

    /// One that nobody but itself vouches for.
    pub(crate) fn self_signed(names: &[&str]) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(names, (2020, 2180)).self_signed(&key).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem() + &self.issuer.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }
}
