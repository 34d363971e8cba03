//! Running a function before `main`, for programs whose `main` is not theirs to write.

/// Has the program that contains this call a function when it is loaded, before `main`.
///
/// The function runs in the only thread, after the C library and Rust's standard library know the arguments
/// and the environment, and before or after those of others. It must not unwind.
#[macro_export]
macro_rules! before_main {
    ($function:path) => {
        const _: () = {
            extern "C" fn before_main() {
                $function();
            }
            #[used]
            // SAFETY: each word of this section is called as a function, which this is.
            #[unsafe(link_section = ".init_array")]
            static BEFORE_MAIN: extern "C" fn() = before_main;
        };
    };
}
