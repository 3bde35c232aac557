use rustls::crypto::CryptoProvider;

pub(in crate::worker::client) fn provider() -> Result<CryptoProvider, String> {
    if graviola::util::is_cpu_supported() {
        Ok(rustls_graviola::default_provider())
    } else {
        Err("this processor lacks instructions for cryptography (AES, AVX2, ADX, BMI2 or their kin)"
            .to_owned())
    }
}
