//! Inputs for a model: a picture, the arrays of a file, or noise.

mod arrays;
mod folder;

use std::path::{Path, PathBuf};

use ailurus_runtime::{DataType, Dim, Tensor, ValueInfo};
use image::imageops::FilterType;
use image::{ImageReader, RgbImage};

use crate::{Error, Result};

/// Sides of a model that takes any size are multiples of this, so that patches of 7, 8, 14, 16,
/// 28 and 56 pixels fit.
const STEP: usize = 112;

/// The side used for noise where a model takes any size.
const FREE_SIDE: usize = 2 * STEP;

/// The longest side used where a model takes any size.
const LONGEST: usize = 9 * STEP;

/// What is subtracted from a pixel in 0..=1, and what it is then divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Red, green, blue.
    pub mean: [f32; 3],
    /// Red, green, blue.
    pub std: [f32; 3],
}

impl Default for Normalization {
    /// That of ImageNet.
    fn default() -> Self {
        Normalization { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }
}

/// Where inputs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Normally distributed noise, the same for the same seed.
    Noise(u64),
    /// A picture file, scaled to the model's size.
    Image(PathBuf),
    /// Every PNG and JPEG file of a folder.
    Images(PathBuf),
    /// An npz file with an array for every input: under its name, or under `in_` and its name.
    Arrays(PathBuf),
}

impl Source {
    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Source::Noise(seed) => format!("noise (seed {seed})"),
            Source::Image(path) | Source::Images(path) | Source::Arrays(path) => path.display().to_string(),
        }
    }

    /// The single sources that it consists of, at least one.
    ///
    /// # Errors
    /// When a folder cannot be read or holds no pictures.
    pub fn each(&self) -> Result<Vec<Source>> {
        match self {
            Source::Images(path) => Ok(folder::pictures(path)?.into_iter().map(Source::Image).collect()),
            one => Ok(vec![one.clone()]),
        }
    }
}

/// Inputs of a model by name.
pub type Inputs = Vec<(String, Tensor)>;

/// Makes a value for every input; of several pictures, from the first.
///
/// # Errors
/// When a file cannot be read or does not fit, or the model has an input that nothing can be made up for.
pub fn make(declared: &[ValueInfo], source: &Source, normal: &Normalization) -> Result<Inputs> {
    Ok(make_noted(declared, source, normal)?.0)
}

/// As [`make`], with what is worth knowing about the values.
///
/// # Errors
/// As [`make`].
pub fn make_noted(declared: &[ValueInfo], source: &Source, normal: &Normalization) -> Result<(Inputs, Vec<String>)> {
    match source {
        Source::Noise(seed) => Ok((made_up(declared, None, &mut Noise(*seed), normal)?, Vec::new())),
        Source::Image(path) => Ok((made_up(declared, Some(path), &mut Noise(0), normal)?, Vec::new())),
        Source::Images(_) => {
            let first = source.each()?.swap_remove(0);
            make_noted(declared, &first, normal)
        }
        Source::Arrays(path) => {
            let (inputs, unused) = arrays::read(path, declared)?;
            let note = (!unused.is_empty()).then(|| format!("not used from the file: {}", arrays::list(&unused)));
            Ok((inputs, note.into_iter().collect()))
        }
    }
}

fn made_up(
    declared: &[ValueInfo],
    picture: Option<&PathBuf>,
    noise: &mut Noise,
    normal: &Normalization,
) -> Result<Inputs> {
    let slot = declared.iter().find_map(Slot::of);
    let mut out = Vec::with_capacity(declared.len());
    for info in declared {
        let tensor = match (picture, &slot) {
            (Some(path), Some(slot)) if slot.name == info.name => {
                let picture = read(path)?;
                let (w, h) = slot.size(Some((picture.width(), picture.height())));
                slot.tensor(&resize(&picture, w, h), normal)?
            }
            (_, Some(slot)) if slot.name == info.name => {
                let (w, h) = slot.size(None);
                let dims = slot.dims(w as usize, h as usize);
                noise.tensor(&dims)?.cast(slot.data_type)
            }
            (Some(_), None) => {
                return Err(Error::Inputs {
                    reason: "no input looks like a picture (four dimensions, three channels)".into(),
                });
            }
            _ => other(info, noise)?,
        };
        out.push((info.name.clone(), tensor));
    }
    Ok(out)
}

