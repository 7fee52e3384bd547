//! The `fleetstorm` binary: everything is in the library, see `fleetstorm::cli`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    fleetstorm::cli::main()
}
