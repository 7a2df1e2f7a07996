//! Parses the arguments, carries out the command, and prints an error with its chain once.

use std::process::ExitCode;

use harborage::cli::{self, Environment, Exit};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let environment = Environment::from_variables(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    match runtime.block_on(cli::main(std::env::args_os(), environment)) {
        Ok(exit) => exit.into(),
        Err(error) => fail(error.as_ref()),
    }
}

#[expect(clippy::print_stderr, reason = "the one place where an error is printed")]
fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprintln!("  because: {error}");
        source = error.source();
    }
    Exit::Failure.into()
}