/// The picture input of a model.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its name.
    pub name: String,
    data_type: DataType,
    batch: usize,
    channels_last: bool,
    width: Option<usize>,
    height: Option<usize>,
}

impl Slot {
    /// Reads an input as a picture: four dimensions, three channels.
    pub fn of(info: &ValueInfo) -> Option<Self> {
        let data_type = info.data_type.unwrap_or(DataType::F32);
        if !matches!(data_type, DataType::F32 | DataType::F16 | DataType::F64 | DataType::U8) {
            return None;
        }
        let [b, second, third, last] = info.dims.as_deref()? else {
            return None;
        };
        let channels_last = last.known() == Some(3) && second.known() != Some(3);
        if !channels_last && second.known().is_some_and(|c| c != 3) {
            return None;
        }
        let (h, w) = if channels_last { (second, third) } else { (third, last) };
        Some(Slot {
            name: info.name.clone(),
            data_type,
            batch: b.known().unwrap_or(1),
            channels_last,
            width: w.known(),
            height: h.known(),
        })
    }

    /// Width and height: the model's, or for a free one near the picture's.
    pub fn size(&self, picture: Option<(u32, u32)>) -> (u32, u32) {
        let free = |side: Option<u32>| match side {
            None => FREE_SIDE,
            Some(side) => ((side as usize + STEP / 2) / STEP * STEP).clamp(STEP, LONGEST),
        };
        let w = self.width.unwrap_or_else(|| free(picture.map(|p| p.0)));
        let h = self.height.unwrap_or_else(|| free(picture.map(|p| p.1)));
        (w as u32, h as u32)
    }

    /// True when the colours are the last dimension.
    pub(crate) fn is_channels_last(&self) -> bool {
        self.channels_last
    }

    /// True when the model takes more than one size.
    pub(crate) fn is_free(&self) -> bool {
        self.width.is_none() || self.height.is_none()
    }

    fn dims(&self, w: usize, h: usize) -> [usize; 4] {
        if self.channels_last { [self.batch, h, w, 3] } else { [self.batch, 3, h, w] }
    }

    /// The picture as the model wants it; bytes are not normalised.
    pub fn tensor(&self, picture: &RgbImage, normal: &Normalization) -> Result<Tensor> {
        let (w, h) = (picture.width() as usize, picture.height() as usize);
        let bytes = self.data_type == DataType::U8;
        let value = |x: usize, y: usize, c: usize| {
            let v = f32::from(picture.get_pixel(x as u32, y as u32)[c]);
            if bytes { v } else { (v / 255.0 - normal.mean[c]) / normal.std[c] }
        };
        let dims = self.dims(w, h);
        let mut data = Vec::with_capacity(dims.iter().product());
        for _ in 0..self.batch {
            if self.channels_last {
                for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
                    data.extend((0..3).map(|c| value(x, y, c)));
                }
            } else {
                for c in 0..3 {
                    for y in 0..h {
                        data.extend((0..w).map(|x| value(x, y, c)));
                    }
                }
            }
        }
        Ok(Tensor::new(dims, data)?.cast(self.data_type))
    }
}

/// Reads a picture file.
///
/// # Errors
/// When it cannot be read or decoded.
pub fn read(path: &Path) -> Result<RgbImage> {
    let fail = |reason: String| Error::ImageFile { path: path.to_owned(), reason };
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|e| fail(e.to_string()))?;
    Ok(reader.decode().map_err(|e| fail(e.to_string()))?.to_rgb8())
}

/// Scales a picture.
pub fn resize(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    image::imageops::resize(picture, width, height, FilterType::Triangle)
}

