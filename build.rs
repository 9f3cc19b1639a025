//! Makes a new migration file rebuild the binary that carries it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
