//! `ailurus-rewrite`: the main command on its own, the same as `ailurus rewrite`.

fn main() -> std::process::ExitCode {
    ailurus::cli::main::<ailurus::cli::args::RewriteCli>(std::env::args_os())
}
