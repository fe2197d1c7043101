//! Starts the program; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One crypto provider for every TLS connection, before the first client is made.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("livetill: another TLS provider is installed already");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("livetill: cannot start: {error}");
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(livetill::cli::main(std::env::args_os()));
    // A thread may still wait for input that nobody will type.
    runtime.shutdown_background();
    code
}
