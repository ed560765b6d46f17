//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! The server decides how much work the login is; [`MAX_ITERATIONS`] keeps that within a few dozen
//! milliseconds. It has to prove that it knows the password too.

use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Least work that is accepted: a server that asks for less wants an easy look at the password.
const MIN_ITERATIONS: u32 = 4096;

/// Most work that is done.
const MAX_ITERATIONS: u32 = 100_000;

/// A login under way.
pub(in crate::checks) struct Scram {
    password: String,
    nonce: String,
    /// The first message without its header.
    first: String,
}

/// What the client answers, and how the server must confirm it.
pub(in crate::checks) struct Proof {
    /// The client's last message.
    pub(in crate::checks) message: String,
    signature: Vec<u8>,
}

impl Scram {
    /// Starts with a nonce that nobody can guess.
    pub(in crate::checks) fn new(user: &str, password: &str) -> Self {
        let mut nonce = [0; 24];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system has random numbers");
        Self::with_nonce(user, password, STANDARD.encode(nonce))
    }

    fn with_nonce(user: &str, password: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={user},r={nonce}");
        Self { password: password.to_owned(), nonce, first }
    }

    /// The client's first message.
    pub(in crate::checks) fn message(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// Answers the server's first message; the error says what is wrong with it. That is work, which
    /// does not belong on a thread that others wait for.
    pub(in crate::checks) fn prove(&self, server: &[u8]) -> Result<Proof, &'static str> {
        let server =
            std::str::from_utf8(server).map_err(|_invalid| "a challenge that is no text")?;
        let mut fields = server.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        let nonce = field("r=").ok_or("a challenge without a nonce")?;
        let salt = field("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or("a challenge without a salt")?;
        let iterations = field("i=").and_then(|number| number.parse().ok());
        let iterations: NonZeroU32 =
            iterations.ok_or("a challenge without its number of rounds")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("a challenge for somebody else");
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations.get()) {
            return Err("a challenge with too few or too many rounds");
        }
        // As RFC 4013 says; what it forbids is used as it is, as other clients do.
        let password =
            stringprep::saslprep(&self.password).unwrap_or(self.password.as_str().into());
        let mut salted = [0; 32];
        derive(PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
        let hmac = |key: &[u8], text: &[u8]| sign(&Key::new(HMAC_SHA256, key), text);
        let last = format!("c=biws,r={nonce}");
        let transcript = format!("{},{server},{last}", self.first);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key = digest(&SHA256, client_key.as_ref());
        let signature = hmac(stored_key.as_ref(), transcript.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = hmac(&salted, b"Server Key");
        let signature = hmac(server_key.as_ref(), transcript.as_bytes()).as_ref().to_vec();
        Ok(Proof { message: format!("{last},p={}", STANDARD.encode(proof)), signature })
    }
}

impl Proof {
    /// Whether the server's last message proves that it knows the password.
    pub(in crate::checks) fn is_confirmed_by(&self, server: &[u8]) -> bool {
        let text = std::str::from_utf8(server).ok();
        let signature = text.and_then(|text| text.strip_prefix("v=")?.split(',').next());
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        signature.is_some_and(|found| verify_slices_are_equal(&found, &self.signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn scram() -> Scram {
        Scram::with_nonce("user", "pencil", NONCE.to_owned())
    }

    #[test]
    fn the_example_of_rfc_7677() {
        assert_eq!(scram().message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram().prove(CHALLENGE.as_bytes()).expect("a good challenge");
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(proof.is_confirmed_by(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        for other in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=", "e=invalid-proof", ""]
        {
            assert!(!proof.is_confirmed_by(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(Scram::with_nonce("a=b,c", "x", "n".to_owned()).message(), "n,,n=a=3Db=2Cc,r=n");
    }

    #[test]
    fn odd_challenges_are_refused_without_work() {
        let odd = [
            CHALLENGE.replace("i=4096", "i=4294967295"),
            CHALLENGE.replace("i=4096", "i=1"),
            CHALLENGE.replace("i=4096", "i=0"),
            CHALLENGE.replace("i=4096", "i=-4096"),
            CHALLENGE.replace("r=rOp", "r=xOp"),
            CHALLENGE.replace("s=W22", "s=*"),
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".to_owned(),
            String::new(),
            "r=".to_owned(),
        ];
        for challenge in odd {
            assert!(scram().prove(challenge.as_bytes()).is_err(), "{challenge}");
        }
        assert!(scram().prove(&[0xff, 0xfe]).is_err());
    }
}
