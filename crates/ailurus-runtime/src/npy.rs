//! The npy format: one array, a header in the syntax of a Python dictionary and the elements.

use crate::{Data, DataType, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads one array.
pub(crate) fn parse(bytes: &[u8]) -> Result<Tensor, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("not an npy file")?;
    let (version, rest) = rest.split_at_checked(2).ok_or("truncated header")?;
    let (length, rest) = match version[0] {
        1 => {
            let (n, rest) = rest.split_first_chunk().ok_or("truncated header")?;
            (usize::from(u16::from_le_bytes(*n)), rest)
        }
        2 | 3 => {
            let (n, rest) = rest.split_first_chunk().ok_or("truncated header")?;
            (u32::from_le_bytes(*n) as usize, rest)
        }
        v => return Err(format!("npy version {v} is not known")),
    };
    let (header, body) = rest.split_at_checked(length).ok_or("truncated header")?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text")?;
    let (data_type, fortran, dims) = parse_header(header)?;
    let elements = dims
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .and_then(|n| n.checked_mul(data_type.size()))
        .and_then(|n| body.get(..n))
        .ok_or("truncated data")?;
    let data = Data::from_le_bytes(data_type, elements);
    if fortran && dims.len() > 1 {
        return Err("column-major arrays are not supported".into());
    }
    Tensor::new(dims, data).map_err(|e| e.to_string())
}

/// The text that follows `'key':`.
fn field<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    header
        .split_once(&format!("'{key}':"))
        .map(|(_, rest)| rest.trim_start())
        .ok_or_else(|| format!("the header has no {key}"))
}

fn parse_header(header: &str) -> Result<(DataType, bool, Vec<usize>), String> {
    let descr = field(header, "descr")?
        .strip_prefix('\'')
        .and_then(|s| s.split_once('\''))
        .ok_or("structured arrays are not supported")?
        .0;
    let fortran = field(header, "fortran_order")?.starts_with("True");
    let shape = field(header, "shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).ok_or("malformed shape")?.0;
    let dims = shape
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse::<usize>().map_err(|_| format!("malformed dimension {d:?}")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((element_type(descr)?, fortran, dims))
}

fn element_type(descr: &str) -> Result<DataType, String> {
    let bare = descr.strip_prefix(['<', '|', '=']).unwrap_or(descr);
    Ok(match bare {
        "f4" => DataType::F32,
        "f2" => DataType::F16,
        "f8" => DataType::F64,
        "i8" => DataType::I64,
        "i4" => DataType::I32,
        "i2" => DataType::I16,
        "i1" => DataType::I8,
        "u8" => DataType::U64,
        "u4" => DataType::U32,
        "u2" => DataType::U16,
        "u1" => DataType::U8,
        "b1" => DataType::Bool,
        _ => return Err(format!("the element type {descr:?} is not supported")),
    })
}

/// The file that holds one array.
pub(crate) fn encode(tensor: &Tensor) -> Vec<u8> {
    let code = match tensor.data_type() {
        DataType::F32 => "<f4",
        DataType::F16 => "<f2",
        DataType::F64 => "<f8",
        DataType::I64 => "<i8",
        DataType::I32 => "<i4",
        DataType::I16 => "<i2",
        DataType::I8 => "|i1",
        DataType::U64 => "<u8",
        DataType::U32 => "<u4",
        DataType::U16 => "<u2",
        DataType::U8 => "|u1",
        DataType::Bool => "|b1",
    };
    let shape = match tensor.dims() {
        [] => String::new(),
        // Python's tuple of one.
        [n] => format!("{n},"),
        dims => dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut header = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version, length and header together end at a multiple of 64, with a line break.
    let before = MAGIC.len() + 2 + 4;
    header.push_str(&" ".repeat(63 - (before + header.len()) % 64));
    header.push('\n');
    let mut out = Vec::with_capacity(before + header.len() + tensor.data().bytes().len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[2, 0]);
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&little_endian(tensor.data()));
    out
}

#[cfg(target_endian = "little")]
fn little_endian(data: &Data) -> std::borrow::Cow<'_, [u8]> {
    data.bytes().into()
}

#[cfg(target_endian = "big")]
fn little_endian(data: &Data) -> std::borrow::Cow<'_, [u8]> {
    let mut bytes = data.bytes().to_vec();
    bytes.chunks_exact_mut(data.data_type().size()).for_each(<[u8]>::reverse);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for t in [
            Tensor::new([2, 2], vec![1f32, -2.0, f32::INFINITY, 0.5]).unwrap(),
            Tensor::new([3], vec![half::f16::ONE; 3]).unwrap(),
            Tensor::new([0, 4], Vec::<i64>::new()).unwrap(),
            Tensor::new(vec![], vec![7i64]).unwrap(),
            Tensor::new([2], vec![true, false]).unwrap(),
            Tensor::new([1, 2], vec![-1i8, 3]).unwrap(),
        ] {
            let bytes = encode(&t);
            assert_eq!(parse(&bytes).unwrap(), t);
            // Elements are aligned, as numpy wants for memory maps.
            assert_eq!((bytes.len() - t.data().bytes().len()) % 64, 0);
            for end in 0..bytes.len() {
                assert!(parse(&bytes[..end]).is_err());
            }
        }
    }

    #[test]
    fn bad_headers_are_errors() {
        for header in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 2), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
        ] {
            let mut file = b"\x93NUMPY\x01\x00".to_vec();
            file.extend_from_slice(&(header.len() as u16).to_le_bytes());
            file.extend_from_slice(header.as_bytes());
            file.extend_from_slice(&[0; 64]);
            assert!(parse(&file).is_err(), "{header}");
        }
    }
}