/// Inputs that are no picture: noise for numbers with a fraction, zeros for the rest.
fn other(info: &ValueInfo, noise: &mut Noise) -> Result<Tensor> {
    let dims: Vec<usize> =
        info.dims.as_ref().map_or_else(Vec::new, |dims| dims.iter().map(|d| Dim::known(d).unwrap_or(1)).collect());
    let data_type = info
        .data_type
        .ok_or_else(|| Error::Inputs { reason: format!("the input `{}` is no tensor of numbers", info.name) })?;
    Ok(match data_type {
        DataType::F32 | DataType::F16 | DataType::F64 => noise.tensor(&dims)?.cast(data_type),
        _ => Tensor::new(dims.clone(), vec![0f32; dims.iter().product()])?.cast(data_type),
    })
}

/// SplitMix64, summed to something normal enough.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The sum of twelve uniform numbers has variance one.
    fn normal(&mut self) -> f32 {
        let sum: f64 = (0..12).map(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64).sum();
        (sum - 6.0) as f32
    }

    fn tensor(&mut self, dims: &[usize]) -> Result<Tensor> {
        let elements = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let elements = elements
            .filter(|n| *n <= 1 << 30)
            .ok_or_else(|| Error::Inputs { reason: format!("an input of shape {dims:?} is too large") })?;
        Ok(Tensor::new(dims.to_vec(), (0..elements).map(|_| self.normal()).collect::<Vec<f32>>())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(dims: &[Option<usize>], data_type: DataType) -> ValueInfo {
        let dims = dims.iter().map(|d| d.map_or(Dim::Unknown, Dim::Known)).collect();
        ValueInfo { name: "image".into(), data_type: Some(data_type), dims: Some(dims) }
    }

    #[test]
    fn slots() {
        let nchw = Slot::of(&info(&[None, Some(3), Some(32), Some(48)], DataType::F32)).unwrap();
        assert_eq!((nchw.size(None), nchw.channels_last), ((48, 32), false));
        let nhwc = Slot::of(&info(&[Some(2), Some(32), Some(48), Some(3)], DataType::U8)).unwrap();
        assert_eq!((nhwc.size(None), nhwc.channels_last, nhwc.batch), ((48, 32), true, 2));
        let free = Slot::of(&info(&[None, Some(3), None, None], DataType::F16)).unwrap();
        assert_eq!(free.size(None), (224, 224));
        assert_eq!(free.size(Some((640, 10))), (672, 112));
        assert!(Slot::of(&info(&[None, Some(4), None, None], DataType::F32)).is_none());
        assert!(Slot::of(&info(&[None, Some(3), None], DataType::F32)).is_none());
        assert!(Slot::of(&info(&[None, Some(3), None, None], DataType::I64)).is_none());
    }

    #[test]
    fn pixels_are_normalised_by_channel() {
        let picture = RgbImage::from_pixel(2, 1, image::Rgb([255, 0, 51]));
        let slot = Slot::of(&info(&[Some(1), Some(3), None, None], DataType::F32)).unwrap();
        let normal = Normalization { mean: [0.5, 0.0, 0.2], std: [0.5, 1.0, 1.0] };
        let tensor = slot.tensor(&picture, &normal).unwrap();
        assert_eq!(tensor.dims(), [1, 3, 1, 2]);
        let close = tensor.as_f32().unwrap().iter().zip([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(close.into_iter().all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn noise_is_reproducible_and_normal() {
        let declared = [info(&[None, Some(3), Some(32), Some(32)], DataType::F32)];
        let make = |seed| make(&declared, &Source::Noise(seed), &Normalization::default()).unwrap();
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        let inputs = make(3);
        let v = inputs[0].1.to_f64();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64;
        assert!(mean.abs() < 0.1 && (variance - 1.0).abs() < 0.1, "{mean} {variance}");
    }

    #[test]
    fn a_missing_picture() {
        let error = read(Path::new("/nonexistent/a.png")).unwrap_err();
        assert_eq!(error.code(), "AIL0703");
    }
}
