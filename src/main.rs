//! The `fleetstorm` binary: everything is in the library, see `fleetstorm::cli`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    fleetstorm::cli::secrets::keep_those_of_environment();
    for name in fleetstorm::cli::secrets::NAMES {
        // SAFETY: no other thread reads the environment: none was started yet.
        unsafe { std::env::remove_var(name) };
    }
    fleetstorm::cli::main()
}
