//! The `keystead` program: hands its arguments to `cli`.

/// A short request allocates some ninety times. The system's allocator took a fifth of its instructions beside signatures, this one half as many.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    keystead::cli::main()
}
