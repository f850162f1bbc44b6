//! The keys that sign JWTs: a JSON Web Key Set (RFC 7517), each key with its own algorithm
//! (RFC 7518, 3.1; RFC 8037, 3.1).

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_compact::{PublicKey, Signature};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::limits;
use crate::wire::object::{self, Object};

/// A key, by its id.
pub(crate) struct Key {
    pub(crate) id: String,
    material: Material,
}

enum Material {
    /// `HS256`.
    Hmac(Vec<u8>),
    /// `EdDSA` with Ed25519.
    Ed25519(PublicKey),
    /// `ES256`.
    #[cfg(feature = "es256")]
    P256(p256::ecdsa::VerifyingKey),
}

impl Key {
    /// The algorithm that it is for. The `alg` of a token only has to agree: a public key
    /// is never taken for the secret of an HMAC.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.material {
            Material::Hmac(_) => "HS256",
            Material::Ed25519(_) => "EdDSA",
            #[cfg(feature = "es256")]
            Material::P256(_) => "ES256",
        }
    }

    /// Whether it signed the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => {
                let mac = Hmac::<Sha256>::new_from_slice(key);
                // Compared in constant time.
                mac.is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok())
            }
            Material::Ed25519(key) => {
                let signature = Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            #[cfg(feature = "es256")]
            Material::P256(key) => {
                use p256::ecdsa::signature::Verifier as _;
                let signature = p256::ecdsa::Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
        }
    }
}

/// Reads a key set. An error says which key is wrong and why, and nothing of it.
pub(crate) fn parse(text: &str) -> Result<Vec<Key>, String> {
    let set = Object::read(text).ok_or("must be a JSON Web Key Set (RFC 7517)")?;
    let keys = set.raw("keys").and_then(object::items).ok_or("must have an array of keys")?;
    if keys.is_empty() {
        return Err("must have a key".to_owned());
    }
    if keys.len() > limits::JWT_KEYS_MAX {
        return Err(format!("must have at most {} keys", limits::JWT_KEYS_MAX));
    }
    let mut parsed: Vec<Key> = Vec::new();
    for (index, raw) in keys.into_iter().enumerate() {
        let number = index + 1;
        let key = key(raw).map_err(|cause| format!("key {number} {cause}"))?;
        if parsed.iter().any(|other| other.id == key.id) {
            return Err(format!("key {number} has a kid that an earlier one has"));
        }
        parsed.push(key);
    }
    Ok(parsed)
}

