//! The `keystead` program: hands its arguments to `cli`.

fn main() -> std::process::ExitCode {
    keystead::cli::main()
}
