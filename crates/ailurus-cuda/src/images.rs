//! Compiled kernels as a source file: what a build of the launcher needs besides its own sources.

use std::fmt::Write as _;

/// The text of a C++ file with the definitions that `launcher/images.h` declares.
///
/// `images` are architectures (compute capability as major · 10 + minor, 0 for PTX) and the bytes of their images.
pub fn definitions<'a>(images: impl IntoIterator<Item = (u32, &'a [u8])>) -> String {
    let mut source = String::from("// Generated: the compiled kernels.\n#include \"images.h\"\n");
    let mut table = String::new();
    let mut count = 0;
    for (arch, data) in images {
        // PTX is a text that ends with a zero.
        let end: &[u8] = if arch == 0 { &[0] } else { &[] };
        source += &format!("alignas(16) static const unsigned char IMAGE_{count}[] = {{");
        for (at, byte) in data.iter().chain(end).enumerate() {
            // Writing to a text cannot fail.
            let _ = write!(source, "{}{byte},", if at % 64 == 0 { "\n" } else { "" });
        }
        source += "\n};\n";
        table += &format!("    {{{arch}, IMAGE_{count}, sizeof IMAGE_{count}}},\n");
        count += 1;
    }
    format!(
        "{source}const ailurus_cuda_image ailurus_cuda_images[] = {{\n{table}}};\n\
         const size_t ailurus_cuda_image_count = {count};\n"
    )
}