fn key(text: &str) -> Result<Key, &'static str> {
    let jwk = Object::read(text).ok_or("is no object, or has a field twice")?;
    let field = |name: &str| jwk.text(name).ok().flatten();
    let bytes = |name: &str| field(name).and_then(|text| Base64UrlUnpadded::decode_vec(&text).ok());
    if jwk.raw("d").is_some() {
        return Err("has its private part (d); give the public one alone");
    }
    if field("use").is_some_and(|purpose| purpose != "sig") {
        return Err("is not for signatures (use)");
    }
    let id = field("kid").filter(|id| !id.is_empty()).ok_or("has no kid")?;
    let (kind, curve, algorithm) = (field("kty"), field("crv"), field("alg"));
    let words = (kind.as_deref(), curve.as_deref(), algorithm.as_deref());
    let material = match words {
        (Some("oct"), None, Some("HS256")) => {
            let secret = bytes("k").filter(|key| key.len() >= limits::JWT_SECRET_BYTES_MIN);
            Material::Hmac(secret.ok_or("has a k that is not base64url of at least 32 bytes")?)
        }
        (Some("OKP"), Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => {
            let key = bytes("x").and_then(|x| PublicKey::from_slice(&x).ok());
            Material::Ed25519(key.ok_or("has an x that is no Ed25519 key")?)
        }
        #[cfg(feature = "es256")]
        (Some("EC"), Some("P-256"), None | Some("ES256")) => {
            let point = bytes("x").zip(bytes("y")).filter(|(x, y)| x.len() == 32 && y.len() == 32);
            let (x, y) = point.ok_or("has an x or a y that is not base64url of 32 bytes")?;
            let encoded = [&[4][..], &x, &y].concat();
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&encoded);
            Material::P256(key.map_err(|_not_on_the_curve| "has a point that is not on the curve")?)
        }
        _ => return Err("has a kty, crv or alg that is not supported"),
    };
    Ok(Key { id: id.into_owned(), material })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::digest::unhex;

    /// The only key of a set.
    fn one(jwk: &Value) -> Result<Key, String> {
        parse(&json!({"keys": [jwk]}).to_string()).map(|keys| keys.into_iter().next().unwrap())
    }

    fn decoded(text: &str) -> Vec<u8> {
        Base64UrlUnpadded::decode_vec(text).unwrap()
    }

    /// Whether the key signed a JWS, as RFC 7515 and 8037 have it in their appendices: none of
    /// them has a `kid`, so `jwt` takes none of them.
    fn signed(jwk: &Value, jws: &str) -> bool {
        let (message, signature) = jws.rsplit_once('.').unwrap();
        one(jwk).unwrap().verifies(message.as_bytes(), &decoded(signature))
    }

    /// RFC 7515, A.1, which is also the example of RFC 7519, 3.1.
    const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                         eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb\
                         S9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn hs256() -> Value {
        json!({
            "kty": "oct", "kid": "a", "alg": "HS256",
            "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1\
                  Z9CAow",
        })
    }

    /// RFC 8037, A.2 and A.4.
    const ED25519: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                           hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt\
                           9g7sVvpAr_MuM0KAg";

    fn ed25519() -> Value {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({"kty": "OKP", "kid": "b", "crv": "Ed25519", "x": x})
    }

    #[test]
    fn the_examples_of_the_rfcs_are_verified_and_nothing_near_them() {
        for (jwk, jws) in [(hs256(), HS256), (ed25519(), ED25519)] {
            assert!(signed(&jwk, jws));
            for index in [0, 10, jws.rfind('.').unwrap() + 1] {
                let mut other = jws.as_bytes().to_vec();
                other[index] = if other[index] == b'e' { b'f' } else { b'e' };
                assert!(!signed(&jwk, std::str::from_utf8(&other).unwrap()), "{index} of {jws}");
            }
        }
        assert!(!signed(&ed25519(), HS256) && !signed(&hs256(), ED25519));
    }

    /// RFC 7515, A.3.
    #[cfg(feature = "es256")]
    #[test]
    fn the_example_of_es256_is_verified() {
        let jwk = json!({
            "kty": "EC", "kid": "c", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        let jws = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly\
                   9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmX\
                   FCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(signed(&jwk, jws) && !signed(&jwk, HS256));
    }

    /// Wycheproof's (tests/it/access/vectors/README.md).
    macro_rules! vectors {
        ($name:literal) => {{
            let text = include_str!(concat!("../../../tests/it/access/vectors/", $name));
            serde_json::from_str::<Vec<Value>>(text).unwrap()
        }};
    }

    /// Checks each vector by its key, message and signature, in hex.
    fn check(vectors: &[Value], signature: &str, jwk: impl Fn(&[u8]) -> Value) {
        for vector in vectors {
            let bytes = |field: &str| unhex(vector[field].as_str().unwrap()).unwrap();
            let key = one(&jwk(&bytes("key")));
            let verified = key.map(|key| key.verifies(&bytes("msg"), &bytes(signature)));
            assert_eq!(verified == Ok(true), vector["result"] == "valid", "{vector}");
            // A part of a signature is none.
            let Ok(key) = one(&jwk(&bytes("key"))) else { continue };
            for length in [0, 1, 16, 31] {
                let whole = bytes(signature);
                let part = whole.get(..length).unwrap_or_default();
                assert!(!key.verifies(&bytes("msg"), part), "{vector}");
            }
        }
    }

    #[test]
    fn the_signatures_of_wycheproof_are_judged_as_it_does() {
        let vectors = vectors!("ed25519.json");
        assert_eq!(vectors.len(), 92);
        check(&vectors, "sig", |key| {
            let x = Base64UrlUnpadded::encode_string(key);
            json!({"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": x})
        });
        let vectors = vectors!("hmac_sha256.json");
        assert_eq!(vectors.len(), 84);
        check(&vectors, "tag", |key| {
            let k = Base64UrlUnpadded::encode_string(key);
            json!({"kty": "oct", "kid": "a", "alg": "HS256", "k": k})
        });
    }

    /// Keys with which everybody could sign: points of a small order, and what is no point.
    #[test]
    fn a_key_that_everybody_has_signs_nothing() {
        let one = format!("01{}", "00".repeat(31));
        let minus_one = format!("ec{}7f", "ff".repeat(30));
        let order_eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        for x in ["00".repeat(32), one.clone(), minus_one, order_eight.to_owned(), "ff".repeat(32)]
        {
            let encoded = Base64UrlUnpadded::encode_string(&unhex(&x).unwrap());
            let set = json!({
                "keys": [{"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": encoded}],
            });
            let Ok(keys) = parse(&set.to_string()) else { continue };
            // With R = 1 and S = 0 such a key would sign any message.
            for r in [&one, &x] {
                let signature = unhex(&format!("{r}{}", "00".repeat(32))).unwrap();
                for message in ["", "a", "b", "c", "d", "e", "f", "g", "h"] {
                    assert!(!keys[0].verifies(message.as_bytes(), &signature), "{x}");
                }
            }
        }
    }

    #[test]
    fn a_set_is_refused_with_a_word_on_what_is_wrong_and_nothing_of_it() {
        let with = |jwk: Value, field: &str, value: Value| {
            let mut jwk = jwk;
            jwk[field] = value;
            jwk
        };
        let nine: Vec<Value> =
            (0..9).map(|n| with(hs256(), "kid", json!(format!("k{n}")))).collect();
        let eight = json!({"keys": nine[..8]}).to_string();
        assert_eq!(parse(&eight).map(|keys| keys.len()), Ok(8));
        let of = |jwk: Value| json!({"keys": [jwk]}).to_string();
        let twice =
            r#"{"keys":[{"kty":"oct","kid":"hush","kid":"hush","alg":"HS256","k":"hush"}]}"#;
        for (text, said) in [
            ("hush".to_owned(), "must be a JSON Web Key Set"),
            ("[]".to_owned(), "must be a JSON Web Key Set"),
            (r#"{"keys":{}}"#.to_owned(), "must have an array of keys"),
            (r#"{"keys":["hush"]}"#.to_owned(), "key 1 is no object"),
            (twice.to_owned(), "key 1 is no object, or has a field twice"),
            (json!({"keys": nine}).to_string(), "must have at most 8 keys"),
            (json!({"keys": [hs256(), hs256()]}).to_string(), "key 2 has a kid that an earlier"),
            (of(with(ed25519(), "d", json!("hush"))), "key 1 has its private part (d)"),
            (of(with(ed25519(), "d", json!(null))), "key 1 has its private part (d)"),
            (of(with(hs256(), "use", json!("enc"))), "key 1 is not for signatures"),
            (of(with(hs256(), "kid", json!(""))), "key 1 has no kid"),
            (of(with(hs256(), "kid", json!(1))), "key 1 has no kid"),
            (of(with(hs256(), "alg", json!("none"))), "key 1 has a kty, crv or alg"),
            (of(with(hs256(), "alg", json!(null))), "key 1 has a kty, crv or alg"),
            (of(with(ed25519(), "alg", json!("HS256"))), "key 1 has a kty, crv or alg"),
            (of(with(ed25519(), "crv", json!("Ed448"))), "key 1 has a kty, crv or alg"),
            (of(with(ed25519(), "x", json!("hush"))), "key 1 has an x that is no Ed25519 key"),
            (of(with(hs256(), "k", json!("hush"))), "key 1 has a k that is not base64url"),
        ] {
            let Err(refused) = parse(&text) else { panic!("{text} was taken") };
            assert!(refused.starts_with(said), "{refused}, not {said}");
            assert!(!refused.contains("hush"), "{refused}");
        }
    }
}
